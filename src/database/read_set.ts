import type { IndexKey, KeyRange } from "../values/index_key.ts";
import type { IndexId } from "./catalog.ts";
import { firstIndex, IntervalSet } from "./interval_set.ts";

export type KeyInterval = KeyRange;

/** What a transaction read: per index, disjoint intervals in ascending order. Crosses process boundaries as JSON. */
export type ReadSet = readonly (readonly [index: IndexId, intervals: readonly KeyInterval[]])[];

/** Whether a key that appeared, disappeared or changed its document lies in what was read. */
export function readSetContains(reads: ReadSet, index: IndexId, key: IndexKey): boolean {
  for (const [readIndex, intervals] of reads) {
    if (readIndex !== index) continue;
    const next = firstIndex(intervals, ({ lower }) => lower > key);
    if (next === 0) return false;
    const { upper } = intervals[next - 1]!;
    return upper === null || key < upper;
  }
  return false;
}

/** Collects what a transaction reads while it runs. */
export class ReadRecorder {
  readonly #sets = new Map<IndexId, IntervalSet>();
  #intervals = 0;

  /** Distinct intervals read so far. */
  get intervals(): number {
    return this.#intervals;
  }

  add(index: IndexId, interval: KeyInterval): void {
    let set = this.#sets.get(index);
    if (set === undefined) this.#sets.set(index, set = new IntervalSet());
    const sizeBefore = set.size;
    set.add(interval);
    this.#intervals += set.size - sizeBefore;
  }

  addAll(other: ReadRecorder): void {
    for (const [index, intervals] of other.toReadSet()) {
      for (const interval of intervals) this.add(index, interval);
    }
  }

  has(index: IndexId, key: IndexKey): boolean {
    return this.#sets.get(index)?.has(key) ?? false;
  }

  toReadSet(): ReadSet {
    return [...this.#sets].map(([index, set]) => [index, set.toIntervals()] as const);
  }
}
