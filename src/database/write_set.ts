import type { IndexKey } from "../values/index_key.ts";
import type { IndexId, TableDefinition, TableNumber } from "./catalog.ts";
import type { ComponentId } from "./component.ts";

/** One key of one index. */
export type IndexPoint = readonly [index: IndexId, key: IndexKey];

/**
 * The net effect of a transaction on one document: an insert (`removedKeys` empty), a change, or a
 * delete (`json` null). Removed, added and kept keys together are all index keys of both revisions. An
 * index whose key stays the same costs no work on disk. It crosses process boundaries as JSON.
 */
export interface DocumentWrite {
  readonly table: TableNumber;
  /** The document's id in text form. */
  readonly id: string;
  /** Storage row of the old revision; null for an insert, or when only the id is known. */
  readonly row: number | null;
  /** JSON text of the new revision, system fields included; null for a delete. */
  readonly json: string | null;
  /** True when the document exists in the snapshot (or in a transaction this one depends on). */
  readonly existed: boolean;
  readonly removedKeys: readonly IndexPoint[];
  readonly addedKeys: readonly IndexPoint[];
  /**
   * Keys that are the same in the old and the new revision, `by_id` always among them. Nothing is written
   * for them, but who read the document through such an index conflicts, or is invalidated, all the same.
   */
  readonly keptKeys: readonly IndexPoint[];
  /**
   * Keys of both revisions in search indexes (search/search_keys.ts): who read them conflicts or is
   * invalidated, and they are stored nowhere. Absent: none.
   */
  readonly searchKeys?: readonly IndexPoint[];
  /** Search indexes that hold something else of the new revision than of the old one. Absent: none. */
  readonly changedSearchIndexes?: readonly IndexId[];
}

/** A table that the transaction created by inserting into it. */
export type TableCreation = TableDefinition;

export interface WriteSet {
  readonly documents: readonly DocumentWrite[];
  readonly tables: readonly TableCreation[];
  /** Set when added keys and texts hold placeholders for the commit timestamp (`resolveWrites`). */
  readonly isUnresolved?: true;
  /** Set when a written document contradicts the schema of an unfinished push. */
  readonly pendingSchemaViolation?: SchemaViolation;
}

/** Why a schema cannot come into force: a document contradicts it. */
export interface SchemaViolation {
  readonly error: string;
  /** Absent: the app's. */
  readonly component?: ComponentId;
  readonly tableName: string | null;
}
