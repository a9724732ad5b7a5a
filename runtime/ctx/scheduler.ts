/** `ctx.scheduler`: when and what to run later (function-abi 8). */
import { cancelJob, insertJob } from "../../src/database/scheduled_jobs.ts";
import { parseValue, type Value } from "../../src/values/value.ts";
import { addressOf, debugName, type FunctionAddress } from "../../src/isolate/function_address.ts";
import { functionArguments, requireArgument } from "./arguments.ts";
import { encodeResolved } from "./checked_value.ts";
import type { TransactionHost } from "./transaction_host.ts";

export interface JobRequest {
  readonly address: FunctionAddress;
  /** One object; checked, and nobody else's. */
  readonly args: Value;
  readonly argumentBytes: number;
  /** Seconds since the epoch. */
  readonly timeS: number;
}

/** `ctx.scheduler` over two operations; `now` in milliseconds. */
export function scheduler(
  operations: {
    readonly now: () => number;
    readonly schedule: (job: JobRequest) => Promise<string>;
    readonly cancel: (id: string) => Promise<void>;
  },
) {
  return {
    runAfter: async (delayMs: unknown, reference: unknown, args?: unknown) => {
      checkDelay(delayMs);
      const job = jobRequest(reference, args);
      return await operations.schedule({ ...job, timeS: (operations.now() + delayMs) / 1000 });
    },
    runAt: async (time: unknown, reference: unknown, args?: unknown) => {
      const timeS = secondsOf(time);
      return await operations.schedule({ ...jobRequest(reference, args), timeS });
    },
    cancel: async (id: unknown) => {
      requireArgument(id, 1, "cancel", "id");
      await operations.cancel(String(id));
    },
  };
}

/** `ctx.scheduler` of mutations: jobs are documents of the transaction. */
export function transactionScheduler(host: TransactionHost) {
  return scheduler({
    now: () => host.execution.now(),
    schedule: (job) => scheduleJob(host, job),
    cancel: (id) => host.operation((transaction) => cancelJob(transaction, id)),
  });
}

export function scheduleJob(host: TransactionHost, job: JobRequest): Promise<string> {
  return host.operation((transaction) => {
    const { component, path } = host.deployment.resolve(job.address, host.component.id);
    host.deployment.component(component).loader.checkSchedulable(path);
    host.countScheduled(job.argumentBytes);
    return insertJob(transaction, {
      component,
      name: debugName(path),
      args: [job.args],
      timeS: job.timeS,
      parentId: host.call.scheduledFunctionId ?? null,
    });
  });
}

function checkDelay(delayMs: unknown): asserts delayMs is number {
  if (typeof delayMs !== "number") throw new Error("`delayMs` must be a number");
  if (!isFinite(delayMs)) throw new Error("`delayMs` must be a finite number");
  if (delayMs < 0) throw new Error("`delayMs` must be non-negative");
}

function secondsOf(time: unknown): number {
  if (time instanceof Date) return time.valueOf() / 1000;
  if (typeof time === "number") return time / 1000;
  throw new Error("The invoke time must a Date or a timestamp");
}

function jobRequest(reference: unknown, args: unknown): Omit<JobRequest, "timeS"> {
  const encoded = encodeResolved(functionArguments(args), "arguments of scheduled functions");
  const address = addressOf(reference);
  return { address, args: parseValue(encoded.json), argumentBytes: encoded.bytes };
}
