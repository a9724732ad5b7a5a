/**
 * Holds commits back for a moment, so that a reader who needs several results of one timestamp gets them
 * even while writers are faster than its queries.
 *
 *     open ──────── closed: commits wait ──────── open `openFactor` times as long ──────── closed …
 *                   (at most `closedMsMax`)
 *
 * Who asks while it is closed shares that closure; who asks too early after one waits for the next. So
 * readers, however many, take at most a fifth of the writers' time.
 */
import type { Environment } from "../environment.ts";

/** An upper bound on what one closure costs a writer, in milliseconds. */
const closedMsMax = 200;
const openFactor = 4;

interface Closure {
  readonly closedAtMs: number;
  readonly opened: Promise<void>;
  readonly open: () => void;
  readonly cancelTimer: () => void;
  users: number;
}

export class CommitGate {
  readonly #environment: Environment;
  #closure: Closure | null = null;
  /** Monotonic time before which it must not close again. */
  #mayCloseAtMs = -Infinity;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Resolves when commits may go on; undefined when they need not wait at all. */
  get opened(): Promise<void> | undefined {
    return this.#closure?.opened;
  }

  /** Runs `work` while no commit begins, or as much of it as fits into one closure. */
  async whileClosed<T>(work: () => Promise<T>): Promise<T> {
    await this.#mayClose();
    const closure = this.#closure ?? this.#close();
    closure.users++;
    try {
      return await work();
    } finally {
      closure.users--;
      if (closure.users === 0) this.#reopen(closure);
    }
  }

  async #mayClose(): Promise<void> {
    while (this.#closure === null) {
      const waitMs = this.#mayCloseAtMs - this.#environment.monotonicMs();
      if (waitMs <= 0) return;
      await new Promise<void>((resolve) => this.#environment.setTimer(waitMs, resolve));
    }
  }

  #close(): Closure {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>();
    const closure: Closure = {
      closedAtMs: this.#environment.monotonicMs(),
      opened,
      open,
      cancelTimer: this.#environment.setTimer(closedMsMax, () => this.#reopen(closure)),
      users: 0,
    };
    return this.#closure = closure;
  }

  #reopen(closure: Closure): void {
    if (this.#closure !== closure) return;
    this.#closure = null;
    closure.cancelTimer();
    const now = this.#environment.monotonicMs();
    this.#mayCloseAtMs = now + openFactor * (now - closure.closedAtMs);
    closure.open();
  }
}
