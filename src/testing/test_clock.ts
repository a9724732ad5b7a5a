/** A wall clock that tests move. Between two moves it goes on as the machine's does; durations and timers are real. */
import { type Environment, systemEnvironment } from "../environment.ts";

export class TestClock implements Environment {
  readonly #machine: Environment;
  #offsetMs = 0;
  #lastMs = 0;

  constructor(machine: Environment = systemEnvironment) {
    this.#machine = machine;
  }

  get clockOffsetMs(): number {
    return this.#offsetMs;
  }

  nowMs(): number {
    const nowMs = this.#machine.nowMs() + this.#offsetMs;
    if (this.#offsetMs === 0) return nowMs;
    // Creation times come from here, and timestamps of commits are no longer ahead of them: documents need an order.
    return this.#lastMs = Math.max(nowMs, this.#lastMs + 1);
  }

  /** From now on the time is `nowMs` and goes on from there. */
  set(nowMs: number): void {
    this.#offsetMs = nowMs - this.#machine.nowMs();
    this.#lastMs = nowMs - 1;
  }

  /** From now on the time is the machine's again. */
  reset(): void {
    this.#offsetMs = 0;
  }

  monotonicMs(): number {
    return this.#machine.monotonicMs();
  }

  setTimer(delayMs: number, callback: () => void): () => void {
    return this.#machine.setTimer(delayMs, callback);
  }

  randomBytes(length: number): Uint8Array {
    return this.#machine.randomBytes(length);
  }

  random(): number {
    return this.#machine.random();
  }
}
