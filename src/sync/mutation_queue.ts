/**
 * The mutations of one socket: one at a time, in the order in which they arrived, whatever becomes of each
 * (sync-protocol 77).
 */
import type { Timestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";

/** Runs one mutation and sends its response; tells the commit timestamp as soon as it is decided. */
export type RunMutation = (onCommitted: (timestamp: Timestamp) => void) => Promise<void>;

interface Running {
  readonly startedMs: number;
  readonly answered: Promise<void>;
  committedAt: Timestamp | null;
}

export interface MutationQueueOptions {
  /** Config.socketMutationsMax. */
  readonly waitingMax: number;
  readonly monotonicMs: () => number;
  /** A mutation that could not be run, or not be answered. */
  readonly onError: (error: unknown) => void;
}

export class MutationQueue {
  readonly #options: MutationQueueOptions;
  #waiting: RunMutation[] = [];
  #running: Running | null = null;

  constructor(options: MutationQueueOptions) {
    this.#options = options;
  }

  /** Monotonic time at which the mutation that runs was begun. */
  get runningSinceMs(): number | undefined {
    return this.#running?.startedMs;
  }

  /** @throws RequestError when too many are waiting. */
  push(run: RunMutation): void {
    if (this.#waiting.length >= this.#options.waitingMax) {
      throw new RequestError(
        "rateLimited",
        "TooManyConcurrentMutations",
        `Too many concurrent mutations. Only up to ${this.#options.waitingMax} pending mutations ` +
          "allowed on a single websocket.",
      );
    }
    this.#waiting.push(run);
    if (this.#running === null) this.#runNext();
  }

  /** Resolves when every mutation that committed at or before `timestamp` has been answered. */
  async answeredThrough(timestamp: Timestamp): Promise<void> {
    while (this.owesAnswer(timestamp)) await this.answered;
  }

  /** Whether a mutation that committed at or before `timestamp` has not been answered. */
  owesAnswer(timestamp: Timestamp): boolean {
    const committedAt = this.#running?.committedAt ?? null;
    return committedAt !== null && committedAt <= timestamp;
  }

  /** Resolves when the mutation that runs has been answered. */
  get answered(): Promise<void> | undefined {
    return this.#running?.answered;
  }

  /** What has not begun never will. */
  clear(): void {
    this.#waiting = [];
  }

  #runNext(): void {
    const run = this.#waiting.shift();
    if (run === undefined) return;
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    const running: Running = {
      startedMs: this.#options.monotonicMs(),
      answered,
      committedAt: null,
    };
    this.#running = running;
    run((timestamp) => running.committedAt = timestamp)
      .catch(this.#options.onError)
      .finally(() => {
        this.#running = null;
        resolve();
        this.#runNext();
      });
  }
}
