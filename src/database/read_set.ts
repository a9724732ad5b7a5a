import type { KeyRange } from "../values/index_key.ts";
import type { IndexId } from "./catalog.ts";

export type KeyInterval = KeyRange;

/** What a transaction read: per index, disjoint intervals in ascending order. Crosses process boundaries as JSON. */
export type ReadSet = readonly (readonly [index: IndexId, intervals: readonly KeyInterval[]])[];
