import type { Environment } from "../environment.ts";

/** The main thread goes on with other work after this long, in milliseconds. */
const sliceMs = 4;

/** Lets other work of the thread have its turn. */
export class Pace {
  readonly #environment: Environment;
  readonly #signal: AbortSignal;
  #beganMs: number;

  constructor(environment: Environment, signal: AbortSignal) {
    this.#environment = environment;
    this.#signal = signal;
    this.#beganMs = environment.monotonicMs();
  }

  async yield(): Promise<void> {
    if (this.#environment.monotonicMs() - this.#beganMs < sliceMs) return;
    await new Promise<void>((resolve) => this.#environment.setTimer(0, resolve));
    this.#signal.throwIfAborted();
    this.#beganMs = this.#environment.monotonicMs();
  }
}
