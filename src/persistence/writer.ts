/**
 * The one connection that changes the database. It lives on the committer's thread.
 *
 * A commit becomes visible and durable in two steps:
 *
 * 1. `apply` runs one SQLite transaction at synchronous=NORMAL. It appends to the write-ahead log without
 *    waiting for the disk; snapshots opened from now on see it.
 * 2. `sync` flushes the log file, once for everything applied before, while more is being applied.
 *
 * Together they give what synchronous=FULL gives, which is the same flush of the same file inside each
 * transaction. Nothing that the log holds is lost in between: before SQLite copies pages from the log into
 * the database it flushes the log, and before it writes the log from its start again it has flushed the
 * database, both at NORMAL too. So a commit is always in what step 2 flushes, or in the flushed database.
 * The log remains the same file for as long as this connection is open.
 */
import { assert, unreachable } from "../assert.ts";
import { settings } from "../config.ts";
import {
  builtInIndexes,
  byCreationTimeIndexId,
  byIdIndexId,
  type CatalogData,
  type IndexDefinition,
  type IndexId,
  type TableNumber,
} from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { DocumentWrite } from "../database/write_set.ts";
import { bytesToKey, type IndexKey, indexKeyOf, keyToBytes } from "../values/index_key.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";
import { type CatalogState, changedCatalog, withTables } from "./catalog_change.ts";
import { databasePath, lockDataFolder } from "./data_folder.ts";
import { removeDatabaseCopy } from "./database_copy.ts";
import { type DocumentImport, importedCatalog } from "./document_import.ts";
import { FullTextWriter } from "./full_text.ts";
import { HistoryWriter } from "./history_writer.ts";
import { migrate } from "./migrations.ts";
import {
  type BackfillStep,
  type CatalogChange,
  changesPendingSchema,
  type CommittedTransaction,
  pendingSchemaViolationKey,
  type PersistenceWriter,
  type SessionRecord,
  type StoredDocument,
} from "./persistence.ts";
import { PersistenceError } from "./persistence_error.ts";
import { selectRecord, selectSessionRequest, sessionRecord } from "./snapshot_reader.ts";
import { Database } from "./sqlite.ts";
import { VectorWriter } from "./vector_writer.ts";
import { WriteAheadLog } from "./write_ahead_log.ts";

/** Inner pages of the trees and the leaves that inserts go to; there is one such cache. */
const cacheKiB = 8192;

/** Entries of a dropped index that one step deletes: a few milliseconds. */
const purgedEntriesMax = 1000;
const purgedTextsMax = 100;

/** How long older states can be read unless `openWriter` is told otherwise, in microseconds. */
const historyAgeMaxDefault = settings.historyS.defaultValue * 1_000_000;

/**
 * Takes the data folder's lock, creates or migrates the database, and opens it for writing. `historyAgeMax`: how
 * long older states can be read, in microseconds. Without `flushes`, what was written may be lost with the machine.
 * @throws PersistenceError
 */
export function openWriter(
  dataFolder: string,
  historyAgeMax: number = historyAgeMaxDefault,
  flushes = true,
): PersistenceWriter {
  const lock = lockDataFolder(dataFolder);
  let database: Database | undefined;
  try {
    // A server that was killed during a backup has left it.
    removeDatabaseCopy(dataFolder);
    database = new Database(databasePath(dataFolder), { readOnly: false, cacheKiB, flushes });
    migrate(database);
    // Isolates number their transactions from one again.
    database.exec("DELETE FROM decided");
    return new SqliteWriter(database, lock, historyAgeMax, flushes);
  } catch (error) {
    database?.close();
    lock.close();
    throw error;
  }
}

class SqliteWriter implements PersistenceWriter {
  readonly #database: Database;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #vectors: VectorWriter;
  readonly #fullText: FullTextWriter;
  readonly #history: HistoryWriter;
  readonly #log: WriteAheadLog;
  readonly #lock: { close(): void };
  #lastTimestamp: Timestamp;
  #catalogState: CatalogState;
  #lastRow: number;

  constructor(
    database: Database,
    lock: { close(): void },
    historyAgeMax: number,
    flushes: boolean,
  ) {
    this.#database = database;
    this.#lock = lock;
    this.#log = new WriteAheadLog(database, flushes);
    this.#statements = prepareStatements(database);
    this.#vectors = new VectorWriter(database);
    this.#fullText = new FullTextWriter(database);
    this.#history = new HistoryWriter(database, historyAgeMax);
    this.#lastTimestamp = this.#statements.timestamp.value() as Timestamp;
    const [json, nextIndexOrdinal] = this.#statements.catalog.row() as [string, number];
    this.#catalogState = { catalog: JSON.parse(json) as CatalogData, nextIndexOrdinal };
    this.#lastRow = this.#history.lastRow;
  }

  get lastTimestamp(): Timestamp {
    return this.#lastTimestamp;
  }

  get catalog(): CatalogData {
    return this.#catalogState.catalog;
  }

  apply(batch: readonly CommittedTransaction[]): void {
    const last = batch.at(-1);
    if (last === undefined) return;
    const tables = batch.flatMap(({ writes }) => writes.tables);
    const catalogState = tables.length === 0
      ? this.#catalogState
      : { ...this.#catalogState, catalog: withTables(this.catalog, tables) };
    this.#commit(last.timestamp, catalogState, () => {
      for (const transaction of batch) this.#write(transaction);
      for (const [isolate, sequence] of newestSequences(batch)) {
        this.#statements.setDecided.run(isolate, sequence);
      }
    });
  }

  applyCatalogChange(
    change: CatalogChange,
    timestamp: Timestamp,
    documents: readonly DocumentWrite[] = [],
  ): CatalogData {
    this.#commit(timestamp, changedCatalog(this.#catalogState, change), () => {
      this.#writeDocuments(documents, timestamp);
      if (changesPendingSchema(change)) {
        this.#statements.removeRecord.run(pendingSchemaViolationKey);
      }
      if (createsIndexes(change)) this.#history.begin(timestamp);
      for (const id of change.dropIndexes ?? []) this.#statements.addDroppedIndex.run(id);
      for (const { key, json } of change.records ?? []) {
        if (json === null) this.#statements.removeRecord.run(key);
        else this.#statements.setRecord.run(key, json);
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
    const catalog = importedCatalog(this.catalog, change);
    this.#commit(timestamp, { ...this.#catalogState, catalog }, () => {
      // What was there before could only be read by keeping all of it a second time.
      this.#history.begin(timestamp);
      for (const table of change.emptyTables) this.#emptyTable(table);
      this.#writeDocuments(imported, timestamp, catalog);
      this.#writeDocuments(documents, timestamp, catalog);
      if (change.pendingSchemaViolation !== undefined) {
        const json = JSON.stringify(change.pendingSchemaViolation);
        this.#statements.addRecord.run(pendingSchemaViolationKey, json);
      }
    });
    return catalog;
  }

  #emptyTable(table: TableNumber): void {
    this.#statements.removeDocumentsOf.run(byCreationTimeIndexId(table));
    const declared = this.catalog.indexes.filter((index) => index.table === table);
    for (const { id } of [...builtInIndexes(table), ...declared]) {
      this.#statements.removeEntriesOf.run(id);
      while (this.#vectors.purge(id, purgedEntriesMax) === purgedEntriesMax);
      while (!this.#fullText.purge(id, purgedEntriesMax));
    }
  }

  documentKeys(table: TableNumber, limit: number): IndexKey[] {
    return this.#statements.keysOf.rows(byIdIndexId(table), limit)
      .map(([key]) => bytesToKey(key as Uint8Array));
  }

  /** One transaction that leads to `timestamp`; this object's fields follow when it is visible. */
  #commit(timestamp: Timestamp, catalogState: CatalogState, body: () => void): void {
    assert(timestamp > this.#lastTimestamp, "timestamps must increase");
    this.#database.transaction(() => {
      body();
      if (catalogState !== this.#catalogState) {
        const { catalog, nextIndexOrdinal } = catalogState;
        this.#statements.setCatalog.run(JSON.stringify(catalog), nextIndexOrdinal);
      }
      this.#statements.setState.run(timestamp, catalogState.catalog.version);
    });
    this.#lastTimestamp = timestamp;
    this.#catalogState = catalogState;
  }

  #write({ timestamp, writes, session }: CommittedTransaction): void {
    this.#writeDocuments(writes.documents, timestamp);
    if (writes.pendingSchemaViolation !== undefined) {
      const json = JSON.stringify(writes.pendingSchemaViolation);
      this.#statements.addRecord.run(pendingSchemaViolationKey, json);
    }
    if (session !== undefined) {
      const { sessionId, requestId, result, logLines } = session;
      this.#statements.addSessionRequest.run(timestamp, sessionId, requestId, result, logLines);
    }
  }

  #writeDocuments(
    documents: Iterable<DocumentWrite>,
    timestamp: Timestamp,
    catalog = this.catalog,
  ): void {
    const lastRow = this.#lastRow;
    for (const document of documents) this.#writeDocument(document, timestamp, catalog);
    if (this.#lastRow > lastRow) this.#history.inserted(timestamp, this.#lastRow);
  }

  #writeDocument(document: DocumentWrite, timestamp: Timestamp, catalog: CatalogData): void {
    const row = document.existed
      ? this.#changeDocument(document, timestamp)
      : this.#insertDocument(document);
    for (const [index, key] of document.removedKeys) {
      // There may be no such entry: a backfill may not have come to this document yet.
      this.#statements.removeEntry.run(index, keyToBytes(key));
    }
    for (const [index, key] of document.addedKeys) {
      this.#statements.addEntry.run(index, keyToBytes(key), row);
    }
    this.#vectors.write(catalog, document, row);
    this.#fullText.write(catalog, document, row);
  }

  #insertDocument({ json }: DocumentWrite): number {
    assert(json !== null, "an inserted document has a text");
    // A row that a failed transaction took is not used again; there are enough of them.
    this.#statements.addDocument.run(++this.#lastRow, json);
    return this.#lastRow;
  }

  #changeDocument(document: DocumentWrite, timestamp: Timestamp): number {
    const { id, json } = document;
    const row = document.row ?? this.#findRow(document);
    this.#history.changing(timestamp, row, document);
    const changed = json === null
      ? this.#statements.removeDocument.change(row)
      : this.#statements.setDocument.change(json, row);
    if (changed === 0) {
      throw new PersistenceError("Constraint", `The document ${id} to be changed does not exist.`);
    }
    return row;
  }

  /** The row of a document that an isolate knows only from a transaction that was not committed yet. */
  #findRow({ id, table, removedKeys, keptKeys }: DocumentWrite): number {
    const byId = byIdIndexId(table);
    const point = [...removedKeys, ...keptKeys].find(([index]) => index === byId);
    assert(point !== undefined, `the change of document ${id} names its by_id key`);
    return this.#statements.findRow.value(byId, keyToBytes(point[1])) as number | undefined ?? -1;
  }

  backfill(step: BackfillStep): IndexKey | null {
    const { documents, last } = this.#existingDocuments(step);
    const indexes = this.catalog.indexes.filter(({ id }) => step.indexes.includes(id));
    this.#database.transaction(() => {
      for (const { row, json } of documents) {
        const document = parseDocument(json);
        for (const index of indexes) this.#addExisting(index, row, document);
      }
    });
    return last;
  }

  /** The documents of one step of a backfill; `last` is null when there are no more after them. */
  #existingDocuments({ table, after, documentsMax, bytesMax }: BackfillStep) {
    const documents: StoredDocument[] = [];
    let bytes = 0;
    const index = byCreationTimeIndexId(table);
    for (const row of this.#statements.documentsAfter.iterate(index, keyToBytes(after))) {
      const [key, number, json] = row as unknown as [Uint8Array, number, string];
      documents.push({ row: number, json });
      bytes += json.length;
      if (documents.length === documentsMax || bytes > bytesMax) {
        return { documents, last: bytesToKey(key) };
      }
    }
    return { documents, last: null };
  }

  /** A write since the index was created may have added the document already. */
  #addExisting(index: IndexDefinition, row: number, document: ValueObject): void {
    switch (index.kind) {
      case "database":
        this.#statements.addMissingEntry.run(
          index.id,
          keyToBytes(indexKeyOf(index, document)),
          row,
        );
        return;
      case "search":
        return this.#fullText.backfill(index, row, document);
      case "vector":
        return this.#vectors.backfill(index, row, document);
      default:
        unreachable(index);
    }
  }

  sync(): Promise<void> {
    return this.#log.sync();
  }

  getRecord(key: string): string | undefined {
    return this.#statements.record.value(key) as string | undefined;
  }

  getSessionRecord(sessionId: string, requestId: number): SessionRecord | undefined {
    return sessionRecord(this.#statements.sessionRequest.row(sessionId, requestId));
  }

  pruneSessionRecords(before: Timestamp, limit: number): boolean {
    return this.#statements.pruneSessionRequests.change(before, limit) < limit;
  }

  maintain(): boolean {
    this.#log.checkpointIfDue();
    const isPruned = this.#history.prune(this.#lastTimestamp);
    const index = this.#statements.droppedIndex.value();
    if (index === undefined) return isPruned;
    this.#database.transaction(() => {
      const purged = this.#statements.purgeEntries.change(index, purgedEntriesMax) +
        this.#vectors.purge(index as IndexId, purgedEntriesMax);
      const hasNoTexts = this.#fullText.purge(index as IndexId, purgedTextsMax);
      if (purged < purgedEntriesMax && hasNoTexts) this.#statements.removeDroppedIndex.run(index);
    });
    return false;
  }

  close(): void {
    this.#log.close();
    this.#database.close();
    this.#lock.close();
  }
}

/** By isolate, the newest of its transactions in the batch. */
function newestSequences(batch: readonly CommittedTransaction[]): Map<number, number> {
  const newest = new Map<number, number>();
  for (const { origin } of batch) {
    if (origin === undefined) continue;
    const { isolate, sequence } = origin;
    newest.set(isolate, Math.max(sequence, newest.get(isolate) ?? 0));
  }
  return newest;
}

function createsIndexes({ createIndexes = [], components = [] }: CatalogChange): boolean {
  return createIndexes.length > 0 ||
    components.some(({ createIndexes = [] }) => createIndexes.length > 0);
}

function prepareStatements(database: Database) {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    timestamp: prepare("SELECT timestamp FROM state"),
    setState: prepare("UPDATE state SET timestamp = ?, catalog_version = ?"),
    catalog: prepare("SELECT json, next_index_ordinal FROM catalog"),
    setCatalog: prepare("UPDATE catalog SET json = ?, next_index_ordinal = ?"),
    setDecided: prepare(`
      INSERT INTO decided VALUES (?, ?)
      ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence)`),

    addDocument: prepare("INSERT INTO documents VALUES (?, ?)"),
    setDocument: prepare("UPDATE documents SET json = ? WHERE row = ?"),
    removeDocumentsOf: prepare(
      "DELETE FROM documents WHERE row IN (SELECT row FROM index_entries WHERE index_id = ?)",
    ),
    removeEntriesOf: prepare("DELETE FROM index_entries WHERE index_id = ?"),
    keysOf: prepare("SELECT key FROM index_entries WHERE index_id = ? LIMIT ?"),
    removeDocument: prepare("DELETE FROM documents WHERE row = ?"),
    addEntry: prepare("INSERT INTO index_entries VALUES (?, ?, ?)"),
    addMissingEntry: prepare("INSERT OR IGNORE INTO index_entries VALUES (?, ?, ?)"),
    removeEntry: prepare("DELETE FROM index_entries WHERE index_id = ? AND key = ?"),
    findRow: prepare("SELECT row FROM index_entries WHERE index_id = ? AND key = ?"),
    documentsAfter: prepare(`
      SELECT key, row, json FROM index_entries CROSS JOIN documents USING (row)
      WHERE index_id = ? AND key > ? ORDER BY key`),

    addDroppedIndex: prepare("INSERT INTO dropped_indexes VALUES (?)"),
    droppedIndex: prepare("SELECT index_id FROM dropped_indexes LIMIT 1"),
    removeDroppedIndex: prepare("DELETE FROM dropped_indexes WHERE index_id = ?"),
    purgeEntries: prepare(`
      DELETE FROM index_entries WHERE index_id = ?1
      AND key IN (SELECT key FROM index_entries WHERE index_id = ?1 ORDER BY key LIMIT ?2)`),

    record: prepare(selectRecord),
    addRecord: prepare("INSERT OR IGNORE INTO records VALUES (?, ?)"),
    setRecord: prepare("INSERT OR REPLACE INTO records VALUES (?, ?)"),
    removeRecord: prepare("DELETE FROM records WHERE key = ?"),

    sessionRequest: prepare(selectSessionRequest),
    addSessionRequest: prepare("INSERT INTO session_requests VALUES (?, ?, ?, ?, ?)"),
    pruneSessionRequests: prepare(`
      DELETE FROM session_requests WHERE timestamp IN
      (SELECT timestamp FROM session_requests WHERE timestamp < ? ORDER BY timestamp LIMIT ?)`),
  };
}
