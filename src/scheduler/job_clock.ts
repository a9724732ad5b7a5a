/**
 * The wall clock as those see it who wait for a time. Jobs are due by the wall clock, which may be set:
 *
 * - Forwards: what is due now is due. Who waits looks often enough to notice.
 * - Backwards: what had been due before must not wait until the clock gets there again. What was asked for
 *   afterwards is due by the new time, though, so the clock remembers which jobs there were.
 */
import type { Environment } from "../environment.ts";

export interface TimedJob {
  /** When it shall run, in milliseconds since the epoch. */
  readonly dueMs: number;
  /** Position in the order of creation, which no clock step disturbs; in milliseconds. */
  readonly creationTime: number;
}

interface Reading {
  readonly wallMs: number;
  readonly monotonicMs: number;
  readonly newestMs: number;
}

interface StepBack {
  /** Where the clock was. */
  readonly reachedMs: number;
  /** Jobs that were created until then had come to know that time. */
  readonly createdUntilMs: number;
}

/** Smaller steps are corrections that need no care. */
const stepMinMs = 1000;

export class JobClock {
  readonly #environment: Environment;
  #last: Reading | null = null;
  /** Those that the clock has not made up for yet. */
  #stepsBack: readonly StepBack[] = [];

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  get nowMs(): number {
    return this.#environment.nowMs();
  }

  /** No job that is due is later than this. */
  get horizonMs(): number {
    return Math.max(this.nowMs, ...this.#stepsBack.map(({ reachedMs }) => reachedMs));
  }

  isDue({ dueMs, creationTime }: TimedJob): boolean {
    return dueMs <= this.nowMs ||
      this.#stepsBack.some(({ reachedMs, createdUntilMs }) =>
        dueMs <= reachedMs && creationTime <= createdUntilMs
      );
  }

  /**
   * Compares the clock with the time that has passed; true if it was set back. To be called whenever there are new
   * jobs; none is newer than `newestMs`.
   */
  observe(newestMs: number): boolean {
    const wallMs = this.#environment.nowMs();
    const monotonicMs = this.#environment.monotonicMs();
    const last = this.#last;
    this.#last = { wallMs, monotonicMs, newestMs };
    this.#stepsBack = this.#stepsBack.filter(({ reachedMs }) => reachedMs > wallMs);
    if (last === null) return false;
    const reachedMs = last.wallMs + monotonicMs - last.monotonicMs;
    if (wallMs > reachedMs - stepMinMs) return false;
    this.#stepsBack = [...this.#stepsBack, { reachedMs, createdUntilMs: last.newestMs }];
    return true;
  }
}
