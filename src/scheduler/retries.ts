/** When jobs that failed for a reason of the server's own are tried again (semantics 13.2, 18). */
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";

export interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
}

export interface BackOffs {
  /** Somebody else was faster; that usually passes at once. */
  readonly afterConflict: BackOff;
  readonly afterFailure: BackOff;
}

interface Retry {
  readonly failures: number;
  /** Monotonic clock, in milliseconds. */
  readonly notBeforeMs: number;
}

/** In memory alone: after a restart every job is tried at once. */
export class Retries {
  readonly #environment: Environment;
  readonly #backOffs: BackOffs;
  readonly #retries = new Map<string, Retry>();

  constructor(environment: Environment, backOffs: BackOffs) {
    this.#environment = environment;
    this.#backOffs = backOffs;
  }

  /** How long the job must still wait, in milliseconds; 0 when nothing holds it back. */
  waitMs(id: string): number {
    const retry = this.#retries.get(id);
    return retry === undefined
      ? 0
      : Math.max(0, retry.notBeforeMs - this.#environment.monotonicMs());
  }

  failed(id: string, error: unknown): void {
    const isConflict = error instanceof RequestError && error.kind === "writeConflict";
    const { firstMs, maxMs } = isConflict
      ? this.#backOffs.afterConflict
      : this.#backOffs.afterFailure;
    const failures = (this.#retries.get(id)?.failures ?? 0) + 1;
    const delayMs = Math.min(firstMs * 2 ** (failures - 1), maxMs);
    const jitter = 0.5 + this.#environment.random() / 2;
    const notBeforeMs = this.#environment.monotonicMs() + delayMs * jitter;
    this.#retries.set(id, { failures, notBeforeMs });
  }

  /** The job is over, or has begun. */
  forget(id: string): void {
    this.#retries.delete(id);
  }
}
