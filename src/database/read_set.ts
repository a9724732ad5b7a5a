import type { IndexKey } from "../values/index_key.ts";
import type { IndexId } from "./catalog.ts";

/** The keys k with lower <= k < upper. `upper` null: no upper end. */
export interface KeyInterval {
  readonly lower: IndexKey;
  readonly upper: IndexKey | null;
}

/** What a transaction read: per index, disjoint intervals in ascending order. Crosses process boundaries as JSON. */
export type ReadSet = readonly (readonly [index: IndexId, intervals: readonly KeyInterval[]])[];
