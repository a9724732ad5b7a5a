/**
 * Runs jobs when they are due (semantics 13). What is to be done stands in `_scheduled_functions` alone;
 * in memory is only which jobs are running, so a restart goes on where the documents say.
 *
 *   1. At start, actions found in progress are failed: nobody knows how far they came.
 *   2. `DueJobs` starts what is due.
 *   3. A mutation completes its job in its own commit. An action's job is marked `inProgress` before it
 *      starts and ended afterwards.
 *   4. Jobs that ended are deleted after a week.
 */
import type { AppliedCommit, CommitterClient } from "../committer/protocol.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import type { Config } from "../config.ts";
import { systemIndexes, systemTables } from "../database/catalog.ts";
import { appComponent, type ComponentId, componentPath } from "../database/component.ts";
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
import { DeveloperError } from "../errors.ts";
import { failureText } from "../functions/failure_text.ts";
import { parseFunctionPath } from "../functions/function_path.ts";
import type { CallContext, FunctionResult, Functions } from "../functions/functions.ts";
import type { ActionCaller, JobRequest } from "../functions/host_services.ts";
import type { Modules } from "../functions/modules.ts";
import { debugName } from "../isolate/function_address.ts";
import type { RequestIds } from "../functions/request_id.ts";
import { log } from "../logger.ts";
import { idTableNumber } from "../values/document_id.ts";
import { encodeValue, parseValue } from "../values/value.ts";
import { DueJobs } from "./due_jobs.ts";
import { interrupted, neverStarted, persistently, unsupportedKind } from "./job_calls.ts";

export interface ScheduledFunctionsParts {
  readonly transactions: ServerTransactions;
  readonly committer: Pick<CommitterClient, "onApplied" | "appliedTimestamp">;
  readonly functions: Pick<Functions, "mutation" | "action" | "any">;
  readonly modules: Pick<Modules, "find" | "manifest">;
  readonly environment: Environment;
  readonly requestIds: RequestIds;
  readonly config: Pick<Config, "scheduledFunctionsMax">;
}

/** Which jobs `cancelAll` is to cancel; absent: whichever. */
export interface JobSelection {
  /** Whose jobs; absent: the app's. */
  readonly component?: ComponentId;
  /** `dir/mod:fn`, in any spelling. */
  readonly path?: string;
  /** Whose function that is: names from the app downwards. */
  readonly componentPath?: string;
  /** Bounds of when they are due, in milliseconds since the epoch: inclusive, exclusive. */
  readonly fromMs?: number;
  readonly untilMs?: number;
}

const backOffs = {
  afterConflict: { firstMs: 100, maxMs: 60_000 },
  afterFailure: { firstMs: 500, maxMs: 2 * 60 * 60 * 1000 },
};
const keptMs = 7 * 24 * 60 * 60 * 1000;
const cleaningIntervalMs = 60 * 60 * 1000;
/** Documents that one transaction of the housekeeping changes. */
const batchSize = 200;
const jobsByState =
  systemIndexes.find(({ name, table }) =>
    name === "by_state" && table === systemTables._scheduled_functions
  )!.id;

export class ScheduledFunctions {
  readonly #parts: ScheduledFunctionsParts;
  /** What runs them, and lets tests pause it. */
  readonly due: DueJobs<Job>;
  /** False before `start` and after `close`. */
  #isOpen = false;
  #cancelCleaning: () => void = () => {};

  constructor(parts: ScheduledFunctionsParts) {
    this.#parts = parts;
    this.due = new DueJobs({
      ...parts,
      runningMax: parts.config.scheduledFunctionsMax,
      backOffs,
      what: "scheduled function",
      open: ({ system }) => system.openQuery(jobsInState("pending")),
      parse: parseJob,
      perform: (job) => this.#perform(job),
    });
    parts.committer.onApplied((commits) => {
      if (commits.some(touchesJobs)) this.due.look();
    });
  }

  /** Begins to run jobs. Call it when functions can be run. */
  async start(): Promise<void> {
    await this.#inBatches(
      jobsInState("inProgress"),
      (transaction, job) => endJob(transaction, job.id, { kind: "failed", error: interrupted }),
    );
    this.#isOpen = true;
    this.due.start();
    this.#cleanForever();
  }

  /** Starts nothing more. Resolves when what is running has ended. */
  async close(): Promise<void> {
    this.#isOpen = false;
    this.#cancelCleaning();
    await this.due.close();
  }

  /** For actions; see `HostServices.schedule`. */
  async schedule(request: JobRequest, caller: ActionCaller): Promise<string> {
    const { component, path } = request;
    const job = {
      name: this.#mustFind(path, component),
      component,
      args: parseValue(request.args),
      timeS: request.timeS,
      parentId: caller.scheduledFunctionId,
    };
    return await this.#parts.transactions.write((transaction) =>
      insertJob(transaction.ofComponent(caller.component), job)
    );
  }

  /** For actions and administrators; see `HostServices.cancelJob`. */
  async cancel(id: string, component: ComponentId = appComponent): Promise<void> {
    await this.#parts.transactions.write((transaction) =>
      cancelJob(transaction.ofComponent(component), id)
    );
  }

  /** Cancels all that are neither over nor to be left out. */
  async cancelAll(selection: JobSelection = {}): Promise<void> {
    const { component = appComponent, path, fromMs, untilMs } = selection;
    const catalog = this.#parts.transactions.read(({ options }) => options.snapshot.catalog);
    const table = catalog.tableNamed(component, "_scheduled_functions");
    const isTarget = ({ component }: Job) =>
      selection.componentPath === undefined ||
      componentPath(catalog.data.components ?? [], component) === selection.componentPath;
    const name = path === undefined ? undefined : debugName(parseFunctionPath(path));
    for (const state of ["pending", "inProgress"] as const) {
      await this.#inBatches(
        jobsInState(state, fromMs, untilMs),
        (transaction, job) => endJob(transaction, job.id, { kind: "canceled" }),
        (job) =>
          idTableNumber(job.id) === table?.number &&
          (name === undefined || job.name === name && isTarget(job)),
      );
    }
  }

  /** The full name of a deployed function. @throws DeveloperError (function-abi 8.1). */
  #mustFind(path: string, component: ComponentId): string {
    const { modules } = this.#parts;
    const functionPath = parseFunctionPath(path);
    const { module, export: name } = functionPath;
    const fullName = debugName(functionPath);
    if (modules.find(fullName, component) !== undefined) return fullName;
    const { manifest } = modules;
    const code = component === appComponent
      ? manifest
      : manifest?.components?.find(({ id }) => id === component);
    const moduleExists = code?.modules.some(({ path }) => path === module) ?? false;
    throw new DeveloperError(
      "InvalidScheduledFunction",
      moduleExists
        ? `Attempted to schedule function, but no exported function ${name} found in the file: ${module}. ` +
          "Did you forget to export it?"
        : `Attempted to schedule function at nonexistent path: ${module}`,
    );
  }

  async #perform(job: Job): Promise<void> {
    const { functions, modules, requestIds } = this.#parts;
    const args = encodeValue(job.args).json;
    const context: CallContext = {
      caller: { kind: "system", identity: null },
      requestId: requestIds.requestId(),
      origin: "Scheduler",
      scheduledFunctionId: job.id,
      component: job.component,
    };
    switch (modules.find(job.name, job.component)?.kind) {
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
        await this.#persistently(() => this.#unclaim(job));
        throw error;
      }
      log("error", "A scheduled action was interrupted", { id: job.id, name: job.name, error });
      return await this.#persistently(() => this.#end(job, "failed", interrupted));
    }
    await this.#persistently(() =>
      result.ok ? this.#end(job, "success") : this.#endIfFailed(job, result)
    );
  }

  async #persistently(work: () => Promise<void>): Promise<void> {
    await persistently(this.#parts.environment, work);
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
    await this.#inBatches(jobsEndedUntil(untilMs), ({ system }, job) => system.delete(job.id));
  }

  /** Applies `change`, which takes a job out of `jobs`, to each of them that is `wanted`. */
  async #inBatches(
    jobs: Query,
    change: (transaction: Transaction, job: Job) => void,
    wanted: (job: Job) => boolean = () => true,
  ): Promise<void> {
    for (let changed = batchSize; changed === batchSize;) {
      changed = await this.#parts.transactions.write((transaction) => {
        const cursor = transaction.system.openQuery(jobs);
        let count = 0;
        for (let next = cursor.next(); next !== null && count < batchSize; next = cursor.next()) {
          const job = parseJob(next);
          if (!wanted(job)) continue;
          change(transaction, job);
          count++;
        }
        return count;
      });
    }
  }
}

/** Jobs in the order of their times; with bounds only those that are due from, or before, then. */
function jobsInState(state: JobState, fromMs?: number, untilMs?: number): Query {
  const range: RangeExpression[] = [{ type: "Eq", fieldPath: "state.kind", value: state }];
  if (fromMs !== undefined) {
    range.push({ type: "Gte", fieldPath: "scheduledTime", value: fromMs });
  }
  if (untilMs !== undefined) {
    range.push({ type: "Lt", fieldPath: "scheduledTime", value: untilMs });
  }
  return jobs("by_state", range);
}

/** Jobs that have been over since then. */
function jobsEndedUntil(untilMs: number): Query {
  return jobs("by_completed_time", [
    // Those that are not over have no such time, which is less than any.
    { type: "Gt", fieldPath: "completedTime", value: null },
    { type: "Lte", fieldPath: "completedTime", value: untilMs },
  ]);
}

function jobs(index: string, range: readonly RangeExpression[]): Query {
  const indexName = `_scheduled_functions.${index}`;
  return { source: { type: "IndexRange", indexName, range, order: "asc" }, operators: [] };
}

function touchesJobs({ keys }: AppliedCommit): boolean {
  return keys.some(([index]) => index === jobsByState);
}
