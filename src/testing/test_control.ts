/**
 * What a test may do to its server: move the clock, run jobs to their end, and begin again with an empty database.
 * One thing at a time: whoever asks for another meanwhile waits.
 */
import { appComponent, type ComponentId } from "../database/component.ts";
import { type CronDefinition, replaceCronJobs } from "../database/cron_jobs.ts";
import type { Query } from "../database/query.ts";
import type { QueryCursor, Transaction } from "../database/transaction.ts";
import { RequestError } from "../errors.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import type { TestClock } from "./test_clock.ts";

/** `DueJobs` of src/scheduler/ is the implementation. */
export interface TestableJobs {
  /** Runs what is due, to its end; false if there was nothing. */
  runDue(): Promise<boolean>;
  /** Runs nothing while `work` runs, not even what has begun already. */
  whilePaused<T>(work: () => Promise<T>): Promise<T>;
  /** When the next one that waits is due, in milliseconds since the epoch; undefined when none waits. */
  nextDueMs(): number | undefined;
}

export interface TestControlParts {
  readonly clock: TestClock;
  readonly transactions: ServerTransactions;
  readonly scheduled: TestableJobs;
  readonly cronJobs: TestableJobs;
  /** Of the live deployment, by component. */
  readonly cronDefinitions: () => ReadonlyMap<ComponentId, readonly CronDefinition[]>;
}

/** Jobs that schedule each other would never end: after so many rounds a request gives up. */
const roundsMax = 1000;
/** Documents that one transaction deletes. */
const batchSize = 1000;
/** Between looks at a job that failed and waits for another attempt, in milliseconds. */
const retryPauseMs = 20;
/** Cron jobs are the deployment's. */
const systemTableNames = ["_scheduled_functions", "_storage"];

export class TestControl {
  readonly #parts: TestControlParts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: TestControlParts) {
    this.#parts = parts;
  }

  get nowMs(): number {
    return this.#parts.clock.nowMs();
  }

  /** Sets the clock. Scheduled functions that are due by then run; cron jobs begin anew from there. */
  setClock(nowMs: number): Promise<void> {
    return this.#alone(async () => {
      await this.#parts.cronJobs.whilePaused(async () => {
        this.#parts.clock.set(nowMs);
        await this.#renewCronJobs();
      });
      await this.#settle();
    });
  }

  /** Lets time pass: each job that is due meanwhile runs at its time, to its end. */
  advance(ms: number): Promise<void> {
    const { clock, scheduled, cronJobs } = this.#parts;
    return this.#alone(async () => {
      const untilMs = clock.nowMs() + ms;
      await this.#runUntil(untilMs, [scheduled, cronJobs]);
      if (clock.nowMs() < untilMs) clock.set(untilMs);
      await this.#settle();
    });
  }

  /** Lets time pass from one scheduled function to the next until none waits. Cron jobs run in between. */
  runScheduled(): Promise<void> {
    const { scheduled } = this.#parts;
    return this.#alone(() => this.#runUntil(Infinity, [scheduled]));
  }

  /** Deletes all documents, jobs and files; code, schema and environment variables stay. The clock is right again. */
  clear(): Promise<void> {
    const { scheduled, cronJobs, clock } = this.#parts;
    const begin = async () => {
      await this.#empty();
      clock.reset();
      await this.#renewCronJobs();
    };
    return this.#alone(() => scheduled.whilePaused(() => cronJobs.whilePaused(begin)));
  }

  async #renewCronJobs(): Promise<void> {
    const { transactions, cronDefinitions } = this.#parts;
    await transactions.write((transaction) => {
      for (const [component, definitions] of cronDefinitions()) {
        const own = transaction.ofComponent(component);
        replaceCronJobs(own, []);
        replaceCronJobs(own, definitions);
      }
    });
  }

  /** Runs jobs at their times until none of `kinds` is due by then. */
  async #runUntil(
    untilMs: number,
    kinds: readonly TestableJobs[],
  ): Promise<void> {
    const { clock } = this.#parts;
    await this.#settle();
    for (let rounds = 0;; rounds++) {
      const nextMs = Math.min(...kinds.map((kind) => kind.nextDueMs() ?? Infinity));
      if (nextMs === Infinity || nextMs > untilMs) return;
      if (untilMs === Infinity && rounds === roundsMax) throw tooMany();
      // What waits for another attempt is due already, and waits by the machine's clock.
      if (nextMs > clock.nowMs()) clock.set(nextMs);
      else await this.#pause();
      await this.#settle();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.setTimer(retryPauseMs, resolve));
  }

  /** Runs what is due, and what that makes due. */
  async #settle(): Promise<void> {
    const { scheduled, cronJobs } = this.#parts;
    for (let rounds = 0; rounds < roundsMax; rounds++) {
      const hasRun = [await scheduled.runDue(), await cronJobs.runDue()];
      if (!hasRun.includes(true)) return;
    }
    throw tooMany();
  }

  /** Deletes the documents of the user's tables, jobs and files. */
  async #empty(): Promise<void> {
    const { transactions } = this.#parts;
    while (await transactions.write((transaction) => deleteSome(transaction)) === batchSize);
  }

  /** Runs `work` when what was asked for before has ended. */
  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    // The next one does not depend on whether this one worked; its caller learns that.
    this.#last = result.catch(() => {});
    return await result;
  }
}

/** Those of the user, or of the system. */
interface Documents {
  openQuery(query: Query): QueryCursor;
  delete(id: string): unknown;
}

/** Deletes up to `batchSize` documents and returns how many. */
function deleteSome(transaction: Transaction): number {
  let count = 0;
  const empty = (tables: readonly string[], documents: Documents) => {
    for (const tableName of tables) {
      const cursor = documents.openQuery({
        source: { type: "FullTableScan", tableName, order: "asc" },
        operators: [{ limit: batchSize - count }],
      });
      for (const { _id } of cursor.collect()) {
        documents.delete(_id as string);
        count++;
      }
    }
  };
  const { components = [] } = transaction.options.snapshot.catalog.data;
  for (const id of new Set([appComponent, ...components.map(({ id }) => id)])) {
    const own = transaction.ofComponent(id);
    empty(own.userTables().map(({ name }) => name), own);
    empty(systemTableNames, own.system);
  }
  return count;
}

function tooMany(): RequestError {
  return new RequestError(
    "badRequest",
    "TooManyJobs",
    `Jobs have run ${roundsMax} times one after the other, and there are more: look for functions that schedule ` +
      "each other for ever. The clock stands where the last of them ran.",
  );
}
