/** The database as of one timestamp: all that a transaction needs to know of what is below it. */
import type { IndexKey } from "../values/index_key.ts";
import type { Catalog, IndexId } from "./catalog.ts";
import type { KeyInterval } from "./read_set.ts";
import type { SearchSnapshot } from "./search/search_snapshot.ts";
import type { Timestamp } from "./timestamp.ts";

/** One revision as stored. `json` is canonical `convex_encoded_json` with system fields. */
export interface StoredDocument {
  readonly row: number;
  readonly json: string;
}

export type Order = "asc" | "desc";

/**
 * The database as of `timestamp`. Every call is synchronous and answers from that one state until `close`.
 */
export interface Snapshot {
  readonly timestamp: Timestamp;
  readonly catalog: Catalog;
  /** Of the isolate that opened it: its transactions up to this sequence number are decided in this snapshot. */
  readonly decidedSequence: number;
  /** The document with exactly this key in the index. */
  get(index: IndexId, key: IndexKey): StoredDocument | undefined;
  /** Up to `limit` documents of the interval, in key order or its reverse. */
  scan(index: IndexId, interval: KeyInterval, order: Order, limit: number): StoredDocument[];
  /** Its full-text indexes. */
  readonly search: SearchSnapshot;
  /** How many documents the interval holds. */
  count(index: IndexId, interval: KeyInterval): number;
  close(): void;
}
