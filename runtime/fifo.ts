/**
 * First in, first out. Unlike an array it works whatever user code did to built-in objects: for what must not be lost
 * while a function runs.
 */
export class Fifo<T> {
  #first: Entry<T> | null = null;
  #last: Entry<T> | null = null;

  add(value: T): void {
    const entry = { value, next: null };
    if (this.#last === null) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
  }

  /** The oldest one, which leaves; null if there is none. */
  take(): T | null {
    const entry = this.#first;
    if (entry === null) return null;
    this.#first = entry.next;
    if (this.#first === null) this.#last = null;
    return entry.value;
  }
}

interface Entry<T> {
  readonly value: T;
  next: Entry<T> | null;
}
