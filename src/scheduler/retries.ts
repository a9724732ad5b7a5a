/** When jobs that failed for a reason of the server's own are tried again (semantics 13.2). */
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";

interface BackOff {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** Somebody else was faster; that usually passes at once. */
const afterConflict: BackOff = { firstMs: 100, maxMs: 60_000 };
const afterFailure: BackOff = { firstMs: 500, maxMs: 2 * 60 * 60 * 1000 };

interface Retry {
  readonly failures: number;
  /** Wall clock, in milliseconds. */
  readonly notBeforeMs: number;
}

/** In memory alone: after a restart every job is tried at once. */
export class Retries {
  readonly #environment: Environment;
  readonly #retries = new Map<string, Retry>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** When the job may be tried again; undefined when nothing holds it back. */
  notBeforeMs(id: string): number | undefined {
    return this.#retries.get(id)?.notBeforeMs;
  }

  failed(id: string, error: unknown): void {
    const isConflict = error instanceof RequestError && error.kind === "writeConflict";
    const { firstMs, maxMs } = isConflict ? afterConflict : afterFailure;
    const failures = (this.#retries.get(id)?.failures ?? 0) + 1;
    const delayMs = Math.min(firstMs * 2 ** (failures - 1), maxMs);
    const jitter = 0.5 + this.#environment.random() / 2;
    const notBeforeMs = this.#environment.nowMs() + delayMs * jitter;
    this.#retries.set(id, { failures, notBeforeMs });
  }

  /** The job is over, or has begun. */
  forget(id: string): void {
    this.#retries.delete(id);
  }
}
