/**
 * The two narrow interfaces to what is on disk: a snapshot reader, used inside isolates, and a writer,
 * used by the committer alone. Nothing above them knows which database is below (ARCHITECTURE 11).
 */
import type {
  CatalogData,
  IndexId,
  IndexSpec,
  IndexState,
  SchemaDefinition,
  TableNumber,
} from "../database/catalog.ts";
import type { Component, ComponentId } from "../database/component.ts";
import type { Snapshot } from "../database/snapshot.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { DocumentWrite, WriteSet } from "../database/write_set.ts";
import type { IndexKey } from "../values/index_key.ts";
import type { DocumentImport } from "./document_import.ts";

export type { Order, Snapshot, StoredDocument } from "../database/snapshot.ts";

export interface SnapshotReader {
  /** Begins a read transaction on the newest visible state. One at a time. `isolate` selects `decidedSequence`. */
  open(isolate?: number): Snapshot;
  /** A record by key, outside of any snapshot transaction's caching: newest visible state. */
  getRecord(key: string): string | undefined;
  /** Result of an earlier mutation of this client request, if its record still exists (semantics 11.3). */
  getSessionRecord(sessionId: string, requestId: number): SessionRecord | undefined;
  close(): void;
}

/** A reader that also knows what the newest state no longer shows. */
export interface HistoryReader extends SnapshotReader {
  /** Like `open`, as of `timestamp`, which must be visible; undefined when that state is not kept any more. */
  openAt(timestamp: Timestamp, isolate?: number): Snapshot | undefined;
}

export interface SessionRecord {
  readonly timestamp: Timestamp;
  /** JSON text of the encoded result. */
  readonly result: string;
  /** JSON text: array of log lines. */
  readonly logLines: string;
}

/** What one transaction adds to a batch. */
export interface CommittedTransaction {
  readonly timestamp: Timestamp;
  readonly writes: WriteSet;
  /** Isolate and sequence number, so that snapshots can tell what is decided (`Snapshot.decidedSequence`). */
  readonly origin?: TransactionOrigin;
  readonly session?: {
    readonly sessionId: string;
    readonly requestId: number;
    readonly result: string;
    readonly logLines: string;
  };
}

export interface TransactionOrigin {
  readonly isolate: number;
  readonly sequence: number;
}

export type NewIndex = IndexSpec & {
  readonly table: string;
  readonly name: string;
  readonly staged: boolean;
};

/** A change of what is declared of the tables of the app, or of one component. */
export interface TablesChange {
  readonly createTables?: readonly string[];
  readonly createIndexes?: readonly NewIndex[];
  /** Absent: unchanged. */
  readonly activeSchema?: SchemaDefinition | null;
  readonly pendingSchema?: SchemaDefinition | null;
}

/** A change of components, tables, indexes, schemas and records that becomes visible as one commit. */
export interface CatalogChange extends TablesChange {
  /**
   * New components, which get their system tables, and those whose state changes; parents before their children.
   * Indexes that the same change creates in a new component are ready at once: there is nothing to fill them with.
   */
  readonly setComponents?: readonly Component[];
  /** Components whose documents are all deleted, and which no other component has for a parent: they are forgotten. */
  readonly removeComponents?: readonly ComponentId[];
  /** What changes for the tables of components. */
  readonly components?: readonly (TablesChange & { readonly component: ComponentId })[];
  readonly setIndexState?: readonly { id: IndexId; state: IndexState }[];
  readonly dropIndexes?: readonly IndexId[];
  /** Named JSON texts, e.g. the active deployment; null removes one. */
  readonly records?: readonly { key: string; json: string | null }[];
}

/**
 * Key of the record that a commit leaves when it contradicts a pending schema: JSON text of the first
 * `SchemaViolation`. Setting `pendingSchema`, of whomever, removes it.
 */
export const pendingSchemaViolationKey = "pending_schema_violation";

/** Whether it sets a pending schema: what was found against the one before means nothing any more. */
export function changesPendingSchema({ pendingSchema, components = [] }: CatalogChange): boolean {
  return pendingSchema !== undefined ||
    components.some(({ pendingSchema }) => pendingSchema !== undefined);
}

/** Documents in the order of `by_creation_time`: that of their rows, which are so read from one place. */
export interface BackfillStep {
  readonly table: TableNumber;
  readonly indexes: readonly IndexId[];
  /** Key of the last document of the step before; `lowestKey` in the first one. */
  readonly after: IndexKey;
  readonly documentsMax: number;
  /** The document that exceeds it is the last one. */
  readonly bytesMax: number;
}

/**
 * Used by the committer thread alone. Synchronous but for `sync`. A method that throws an error of which
 * `leftNoTrace` is true has changed nothing; after any other error nobody knows, and the server must stop.
 */
export interface PersistenceWriter {
  readonly lastTimestamp: Timestamp;
  readonly catalog: CatalogData;
  /** Makes the batch visible to snapshots opened from now on, all or nothing. Not yet durable. */
  apply(batch: readonly CommittedTransaction[]): void;
  /**
   * Applies a catalog change and changes of system documents at `timestamp` and returns the new catalog. Not yet
   * durable.
   */
  applyCatalogChange(
    change: CatalogChange,
    timestamp: Timestamp,
    documents?: readonly DocumentWrite[],
  ): CatalogData;
  /**
   * Applies the end of an import at `timestamp`, together with changes of system documents, and returns the new
   * catalog. Not yet durable.
   */
  importDocuments(
    change: DocumentImport,
    imported: Iterable<DocumentWrite>,
    timestamp: Timestamp,
    documents?: readonly DocumentWrite[],
  ): CatalogData;
  /** Up to `limit` of a table's keys in `by_id`. */
  documentKeys(table: TableNumber, limit: number): IndexKey[];
  /**
   * Puts some more existing documents of a table into its declared indexes, and returns where the next step
   * goes on; null when none are left. Changes no state. Doing it again is harmless.
   */
  backfill(step: BackfillStep): IndexKey | null;
  /** Resolves when everything applied before the call is on disk. A rejection means: outcome unknown, stop. */
  sync(): Promise<void>;
  getRecord(key: string): string | undefined;
  getSessionRecord(sessionId: string, requestId: number): SessionRecord | undefined;
  /** Removes up to `limit` session records older than `before`; true when none are left. */
  pruneSessionRecords(before: Timestamp, limit: number): boolean;
  /**
   * One bounded step of work that may wait for an idle moment, such as deleting entries of dropped indexes;
   * true when nothing is left to do.
   */
  maintain(): boolean;
  close(): void;
}
