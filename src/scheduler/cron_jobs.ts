/**
 * Runs the cron jobs of the live deployment (semantics 18). Which there are, and when each runs next, stands in
 * `_cron_jobs`; a push changes that in the commit that changes the code (src/deploy/push.ts).
 *
 *   1. At start, actions found in progress are given up: nobody knows how far they came.
 *   2. `DueJobs` starts what is due. A job that runs is not started again, so its runs never overlap.
 *   3. A mutation moves its job on in its own commit. An action's job is marked `inProgress` before it starts, and
 *      moved on afterwards. What fails moves on, too.
 *   4. How each run ended is noted afterwards; a crash in between costs the note, never the run.
 */
import type { AppliedCommit, CommitterClient } from "../committer/protocol.ts";
import type { Config } from "../config.ts";
import { systemIndexes } from "../database/catalog.ts";
import {
  type CronJob,
  cronJobsByTime,
  type CronRunStatus,
  getCronJob,
  listCronJobs,
  parseCronJob,
  recordCronRun,
} from "../database/cron_jobs.ts";
import { timeAfter, timeByClock } from "../database/cron_schedule.ts";
import type { Transaction } from "../database/transaction.ts";
import type { Environment } from "../environment.ts";
import { failureText } from "../functions/failure_text.ts";
import type { CallContext, FunctionResult, Functions } from "../functions/functions.ts";
import type { Modules } from "../functions/modules.ts";
import type { RequestIds } from "../functions/request_id.ts";
import { log } from "../logger.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import { encodeValue } from "../values/value.ts";
import { DueJobs } from "./due_jobs.ts";
import { interrupted, neverStarted, persistently, unsupportedKind } from "./job_calls.ts";

export interface CronJobsParts {
  readonly transactions: ServerTransactions;
  readonly committer: Pick<CommitterClient, "onApplied" | "appliedTimestamp">;
  readonly functions: Pick<Functions, "mutation" | "action" | "any">;
  readonly modules: Pick<Modules, "find">;
  /** While a push is being committed, jobs may be newer than `modules`. */
  readonly live: { readonly isSwitching: boolean };
  readonly environment: Environment;
  readonly requestIds: RequestIds;
  readonly config: Pick<Config, "scheduledFunctionsMax">;
}

/** How a run ended. */
interface Ending {
  readonly status: CronRunStatus;
  readonly logLines: readonly string[];
}

interface Occurrence {
  readonly job: CronJob;
  /** When it began: by the wall clock and by the monotonic one, in milliseconds. */
  readonly startTime: number;
  readonly startedMs: number;
}

const backOff = { firstMs: 500, maxMs: 15_000 };
/** Characters of a run's result, and of its log lines together, that are kept. */
const keptCharactersMax = 1000;
/** Every write to a job names its key there. */
const jobsByTime = systemIndexes.find(({ name }) => name === "by_next_time")!.id;

export class CronJobs {
  readonly #parts: CronJobsParts;
  /** What runs them, and lets tests pause it. */
  readonly due: DueJobs<CronJob>;

  constructor(parts: CronJobsParts) {
    this.#parts = parts;
    this.due = new DueJobs({
      ...parts,
      runningMax: parts.config.scheduledFunctionsMax,
      backOffs: { afterConflict: backOff, afterFailure: backOff },
      what: "cron job",
      open: ({ system }) => system.openQuery(cronJobsByTime),
      parse: parseCronJob,
      perform: (job) => this.#perform(job),
      isReady: () => !parts.live.isSwitching,
      clockSetBack: () => this.#followClock(),
    });
    parts.committer.onApplied((commits) => {
      if (commits.some(touchesJobs)) this.due.look();
    });
  }

  /** Begins to run jobs. Call it when functions can be run. */
  async start(): Promise<void> {
    for (const job of this.#parts.transactions.read(listCronJobs)) {
      if (job.state === "inProgress") await this.#end(this.#occurrence(job), failed(interrupted));
    }
    this.#followClock();
    this.due.start();
  }

  /** Starts nothing more. Resolves when what is running has ended. */
  async close(): Promise<void> {
    await this.due.close();
  }

  #occurrence(job: CronJob): Occurrence {
    const { environment } = this.#parts;
    return { job, startTime: environment.nowMs(), startedMs: environment.monotonicMs() };
  }

  async #perform(job: CronJob): Promise<void> {
    const { functions, modules, requestIds } = this.#parts;
    const path = job.function;
    const args = encodeValue(job.args).json;
    const context: CallContext = {
      caller: { kind: "system", identity: null },
      requestId: requestIds.requestId(),
      origin: "Cron",
      component: job.component,
    };
    const occurrence = this.#occurrence(job);
    switch (modules.find(path, job.component)?.kind) {
      case "mutation":
        return await this.#mutation(occurrence, args, context);
      case "action":
        return await this.#action(occurrence, args, context);
      case "query":
        return await this.#end(occurrence, failed(unsupportedKind));
      case undefined:
        // The answer is the text that says so.
        return await this.#end(occurrence, endingOf(await functions.any(path, args, context)));
    }
  }

  async #mutation(occurrence: Occurrence, args: string, context: CallContext): Promise<void> {
    const { job: { id, function: path, schedule, dueMs }, startTime } = occurrence;
    const next = timeAfter(schedule, dueMs, startTime);
    const cronRun = { jobId: id, dueMs, nextMs: next.timeMs };
    const result = await this.#parts.functions.mutation(path, args, { ...context, cronRun });
    if (!result.ok) return await this.#end(occurrence, endingOf(result));
    await this.#parts.transactions.write((transaction) =>
      this.#record(transaction, occurrence, endingOf(result), next.skipped)
    );
  }

  async #action(occurrence: Occurrence, args: string, context: CallContext): Promise<void> {
    const { job } = occurrence;
    if (!await this.#setState(job, "pending", "inProgress")) return;
    const { functions, environment } = this.#parts;
    let ending: Ending;
    try {
      ending = endingOf(await functions.action(job.function, args, context));
    } catch (error) {
      if (neverStarted(error)) {
        await persistently(
          environment,
          async () => void await this.#setState(job, "inProgress", "pending"),
        );
        throw error;
      }
      log("error", "The action of a cron job was interrupted", { name: job.name, error });
      ending = failed(interrupted);
    }
    await persistently(environment, () => this.#end(occurrence, ending));
  }

  /** False when the job is not what it was. */
  async #setState(
    { id, dueMs }: CronJob,
    from: CronJob["state"],
    to: CronJob["state"],
  ): Promise<boolean> {
    return await this.#parts.transactions.write((transaction) => {
      const job = getCronJob(transaction, id);
      if (job?.state !== from || job.dueMs !== dueMs) return false;
      transaction.system.patch(id, { state: to });
      return true;
    });
  }

  /** Moves the job on to its next run and notes how this one ended. */
  async #end(occurrence: Occurrence, ending: Ending): Promise<void> {
    const { id, dueMs } = occurrence.job;
    await this.#parts.transactions.write((transaction) => {
      const job = getCronJob(transaction, id);
      if (job === null) return;
      const next = timeAfter(job.schedule, dueMs, transaction.options.nowMs);
      const isInProgress = job.state === "inProgress";
      if (job.dueMs === dueMs) {
        transaction.system.patch(id, { nextTime: next.timeMs, state: "pending" });
        return this.#record(transaction, occurrence, ending, next.skipped);
      }
      // A push has changed the time. An action ran all the same; a mutation was called off.
      if (!isInProgress) return;
      transaction.system.patch(id, { state: "pending" });
      this.#record(transaction, occurrence, ending, 0);
    });
  }

  #record(
    transaction: Transaction,
    { job: { id, name, dueMs }, startTime, startedMs }: Occurrence,
    { status, logLines }: Ending,
    skipped: number,
  ): void {
    const durationMs = this.#parts.environment.monotonicMs() - startedMs;
    const run = { jobId: id, dueMs, startTime, durationMs };
    recordCronRun(transaction, { ...run, status, ...cutLines(logLines) });
    if (skipped === 0) return;
    const text =
      `Skipping ${skipped} run(s) of job ${name} because multiple scheduled runs are in the past`;
    const canceled = { status: { kind: "canceled", count: skipped }, logLines: [text] } as const;
    recordCronRun(transaction, { ...run, durationMs: 0, ...canceled, isTruncated: false });
    log("warn", text);
  }

  /** After the clock was set back, no job shall wait for a time that is far away now. */
  #followClock(): void {
    const { transactions } = this.#parts;
    transactions.write((transaction) => {
      for (const { id, schedule, dueMs } of listCronJobs(transaction)) {
        const nextTime = timeByClock(schedule, dueMs, transaction.options.nowMs);
        if (nextTime !== dueMs) transaction.system.patch(id, { nextTime });
      }
    }).catch((error) => log("error", "Cron jobs could not follow the clock", { error }));
  }
}

function endingOf(result: FunctionResult): Ending {
  const { logLines } = result;
  if (!result.ok) {
    return { status: { kind: "failed", error: failureText(result.failure).trimEnd() }, logLines };
  }
  const kept = result.value.slice(0, keptCharactersMax);
  const isTruncated = kept.length < result.value.length;
  return { status: { kind: "success", result: kept, isTruncated }, logLines };
}

function failed(error: string): Ending {
  return { status: { kind: "failed", error }, logLines: [] };
}

/** The first lines, as far as they are kept. */
function cutLines(lines: readonly string[]) {
  let left = keptCharactersMax;
  const logLines: string[] = [];
  for (const line of lines) {
    if (left <= 0) break;
    logLines.push(line.slice(0, left));
    left -= line.length;
  }
  return { logLines, isTruncated: left < 0 || logLines.length < lines.length };
}

function touchesJobs({ keys }: AppliedCommit): boolean {
  return keys.some(([index]) => index === jobsByTime);
}
