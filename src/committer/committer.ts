/**
 * Decides which transactions commit, in which order, and applies them. The one place where a transaction
 * becomes visible; when it is durable, `CommitterService` says.
 *
 * Requests that wait together are one group: each is checked against all commits since its snapshot, those
 * of the same group included, and what passes is applied as one batch. Checking, choosing a timestamp and
 * applying are one stretch without `await`, so what was checked still holds when it is used.
 */
import { assert } from "../assert.ts";
import {
  byIdIndexId,
  Catalog,
  type CatalogData,
  componentOf,
  type IndexId,
  isFilled,
  isSystemTable,
  qualifiedName,
  type TableNumber,
} from "../database/catalog.ts";
import { resolveWrites } from "../database/commit_timestamps.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { type Conflict, WriteLog, writtenPoints } from "../database/write_log.ts";
import { appComponent } from "../database/component.ts";
import type { IndexPoint, SchemaViolation, TableCreation } from "../database/write_set.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { goneTables, newTables } from "../persistence/catalog_change.ts";
import type { DocumentImport, ImportedDocument } from "../persistence/document_import.ts";
import {
  type CatalogChange,
  type CommittedTransaction,
  pendingSchemaViolationKey,
  type PersistenceWriter,
  type SessionRecord,
} from "../persistence/persistence.ts";
import { leftNoTrace, PersistenceError } from "../persistence/persistence_error.ts";
import type { IndexKey } from "../values/index_key.ts";
import type { AppliedCommit, CommitOutcome, CommitRequest, ServerWrites } from "./protocol.ts";

/**
 * Bounds of the write log: about 20 MiB of memory, and longer than a transaction may take. A transaction
 * that is older than the log has to run again.
 */
const writeLogLimits = { keysMax: 100_000, ageMax: 60_000_000 };

/**
 * What one step of a backfill may put into indexes, so that it takes a few milliseconds, in which no commit is
 * decided: documents and bytes, each times the number of indexes. One document is always let through.
 */
const backfillStepLimits = { entriesMax: 200, bytesMax: 128 * 1024 };

/** Results of client requests are kept for two weeks (semantics 11.3), in microseconds. */
const sessionRecordAgeMax = 14 * 24 * 60 * 60 * 1_000_000;
const prunedSessionRecordsMax = 1000;

export interface GroupResult {
  /** For each request what became of it, or why it could not be decided. */
  readonly outcomes: readonly (CommitOutcome | Error)[];
  readonly commits: readonly AppliedCommit[];
}

export interface CatalogChanged {
  readonly catalog: CatalogData;
  readonly commit: AppliedCommit;
}

/** Indexes of one table that are being filled in one pass. */
export interface Backfill {
  readonly indexes: readonly IndexId[];
  /** How far it has come: `BackfillStep.after` of the next step. */
  after: IndexKey;
}

/** What the requests of a group have added so far, not yet applied. */
interface Group {
  readonly transactions: CommittedTransaction[];
  readonly tables: TableCreation[];
  readonly sessionRecords: Map<string, SessionRecord>;
  lastTimestamp: Timestamp;
}

export class Committer {
  readonly #persistence: PersistenceWriter;
  readonly #environment: Environment;
  readonly #log: WriteLog;

  constructor(persistence: PersistenceWriter, environment: Environment) {
    this.#persistence = persistence;
    this.#environment = environment;
    this.#log = new WriteLog(persistence.lastTimestamp, writeLogLimits);
  }

  /** Newest timestamp that is visible. */
  get lastTimestamp(): Timestamp {
    return this.#persistence.lastTimestamp;
  }

  /**
   * Decides requests in their order.
   * @throws PersistenceError when nobody knows any more what is on disk.
   */
  commit(requests: readonly CommitRequest[]): GroupResult {
    const before = this.lastTimestamp;
    const group: Group = {
      transactions: [],
      tables: [],
      sessionRecords: new Map(),
      lastTimestamp: before,
    };
    let outcomes: CommitOutcome[];
    try {
      outcomes = requests.map((request) => this.#decide(request, group));
      this.#persistence.apply(group.transactions);
    } catch (error) {
      this.#log.removeAfter(before);
      if (!leftNoTrace(error)) throw error;
      return this.#failed(requests, error);
    }
    this.#log.prune();
    return { outcomes, commits: group.transactions.map(appliedCommit) };
  }

  /** What becomes of a group whose transaction was rolled back. */
  #failed(requests: readonly CommitRequest[], error: unknown): GroupResult {
    const meetsAll = error instanceof PersistenceError && error.code !== "Constraint";
    if (meetsAll || requests.length === 1) {
      return { outcomes: requests.map(() => refusal(error)), commits: [] };
    }
    // One of them is to blame, and the others shall not suffer for it.
    const results = requests.map((request) => this.commit([request]));
    return {
      outcomes: results.flatMap(({ outcomes }) => outcomes),
      commits: results.flatMap(({ commits }) => commits),
    };
  }

  #decide(request: CommitRequest, group: Group): CommitOutcome {
    const record = this.#sessionRecord(request, group);
    if (record !== undefined) return { kind: "replayed", record };
    const conflict = this.#findConflict(request, group);
    if (conflict !== undefined) return this.#conflictOutcome(conflict);

    const timestamp = this.#timestampAfter(group.lastTimestamp);
    const writes = resolveWrites(request.writes, timestamp);
    const transaction = { ...request, writes, timestamp };
    group.lastTimestamp = timestamp;
    group.transactions.push(transaction);
    group.tables.push(...request.writes.tables);
    const { session } = request;
    if (session !== undefined) {
      const { result, logLines } = session;
      group.sessionRecords.set(sessionKey(session), { timestamp, result, logLines });
    }
    this.#log.append(transaction);
    return { kind: "committed", timestamp };
  }

  #sessionRecord({ session }: CommitRequest, group: Group): SessionRecord | undefined {
    if (session === undefined) return undefined;
    return group.sessionRecords.get(sessionKey(session)) ??
      this.#persistence.getSessionRecord(session.sessionId, session.requestId);
  }

  #findConflict(request: CommitRequest, group: Group): Conflict | undefined {
    if (request.structureVersion !== this.#persistence.catalog.structureVersion) return {};
    const { snapshot, reads, dependsOn, origin } = request;
    const isolate = origin && { isolate: origin.isolate };
    return this.#log.findConflict({ snapshot, reads, dependsOn, ...isolate }) ??
      this.#tableConflict(request.writes.tables, group);
  }

  /** Two isolates that create tables at the same time choose the same number. */
  #tableConflict(created: readonly TableCreation[], group: Group): Conflict | undefined {
    if (created.length === 0) return undefined;
    const { tables, components = [] } = this.#persistence.catalog;
    const existing = [...tables, ...group.tables];
    const isRefused = created.some((table) => {
      const owner = componentOf(table);
      const isOwned = owner === appComponent || components.some(({ id }) => id === owner);
      return !isOwned ||
        existing.some((other) =>
          other.number === table.number || qualifiedName(other) === qualifiedName(table)
        );
    });
    return isRefused ? {} : undefined;
  }

  /** System tables are not named to clients (semantics 11.2). */
  #conflictOutcome({ table, id, source }: Conflict): CommitOutcome {
    const name = this.#persistence.catalog.tables
      .find(({ number, name }) => number === table && !isSystemTable(name))?.name;
    return {
      kind: "conflict",
      ...(name !== undefined && { table: name }),
      ...(id !== undefined && { id }),
      ...(source !== undefined && { writer: source }),
    };
  }

  /** The wall clock, or the next microsecond if it has not moved on or has been set back. */
  #timestampAfter(timestamp: Timestamp): Timestamp {
    return Math.max(timestamp + 1, Math.floor(this.#environment.nowMs() * 1000)) as Timestamp;
  }

  /**
   * Makes a change of tables, indexes, schemas and records visible, together with one of system documents.
   * @throws RequestError when it would activate a schema that a document contradicts by now, or when a commit since
   * then touched what `changed` read.
   */
  changeCatalog(change: CatalogChange, changed?: ServerWrites): CatalogChanged {
    const violation = activatesSchema(change) &&
      this.#persistence.getRecord(pendingSchemaViolationKey);
    if (violation) {
      const { error } = JSON.parse(violation) as SchemaViolation;
      throw new RequestError(
        "badRequest",
        "SchemaAlreadyFailed",
        `Schema has already been failed with error: ${error}`,
      );
    }
    if (changed !== undefined && this.#log.findConflict({ ...changed, dependsOn: [] })) {
      throw new RequestError(
        "writeConflict",
        "OptimisticConcurrencyControlFailure",
        "Data of the system changed while it was being read.",
      );
    }
    const documents = changed?.writes.documents ?? [];
    const before = this.#persistence.catalog;
    const timestamp = this.#timestampAfter(this.lastTimestamp);
    const catalog = this.#persistence.applyCatalogChange(change, timestamp, documents);
    // Who read which tables there are learns of those that go with their component, too.
    const writes = {
      documents,
      tables: [...newTables(before, change), ...goneTables(before, change)],
    };
    this.#log.append({ timestamp, writes });
    this.#log.prune();
    return { catalog, commit: appliedCommit({ timestamp, writes }) };
  }

  /**
   * Makes the end of an import visible, together with a change of system documents.
   * @throws RequestError with the code `ImportConflict` when what it was prepared for has changed, and `DuplicateId`
   * for a document that is there already.
   */
  importDocuments(
    change: DocumentImport,
    imported: Iterable<ImportedDocument>,
    changed: ServerWrites,
  ): CatalogChanged {
    const { catalog: before } = this.#persistence;
    const holdsSome = (table: TableNumber) => this.#persistence.documentKeys(table, 1).length > 0;
    if (
      before.version !== change.catalogVersion || change.requireEmpty.some(holdsSome) ||
      this.#log.findConflict({ ...changed, dependsOn: [] })
    ) {
      throw new RequestError("conflict", "ImportConflict", "The deployment changed meanwhile.");
    }
    const timestamp = this.#timestampAfter(this.lastTimestamp);
    const { documents } = changed.writes;
    const removedFiles = this.#fileKeys(change);
    let source = "";
    function* writes() {
      for (const document of imported) {
        source = document.source;
        yield document.write;
      }
    }
    let catalog: CatalogData;
    try {
      catalog = this.#persistence.importDocuments(change, writes(), timestamp, documents);
    } catch (error) {
      if (!(error instanceof PersistenceError) || error.code !== "Constraint") throw error;
      const message = `${source}: there is another document with this _id.`;
      throw new RequestError("badRequest", "DuplicateId", message, { cause: error });
    }
    // Imported documents are not named: transactions under way begin again because the catalog has changed.
    const moved = new Set(change.renumber.map(({ from }) => from));
    const renumbered = before.tables.filter(({ number }) => moved.has(number));
    const known = new Set(before.tables.map(qualifiedName));
    const created = catalog.tables.filter((table) => !known.has(qualifiedName(table)));
    const named = { documents, tables: [...created, ...renumbered] };
    this.#log.append({ timestamp, writes: named });
    this.#log.prune();
    const { keys } = appliedCommit({ timestamp, writes: named });
    return { catalog, commit: { timestamp, keys: [...keys, ...removedFiles] } };
  }

  /** The stored files that an import removes, whose bytes go when that is told. */
  #fileKeys({ emptyTables }: DocumentImport): IndexPoint[] {
    const files = new Catalog(this.#persistence.catalog).tablesNamed("_storage");
    return files.filter(({ number }) => emptyTables.includes(number)).flatMap(({ number }) =>
      this.#persistence.documentKeys(number, Number.MAX_SAFE_INTEGER)
        .map((key): IndexPoint => [byIdIndexId(number), key])
    );
  }

  /**
   * Puts some more existing documents into the indexes; when none are left, the change that marks them as filled.
   * @throws RequestError when the indexes have all been dropped.
   */
  backfill(backfill: Backfill): CatalogChanged | undefined {
    const indexes = this.#persistence.catalog.indexes.filter(({ id }) =>
      backfill.indexes.includes(id)
    );
    const [first] = indexes;
    if (first === undefined) {
      const ids = backfill.indexes.join(", ");
      throw new RequestError("conflict", "IndexDropped", `Index ${ids} does not exist any more.`);
    }
    const { table } = first;
    assert(indexes.every((index) => index.table === table), "a backfill reads one table");
    const { entriesMax, bytesMax } = backfillStepLimits;
    const after = this.#persistence.backfill({
      table,
      indexes: indexes.map(({ id }) => id),
      after: backfill.after,
      documentsMax: Math.ceil(entriesMax / indexes.length),
      bytesMax: bytesMax / indexes.length,
    });
    if (after !== null) {
      backfill.after = after;
      return undefined;
    }
    const setIndexState = indexes.filter((index) => !isFilled(index)).map(({ id, state }) => ({
      id,
      state: state === "backfilling" ? "backfilled" as const : "staged" as const,
    }));
    return this.changeCatalog({ setIndexState });
  }

  /** One bounded step of work that may wait; true when nothing is left to do. */
  maintain(): boolean {
    const before = this.#environment.nowMs() * 1000 - sessionRecordAgeMax as Timestamp;
    const pruned = this.#persistence.pruneSessionRecords(before, prunedSessionRecordsMax);
    return this.#persistence.maintain() && pruned;
  }
}

function activatesSchema({ activeSchema, components = [] }: CatalogChange): boolean {
  return Boolean(activeSchema) || components.some(({ activeSchema }) => Boolean(activeSchema));
}

function appliedCommit({ timestamp, writes }: CommittedTransaction): AppliedCommit {
  return { timestamp, keys: writtenPoints(writes) };
}

function sessionKey({ sessionId, requestId }: NonNullable<CommitRequest["session"]>): string {
  return `${requestId} ${sessionId}`;
}

/** What the client is told about a transaction that failed but left no trace. */
function refusal(error: unknown): Error {
  if (error instanceof PersistenceError && error.code !== "Constraint") {
    return new RequestError("overloaded", error.code, error.message, { cause: error });
  }
  return error instanceof Error ? error : new Error(String(error));
}
