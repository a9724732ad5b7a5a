/**
 * Time, timers and randomness of a simulation: events happen in the order of their virtual times, on one
 * thread, and everything follows from one seed.
 */
import { setImmediate } from "node:timers";
import type { Environment } from "../../src/environment.ts";
import type { SeededRandom } from "../support/random.ts";

interface Event {
  readonly atMs: number;
  readonly callback: () => void;
}

export class VirtualTime implements Environment {
  readonly #random: SeededRandom;
  readonly #events = new Set<Event>();
  #elapsedMs = 0;
  /** Wall clock at the start, and how far it has been set since. */
  #clockOffsetMs = 1_700_000_000_000;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  nowMs(): number {
    return this.#elapsedMs + this.#clockOffsetMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const event = { atMs: this.#elapsedMs + delayMs, callback };
    this.#events.add(event);
    return () => this.#events.delete(event);
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.integer(256));
  }

  random(): number {
    return this.#random.next();
  }

  /** Sets the wall clock, forwards or backwards. */
  stepClock(byMs: number): void {
    this.#clockOffsetMs += byMs;
  }

  /** Forgets everything that was going to happen. */
  clear(): void {
    this.#events.clear();
  }

  /** Lets events happen, each with all that follows from it at once, until none is left or `isOver`. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const event = this.#next();
      if (event === undefined) return;
      this.#events.delete(event);
      this.#elapsedMs = event.atMs;
      event.callback();
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  /** The earliest event; of those at the same time, the one that was set first. */
  #next(): Event | undefined {
    let next: Event | undefined;
    for (const event of this.#events) {
      if (next === undefined || event.atMs < next.atMs) next = event;
    }
    return next;
  }
}
