/**
 * Runs jobs when they are due (semantics 13). What is to be done stands in `_scheduled_functions` alone;
 * in memory is only which jobs are running, so a restart goes on where the documents say.
 *
 *   1. At start, actions found in progress are failed: nobody knows how far they came.
 *   2. Whenever a job changes, ends, or a timer fires, every due job is started, the earliest first, up to
 *      `runningMax` at a time; then the timer is set for the next one.
 *   3. A mutation completes its job in its own commit. An action's job is marked `inProgress` before it
 *      starts and ended afterwards.
 *   4. Jobs that ended are deleted after a week.
 */
import type { AppliedCommit, CommitterClient } from "../committer/protocol.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import { systemIndexes, systemTables } from "../database/catalog.ts";
import type { Query, RangeExpression } from "../database/query.ts";
import {
  cancelJob,
  endJob,
  getJob,
  insertJob,
  type Job,
  type JobState,
  parseJob,
} from "../database/scheduled_jobs.ts";
import type { Transaction } from "../database/transaction.ts";
import type { Environment } from "../environment.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import { failureText } from "../functions/failure_text.ts";
import { fullPath, parseFunctionPath } from "../functions/function_path.ts";
import type { CallContext, FunctionResult, Functions } from "../functions/functions.ts";
import type { ActionCaller, JobRequest } from "../functions/host_services.ts";
import type { Modules } from "../functions/modules.ts";
import type { RequestIds } from "../functions/request_id.ts";
import { log } from "../logger.ts";
import { encodeValue, parseValue } from "../values/value.ts";
import { Retries } from "./retries.ts";

export interface ScheduledFunctionsParts {
  readonly transactions: ServerTransactions;
  readonly committer: Pick<CommitterClient, "onApplied">;
  readonly functions: Pick<Functions, "mutation" | "action" | "any">;
  readonly modules: Pick<Modules, "find" | "manifest">;
  readonly environment: Environment;
  readonly requestIds: RequestIds;
}

/** Jobs that run at the same time. */
const runningMax = 8;
/** Timers cannot be longer; who wakes up too early looks again. */
const timerMsMax = 24 * 60 * 60 * 1000;
const keptMs = 7 * 24 * 60 * 60 * 1000;
const cleaningIntervalMs = 60 * 60 * 1000;
/** Documents that one transaction of the housekeeping changes. */
const batchSize = 200;
const finalStates: readonly JobState[] = ["success", "failed", "canceled"];
const jobsByState =
  systemIndexes.find(({ name, table }) =>
    name === "by_state" && table === systemTables._scheduled_functions
  )!.id;

export class ScheduledFunctions {
  readonly #parts: ScheduledFunctionsParts;
  readonly #retries: Retries;
  readonly #running = new Map<string, Promise<void>>();
  /** False before `start` and after `close`. */
  #isOpen = false;
  #cancelTimer: () => void = () => {};
  #cancelCleaning: () => void = () => {};

  constructor(parts: ScheduledFunctionsParts) {
    this.#parts = parts;
    this.#retries = new Retries(parts.environment);
    parts.committer.onApplied((commits) => {
      if (commits.some(touchesJobs)) this.#startDue();
    });
  }

  /** Begins to run jobs. Call it when functions can be run. */
  async start(): Promise<void> {
    await this.#inBatches(
      "inProgress",
      undefined,
      (transaction, job) => endJob(transaction, job.id, { kind: "failed", error: interrupted }),
    );
    this.#isOpen = true;
    this.#startDue();
    this.#cleanForever();
  }

  /** Starts nothing more. Resolves when what is running has ended. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#cancelTimer();
    this.#cancelCleaning();
    await Promise.all(this.#running.values());
  }

  /** For actions; see `HostServices.schedule`. */
  async schedule(request: JobRequest, caller: ActionCaller): Promise<string> {
    const job = {
      name: this.#mustFind(request.path),
      args: parseValue(request.args),
      timeS: request.timeS,
      parentId: caller.scheduledFunctionId,
    };
    return await this.#parts.transactions.write((transaction) => insertJob(transaction, job));
  }

  /** For actions; see `HostServices.cancelJob`. */
  async cancel(id: string): Promise<void> {
    await this.#parts.transactions.write((transaction) => cancelJob(transaction, id));
  }

  /** The full name of a deployed function. @throws DeveloperError (function-abi 8.1). */
  #mustFind(path: string): string {
    const { modules } = this.#parts;
    const { module, name } = parseFunctionPath(path);
    const fullName = fullPath({ module, name });
    if (modules.find(fullName) !== undefined) return fullName;
    const moduleExists = modules.manifest?.modules.some(({ path }) => path === module) ?? false;
    throw new DeveloperError(
      "InvalidScheduledFunction",
      moduleExists
        ? `Attempted to schedule function, but no exported function ${name} found in the file: ${module}. ` +
          "Did you forget to export it?"
        : `Attempted to schedule function at nonexistent path: ${module}`,
    );
  }

  #startDue(): void {
    if (!this.#isOpen || this.#running.size >= runningMax) return;
    const { due, nextMs } = this.#findDue(runningMax - this.#running.size);
    for (const job of due) this.#running.set(job.id, this.#run(job));
    this.#cancelTimer();
    if (nextMs === undefined) return;
    const delayMs = Math.max(0, nextMs - this.#parts.environment.nowMs());
    this.#cancelTimer = this.#parts.environment.setTimer(
      Math.min(delayMs, timerMsMax),
      () => this.#startDue(),
    );
  }

  /** Up to `limit` jobs to start now, and when to look again. */
  #findDue(limit: number): { readonly due: readonly Job[]; readonly nextMs: number | undefined } {
    const nowMs = this.#parts.environment.nowMs();
    return this.#parts.transactions.read(({ system }) => {
      const cursor = system.openQuery(jobsInState("pending"));
      const due: Job[] = [];
      let nextMs: number | undefined;
      for (let next = cursor.next(); next !== null && due.length < limit; next = cursor.next()) {
        const job = parseJob(next);
        if (this.#running.has(job.id)) continue;
        const startMs = Math.max(job.scheduledTime, this.#retries.notBeforeMs(job.id) ?? -Infinity);
        if (startMs <= nowMs) due.push(job);
        else nextMs = Math.min(startMs, nextMs ?? Infinity);
        if (job.scheduledTime > nowMs) break;
      }
      return { due, nextMs };
    });
  }

  /** Never rejects. */
  async #run(job: Job): Promise<void> {
    try {
      await this.#perform(job);
      this.#retries.forget(job.id);
    } catch (error) {
      this.#retries.failed(job.id, error);
      const level = error instanceof RequestError ? "debug" : "warn";
      const { id, name } = job;
      log(level, "A scheduled function could not be run and is tried again", { id, name, error });
    }
    this.#running.delete(job.id);
    this.#startDue();
  }

  async #perform(job: Job): Promise<void> {
    const { functions, modules, requestIds } = this.#parts;
    const args = encodeValue(job.args).json;
    const context: CallContext = {
      caller: { kind: "system", identity: null },
      requestId: requestIds.requestId(),
      origin: "Scheduler",
      scheduledFunctionId: job.id,
    };
    switch (modules.find(job.name)?.kind) {
      case "mutation":
        return await this.#endIfFailed(job, await functions.mutation(job.name, args, context));
      case "action":
        return await this.#performAction(job, args, context);
      case "query":
        return await this.#end(job, "failed", unsupportedKind);
      case undefined:
        // The answer is the text that says so.
        return await this.#endIfFailed(job, await functions.any(job.name, args, context));
    }
  }

  async #performAction(job: Job, args: string, context: CallContext): Promise<void> {
    if (!await this.#claim(job)) return;
    let result: FunctionResult;
    try {
      result = await this.#parts.functions.action(job.name, args, context);
    } catch (error) {
      if (neverStarted(error)) {
        await this.#unclaim(job);
        throw error;
      }
      log("error", "A scheduled action was interrupted", { id: job.id, name: job.name, error });
      return await this.#end(job, "failed", interrupted);
    }
    if (result.ok) await this.#end(job, "success");
    else await this.#endIfFailed(job, result);
  }

  /** Marks an action's job as begun; false when it is not to be run any more. */
  async #claim({ id }: Job): Promise<boolean> {
    return await this.#parts.transactions.write((transaction) => {
      if (getJob(transaction, id)?.state !== "pending") return false;
      transaction.system.patch(id, { state: { kind: "inProgress" } });
      return true;
    });
  }

  async #unclaim({ id }: Job): Promise<void> {
    await this.#parts.transactions.write((transaction) => {
      if (getJob(transaction, id)?.state !== "inProgress") return;
      transaction.system.patch(id, { state: { kind: "pending" } });
    });
  }

  async #endIfFailed(job: Job, result: FunctionResult): Promise<void> {
    if (!result.ok) await this.#end(job, "failed", failureText(result.failure).trimEnd());
  }

  /** Ends a job unless it was canceled meanwhile. */
  async #end({ id }: Job, kind: "success" | "failed", error?: string): Promise<void> {
    await this.#parts.transactions.write((transaction) => {
      const state = getJob(transaction, id)?.state;
      if (state !== "pending" && state !== "inProgress") return;
      endJob(transaction, id, { kind, ...(error === undefined ? {} : { error }) });
    });
  }

  #cleanForever(): void {
    this.#clean().catch((error) =>
      log("warn", "Old scheduled functions were not deleted", { error })
    )
      .finally(() => {
        if (!this.#isOpen) return;
        const again = () => this.#cleanForever();
        this.#cancelCleaning = this.#parts.environment.setTimer(cleaningIntervalMs, again);
      });
  }

  async #clean(): Promise<void> {
    const untilMs = this.#parts.environment.nowMs() - keptMs;
    for (const state of finalStates) {
      await this.#inBatches(state, untilMs, ({ system }, job) => system.delete(job.id));
    }
  }

  /** Applies `change` to every job in a state, if given only to those that ended until then. */
  async #inBatches(
    state: JobState,
    endedUntilMs: number | undefined,
    change: (transaction: Transaction, job: Job) => void,
  ): Promise<void> {
    for (let changed = batchSize; changed === batchSize;) {
      changed = await this.#parts.transactions.write((transaction) => {
        const cursor = transaction.system.openQuery(jobsInState(state, endedUntilMs));
        let count = 0;
        for (let next = cursor.next(); next !== null && count < batchSize; next = cursor.next()) {
          if (endedUntilMs !== undefined && Number(next.completedTime) > endedUntilMs) continue;
          change(transaction, parseJob(next));
          count++;
        }
        return count;
      });
    }
  }
}

const interrupted = "Transient error while executing action";
const unsupportedKind = "Unsupported function type. Queries cannot be scheduled.";

/** Jobs in the order of their times; with `untilMs` only those that were due by then. */
function jobsInState(state: JobState, untilMs?: number): Query {
  const range: RangeExpression[] = [{ type: "Eq", fieldPath: "state.kind", value: state }];
  if (untilMs !== undefined) {
    range.push({ type: "Lte", fieldPath: "scheduledTime", value: untilMs });
  }
  return {
    source: {
      type: "IndexRange",
      indexName: "_scheduled_functions.by_state",
      range,
      order: "asc",
    },
    operators: [],
  };
}

function touchesJobs({ keys }: AppliedCommit): boolean {
  return keys.some(([index]) => index === jobsByState);
}

/** Whether the call was refused before anything of it ran. */
function neverStarted(error: unknown): boolean {
  return error instanceof RequestError &&
    (error.kind === "rateLimited" || error.kind === "overloaded");
}
