/** Virtual time and repeatable randomness for tests. */
import { setImmediate } from "node:timers";
import type { Environment } from "../../src/environment.ts";

interface Timer {
  readonly atMs: number;
  readonly callback: () => void;
}

export class FakeEnvironment implements Environment {
  #nowMs = 0;
  #timers = new Set<Timer>();
  #randomState = 1;

  /** Of the wall clock at virtual time 0; a test may move it. */
  epochMs = 1_700_000_000_000;

  nowMs(): number {
    return this.epochMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  randomBytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.random() * 256));
  }

  random(): number {
    this.#randomState = (this.#randomState * 48_271) % 2_147_483_647;
    return this.#randomState / 2_147_483_647;
  }

  /** Lets time pass, and everything happen that is due by then. */
  async advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > until) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settle();
    }
    this.#nowMs = until;
  }
}

/** Returns when everything has happened that needs neither time nor input. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
