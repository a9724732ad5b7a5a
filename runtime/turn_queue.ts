/** Runs asynchronous work one after the other, in the order it was asked for. */
import type { Queue } from "./settle.ts";

export class TurnQueue implements Queue {
  #tail: Promise<unknown> = Promise.resolve();
  #length = 0;

  get isEmpty(): boolean {
    return this.#length === 0;
  }

  add<T>(work: () => T | Promise<T>): Promise<T> {
    this.#length++;
    const done = this.#tail.then(work).finally(() => this.#length--);
    // Whoever asked for the work handles its failure.
    this.#tail = done.catch(() => {});
    return done;
  }

  async drained(): Promise<void> {
    await this.#tail;
  }
}
