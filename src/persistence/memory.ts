/**
 * Both interfaces of persistence.ts in memory, for tests and simulations.
 *
 * Every transaction copies the whole state and changes the copy, which makes snapshots, atomicity and
 * crashes trivial: a snapshot is a state, a failed transaction a copy that is dropped, and a crash goes
 * back to one of the states since the last completed sync.
 */
import { assert } from "../assert.ts";
import {
  builtInIndexes,
  byCreationTimeIndexId,
  byIdIndexId,
  Catalog,
  type CatalogData,
  type IndexId,
  isDatabaseIndex,
  type TableNumber,
} from "../database/catalog.ts";
import type { KeyInterval } from "../database/read_set.ts";
import { NaiveSearch } from "../database/search/search_testing.ts";
import type { SearchSnapshot } from "../database/search/search_snapshot.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import type { DocumentWrite } from "../database/write_set.ts";
import { type IndexKey, indexKeyOf, keySuccessor } from "../values/index_key.ts";
import { parseDocument } from "../values/value.ts";
import {
  type CatalogState,
  changedCatalog,
  emptyCatalogState,
  withTables,
} from "./catalog_change.ts";
import {
  type BackfillStep,
  type CatalogChange,
  changesPendingSchema,
  type CommittedTransaction,
  type Order,
  pendingSchemaViolationKey,
  type PersistenceWriter,
  type SessionRecord,
  type Snapshot,
  type SnapshotReader,
  type StoredDocument,
} from "./persistence.ts";
import { type DocumentImport, importedCatalog } from "./document_import.ts";
import { PersistenceError } from "./persistence_error.ts";

/** What a test lets go wrong. Both may be replaced at any time. */
export interface Faults {
  /** Called before each transaction; an error that it throws is the transaction's. */
  transaction?: () => void;
  /** Awaited before each sync is completed; a rejection is the sync's. */
  sync?: () => Promise<void>;
}

/** One database in memory: any number of readers, and one writer. */
export class MemoryPersistence {
  readonly faults: Faults = {};
  /** From the last state that is on "disk" to the newest. */
  #states: State[];

  constructor(state: State = new State()) {
    this.#states = [state];
  }

  get state(): State {
    return this.#states.at(-1)!;
  }

  /** States newer than what a crash cannot take away. */
  get unsyncedStates(): number {
    return this.#states.length - 1;
  }

  push(state: State): void {
    this.#states.push(state);
  }

  markSynced(state: State): void {
    const position = this.#states.indexOf(state);
    if (position > 0) this.#states.splice(0, position);
  }

  /** What is found after a crash that the first `survivors` unsynced states survive. */
  afterCrash(survivors: number): MemoryPersistence {
    const state = this.#states[survivors];
    assert(state !== undefined, "that many states are not synced");
    return new MemoryPersistence(state);
  }

  openWriter(): PersistenceWriter {
    return new MemoryWriter(this);
  }

  openReader(): SnapshotReader {
    return new MemoryReader(this);
  }
}

/** Never changed once it is in `MemoryPersistence`. */
class State {
  timestamp = zeroTimestamp;
  catalogState: CatalogState = emptyCatalogState;
  lastRow = 0;
  documents = new Map<number, string>();
  indexes = new Map<IndexId, Map<IndexKey, number>>();
  records = new Map<string, string>();
  sessionRecords = new Map<string, SessionRecord>();
  /** By isolate. */
  decidedSequences = new Map<number, number>();

  copy(): State {
    const copy = Object.assign(new State(), this);
    copy.documents = new Map(this.documents);
    copy.indexes = new Map([...this.indexes].map(([id, entries]) => [id, new Map(entries)]));
    copy.records = new Map(this.records);
    copy.sessionRecords = new Map(this.sessionRecords);
    copy.decidedSequences = new Map(this.decidedSequences);
    return copy;
  }

  entries(index: IndexId): Map<IndexKey, number> {
    let entries = this.indexes.get(index);
    if (entries === undefined) this.indexes.set(index, entries = new Map());
    return entries;
  }

  /** The index's keys of an interval, with their rows, in ascending order. */
  range(index: IndexId, { lower, upper }: KeyInterval): [IndexKey, number][] {
    return [...this.indexes.get(index) ?? []]
      .filter(([key]) => key >= lower && (upper === null || key < upper))
      .sort(([a], [b]) => a < b ? -1 : 1);
  }

  /** The JSON texts of a table's documents. */
  documentsOf(table: TableNumber): string[] {
    return [...this.indexes.get(byIdIndexId(table))?.values() ?? []]
      .map((row) => this.document(row).json);
  }

  document(row: number): StoredDocument {
    const json = this.documents.get(row);
    assert(json !== undefined, "an index entry has its document");
    return { row, json };
  }
}

class MemoryWriter implements PersistenceWriter {
  readonly #persistence: MemoryPersistence;

  constructor(persistence: MemoryPersistence) {
    this.#persistence = persistence;
    this.#transaction((state) => state.decidedSequences.clear());
  }

  get lastTimestamp(): Timestamp {
    return this.#persistence.state.timestamp;
  }

  get catalog(): CatalogData {
    return this.#persistence.state.catalogState.catalog;
  }

  #transaction<Result>(body: (state: State) => Result): Result {
    this.#persistence.faults.transaction?.();
    const state = this.#persistence.state.copy();
    const result = body(state);
    this.#persistence.push(state);
    return result;
  }

  apply(batch: readonly CommittedTransaction[]): void {
    const last = batch.at(-1);
    if (last === undefined) return;
    this.#transaction((state) => {
      advance(state, last.timestamp);
      for (const transaction of batch) write(state, transaction);
    });
  }

  applyCatalogChange(
    change: CatalogChange,
    timestamp: Timestamp,
    documents: readonly DocumentWrite[] = [],
  ): CatalogData {
    this.#transaction((state) => {
      advance(state, timestamp);
      for (const document of documents) writeDocument(state, document);
      state.catalogState = changedCatalog(state.catalogState, change);
      if (changesPendingSchema(change)) state.records.delete(pendingSchemaViolationKey);
      for (const id of change.dropIndexes ?? []) state.indexes.delete(id);
      for (const { key, json } of change.records ?? []) {
        if (json === null) state.records.delete(key);
        else state.records.set(key, json);
      }
    });
    return this.catalog;
  }

  importDocuments(
    change: DocumentImport,
    imported: Iterable<DocumentWrite>,
    timestamp: Timestamp,
    documents: readonly DocumentWrite[] = [],
  ): CatalogData {
    this.#transaction((state) => {
      advance(state, timestamp);
      for (const table of change.emptyTables) {
        for (const row of state.entries(byIdIndexId(table)).values()) state.documents.delete(row);
        const declared = this.catalog.indexes.filter((index) => index.table === table);
        for (const { id } of [...builtInIndexes(table), ...declared]) state.indexes.delete(id);
      }
      const catalog = importedCatalog(state.catalogState.catalog, change);
      state.catalogState = { ...state.catalogState, catalog };
      for (const document of imported) writeDocument(state, document);
      for (const document of documents) writeDocument(state, document);
      if (change.pendingSchemaViolation !== undefined) {
        state.records.set(pendingSchemaViolationKey, JSON.stringify(change.pendingSchemaViolation));
      }
    });
    return this.catalog;
  }

  documentKeys(table: TableNumber, limit: number): IndexKey[] {
    return [...this.#persistence.state.entries(byIdIndexId(table)).keys()].slice(0, limit);
  }

  backfill({ table, indexes, after, documentsMax, bytesMax }: BackfillStep): IndexKey | null {
    const definitions = this.catalog.indexes.filter(({ id }) => indexes.includes(id));
    return this.#transaction((state) => {
      const interval = { lower: keySuccessor(after), upper: null };
      const left = state.range(byCreationTimeIndexId(table), interval);
      let bytes = 0;
      for (const [i, [key, row]] of left.entries()) {
        const { json } = state.document(row);
        // Searches look at the documents themselves.
        for (const index of definitions.filter(isDatabaseIndex)) {
          state.entries(index.id).set(indexKeyOf(index, parseDocument(json)), row);
        }
        bytes += json.length;
        if (i + 1 === documentsMax || bytes > bytesMax) return key;
      }
      return null;
    });
  }

  async sync(): Promise<void> {
    const { state } = this.#persistence;
    await this.#persistence.faults.sync?.();
    this.#persistence.markSynced(state);
  }

  getRecord(key: string): string | undefined {
    return this.#persistence.state.records.get(key);
  }

  getSessionRecord(sessionId: string, requestId: number): SessionRecord | undefined {
    return this.#persistence.state.sessionRecords.get(sessionKey(sessionId, requestId));
  }

  pruneSessionRecords(before: Timestamp, limit: number): boolean {
    const old = [...this.#persistence.state.sessionRecords]
      .filter(([, { timestamp }]) => timestamp < before);
    if (old.length === 0) return true;
    this.#transaction(({ sessionRecords }) => {
      for (const [key] of old.slice(0, limit)) sessionRecords.delete(key);
    });
    return old.length < limit;
  }

  maintain(): boolean {
    return true;
  }

  close(): void {}
}

function advance(state: State, timestamp: Timestamp): void {
  assert(timestamp > state.timestamp, "timestamps must increase");
  state.timestamp = timestamp;
}

function write(state: State, transaction: CommittedTransaction): void {
  const { timestamp, writes, origin, session } = transaction;
  const catalog = withTables(state.catalogState.catalog, writes.tables);
  state.catalogState = { ...state.catalogState, catalog };
  for (const document of writes.documents) writeDocument(state, document);
  if (
    writes.pendingSchemaViolation !== undefined && !state.records.has(pendingSchemaViolationKey)
  ) {
    state.records.set(pendingSchemaViolationKey, JSON.stringify(writes.pendingSchemaViolation));
  }
  if (origin !== undefined) {
    const { isolate, sequence } = origin;
    const newest = Math.max(sequence, state.decidedSequences.get(isolate) ?? 0);
    state.decidedSequences.set(isolate, newest);
  }
  if (session !== undefined) {
    const { sessionId, requestId, result, logLines } = session;
    state.sessionRecords.set(sessionKey(sessionId, requestId), { timestamp, result, logLines });
  }
}

function writeDocument(state: State, document: DocumentWrite): void {
  const row = document.existed ? existingRow(state, document) : ++state.lastRow;
  if (document.existed && !state.documents.has(row)) {
    throw new PersistenceError("Constraint", `The document ${document.id} does not exist.`);
  }
  if (document.json === null) state.documents.delete(row);
  else state.documents.set(row, document.json);
  for (const [index, key] of document.removedKeys) state.entries(index).delete(key);
  for (const [index, key] of document.addedKeys) {
    if (state.entries(index).has(key)) {
      throw new PersistenceError("Constraint", `The document ${document.id} exists already.`);
    }
    state.entries(index).set(key, row);
  }
}

function existingRow(state: State, { row, table, removedKeys, keptKeys }: DocumentWrite): number {
  if (row !== null) return row;
  const byId = byIdIndexId(table);
  const point = [...removedKeys, ...keptKeys].find(([index]) => index === byId);
  return (point && state.entries(byId).get(point[1])) ?? -1;
}

function sessionKey(sessionId: string, requestId: number): string {
  return `${requestId} ${sessionId}`;
}

class MemoryReader implements SnapshotReader {
  readonly #persistence: MemoryPersistence;
  #open = false;

  constructor(persistence: MemoryPersistence) {
    this.#persistence = persistence;
  }

  open(isolate = 0): Snapshot {
    assert(!this.#open, "the reader has an open snapshot");
    this.#open = true;
    return new MemorySnapshot(this.#persistence.state, isolate, () => this.#open = false);
  }

  getRecord(key: string): string | undefined {
    assert(!this.#open, "records are read between snapshots");
    return this.#persistence.state.records.get(key);
  }

  getSessionRecord(sessionId: string, requestId: number): SessionRecord | undefined {
    assert(!this.#open, "session records are read between snapshots");
    return this.#persistence.state.sessionRecords.get(sessionKey(sessionId, requestId));
  }

  close(): void {}
}

class MemorySnapshot implements Snapshot {
  readonly timestamp: Timestamp;
  readonly catalog: Catalog;
  readonly decidedSequence: number;
  readonly search: SearchSnapshot;
  readonly #state: State;
  #close: (() => void) | undefined;

  constructor(state: State, isolate: number, close: () => void) {
    this.#state = state;
    this.search = new NaiveSearch((index) => state.documentsOf(index.table));
    this.timestamp = state.timestamp;
    this.catalog = new Catalog(state.catalogState.catalog);
    this.decidedSequence = state.decidedSequences.get(isolate) ?? 0;
    this.#close = close;
  }

  get(index: IndexId, key: IndexKey): StoredDocument | undefined {
    assert(this.#close !== undefined, "the snapshot is closed");
    const row = this.#state.indexes.get(index)?.get(key);
    return row === undefined ? undefined : this.#state.document(row);
  }

  scan(index: IndexId, interval: KeyInterval, order: Order, limit: number): StoredDocument[] {
    assert(this.#close !== undefined, "the snapshot is closed");
    const range = this.#state.range(index, interval);
    if (order === "desc") range.reverse();
    return range.slice(0, limit).map(([, row]) => this.#state.document(row));
  }

  count(index: IndexId, interval: KeyInterval): number {
    assert(this.#close !== undefined, "the snapshot is closed");
    return this.#state.range(index, interval).length;
  }

  close(): void {
    this.#close?.();
    this.#close = undefined;
  }
}
