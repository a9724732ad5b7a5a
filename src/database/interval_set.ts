import type { IndexKey, KeyRange } from "../values/index_key.ts";

/** Above every key: keys have no character beyond 0xFF. Stands for the missing upper end of an interval. */
const endOfKeys = "\uffff" as IndexKey;

/**
 * A set of keys as disjoint, ascending intervals that do not touch: what is added merges with its
 * neighbours, so that `size` counts the distinct stretches of an index that were read.
 */
export class IntervalSet {
  readonly #lowers: IndexKey[] = [];
  readonly #uppers: IndexKey[] = [];

  get size(): number {
    return this.#lowers.length;
  }

  add(interval: KeyRange): void {
    const { lower } = interval;
    const upper = interval.upper ?? endOfKeys;
    if (lower >= upper) return;
    // Those from `first` up to before `end` touch the new interval and merge with it.
    const first = firstIndex(this.#uppers, (other) => other >= lower);
    const end = firstIndex(this.#lowers, (other) => other > upper);
    if (first === end) {
      this.#lowers.splice(first, 0, lower);
      this.#uppers.splice(first, 0, upper);
      return;
    }
    if (lower < this.#lowers[first]!) this.#lowers[first] = lower;
    const lastUpper = this.#uppers[end - 1]!;
    this.#uppers[first] = upper > lastUpper ? upper : lastUpper;
    if (end - first > 1) {
      this.#lowers.splice(first + 1, end - first - 1);
      this.#uppers.splice(first + 1, end - first - 1);
    }
  }

  has(key: IndexKey): boolean {
    const index = firstIndex(this.#uppers, (upper) => upper > key);
    return index < this.#lowers.length && this.#lowers[index]! <= key;
  }

  toIntervals(): KeyRange[] {
    return this.#lowers.map((lower, i) => {
      const upper = this.#uppers[i]!;
      return { lower, upper: upper === endOfKeys ? null : upper };
    });
  }
}

/** The first index whose element satisfies `test`, which holds from some element onwards; the length if none does. */
export function firstIndex<T>(sorted: readonly T[], test: (element: T) => boolean): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (test(sorted[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
