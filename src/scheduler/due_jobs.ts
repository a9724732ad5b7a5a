/**
 * Starts jobs when they are due, the earliest first, some at a time. What is to be done stands in the database alone;
 * in memory is only which jobs are running and which wait for another attempt.
 *
 * It looks whenever somebody says that jobs changed, when a job has ended, and when a timer fires.
 */
import type { CommitterClient } from "../committer/protocol.ts";
import type { QueryCursor, Transaction } from "../database/transaction.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import type { ValueObject } from "../values/value.ts";
import { JobClock, type TimedJob } from "./job_clock.ts";
import { type BackOffs, Retries } from "./retries.ts";

export interface DueJob extends TimedJob {
  readonly id: string;
  /** As the log calls it. */
  readonly name: string;
}

export interface DueJobsOptions<Job extends DueJob> {
  readonly transactions: Pick<ServerTransactions, "read">;
  readonly committer: Pick<CommitterClient, "appliedTimestamp">;
  readonly environment: Environment;
  /** Jobs that run at the same time. */
  readonly runningMax: number;
  readonly backOffs: BackOffs;
  /** What its jobs are called in the log. */
  readonly what: string;
  /** The documents of jobs that are waiting or running, by the time when they are due. */
  open(transaction: Transaction): QueryCursor;
  parse(document: ValueObject): Job;
  /** Runs a job to its end. A rejection means that it shall be tried again. */
  perform(job: Job): Promise<void>;
  /** False while nothing may start, which never lasts. */
  isReady?(): boolean;
  /** The clock was set back by more than a moment. */
  clockSetBack?(): void;
}

/** Nobody sleeps longer: the clock may be set meanwhile. */
const sleepMsMax = 5000;
const untilReadyMs = 20;

export class DueJobs<Job extends DueJob> {
  readonly #options: DueJobsOptions<Job>;
  readonly #clock: JobClock;
  readonly #retries: Retries;
  readonly #running = new Map<string, Promise<void>>();
  /** False before `start` and after `close`. */
  #isOpen = false;
  /** Those that `whilePaused` waits for. */
  #pauses = 0;
  #cancelTimer: () => void = () => {};

  constructor(options: DueJobsOptions<Job>) {
    this.#options = options;
    this.#clock = new JobClock(options.environment);
    this.#retries = new Retries(options.environment, options.backOffs);
  }

  start(): void {
    this.#isOpen = true;
    this.look();
  }

  /** Starts nothing more. Resolves when what is running has ended. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#cancelTimer();
    await Promise.all(this.#running.values());
  }

  /** Starts what is due; to be called when jobs have changed. */
  look(): void {
    if (!this.#isOpen || this.#pauses > 0) return;
    try {
      this.#startDue();
    } catch (error) {
      log("error", `The server cannot read which ${this.#options.what}s are due`, { error });
      this.#sleep(sleepMsMax);
    }
  }

  /** Runs nothing while `work` runs, not even what has begun already. */
  async whilePaused<T>(work: () => Promise<T>): Promise<T> {
    this.#pauses++;
    try {
      await Promise.all(this.#running.values());
      return await work();
    } finally {
      this.#pauses--;
      this.look();
    }
  }

  /** Starts what is due. Resolves when what runs has ended, with false if there was nothing. */
  async runDue(): Promise<boolean> {
    this.look();
    const running = [...this.#running.values()];
    await Promise.all(running);
    return running.length > 0;
  }

  /** When the first job that is not running is due, in milliseconds since the epoch; undefined when there is none. */
  nextDueMs(): number | undefined {
    const { transactions, open, parse } = this.#options;
    return transactions.read((transaction) => {
      const cursor = open(transaction);
      for (let next = cursor.next(); next !== null; next = cursor.next()) {
        const job = parse(next);
        if (!this.#running.has(job.id)) return job.dueMs;
      }
    });
  }

  #startDue(): void {
    const { committer, runningMax, isReady, clockSetBack } = this.#options;
    if (isReady?.() === false) return this.#sleep(untilReadyMs);
    if (this.#clock.observe(committer.appliedTimestamp / 1000)) clockSetBack?.();
    if (this.#running.size >= runningMax) return;
    const { due, sleepMs } = this.#findDue(runningMax - this.#running.size);
    for (const job of due) this.#running.set(job.id, this.#run(job));
    this.#cancelTimer();
    if (sleepMs !== undefined) this.#sleep(Math.min(sleepMs, sleepMsMax));
  }

  #sleep(delayMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#options.environment.setTimer(delayMs, () => this.look());
  }

  /** Up to `limit` jobs to start now, and when to look again; undefined when nothing is waiting. */
  #findDue(limit: number): { readonly due: readonly Job[]; readonly sleepMs: number | undefined } {
    const { transactions, open, parse } = this.#options;
    const { horizonMs, nowMs } = this.#clock;
    return transactions.read((transaction) => {
      const cursor = open(transaction);
      const due: Job[] = [];
      let sleepMs: number | undefined;
      for (let next = cursor.next(); next !== null && due.length < limit; next = cursor.next()) {
        const job = parse(next);
        if (this.#running.has(job.id)) continue;
        const isDue = this.#clock.isDue(job);
        const waitMs = Math.max(isDue ? 0 : job.dueMs - nowMs, this.#retries.waitMs(job.id));
        if (waitMs === 0) due.push(job);
        else sleepMs = Math.min(waitMs, sleepMs ?? Infinity);
        if (job.dueMs > horizonMs) break;
      }
      return { due, sleepMs };
    });
  }

  /** Never rejects. */
  async #run(job: Job): Promise<void> {
    const { perform, what } = this.#options;
    try {
      await perform(job);
      this.#retries.forget(job.id);
    } catch (error) {
      this.#retries.failed(job.id, error);
      // A busy server is no event.
      if (!(error instanceof RequestError)) {
        const { id, name } = job;
        log("warn", `A ${what} could not be run and is tried again`, { id, name, error });
      }
    }
    this.#running.delete(job.id);
    this.look();
  }
}
