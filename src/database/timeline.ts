import { firstIndex } from "./interval_set.ts";
import type { Timestamp } from "./timestamp.ts";

/** Items in the order of their timestamps: added at the newer end, taken away at either end. */
export class Timeline<T extends { readonly timestamp: Timestamp }> {
  readonly #items: T[] = [];
  /** Those before it are taken away; they are cut off when they are half of the array. */
  #first = 0;

  get length(): number {
    return this.#items.length - this.#first;
  }

  get oldest(): T | undefined {
    return this.#items[this.#first];
  }

  get newest(): T | undefined {
    return this.length === 0 ? undefined : this.#items.at(-1);
  }

  push(item: T): void {
    this.#items.push(item);
  }

  takeOldest(): T | undefined {
    const { oldest } = this;
    if (oldest === undefined) return undefined;
    this.#first++;
    if (this.#first * 2 > this.#items.length) {
      this.#items.splice(0, this.#first);
      this.#first = 0;
    }
    return oldest;
  }

  takeNewest(): T | undefined {
    return this.length === 0 ? undefined : this.#items.pop();
  }

  /** Those later than `timestamp`, which must not be before any that was taken away. */
  after(timestamp: Timestamp): T[] {
    return this.#items.slice(firstIndex(this.#items, (item) => item.timestamp > timestamp));
  }
}
