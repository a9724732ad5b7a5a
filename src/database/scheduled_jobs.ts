/**
 * Jobs: documents of `_scheduled_functions` (semantics 13). Mutations write them inside their own
 * transaction, the server on behalf of actions in one of its own; the rules are the same.
 *
 *     pending ──► inProgress ──► success | failed
 *        └────────────┴────────► canceled
 *
 * A mutation goes from pending to success in its own commit, so it takes effect exactly once. Nobody but
 * itself sees it `inProgress`; an action is marked so before it starts, so that it never starts twice.
 */
import { DeveloperError } from "../errors.ts";
import { idTableNumber } from "../values/document_id.ts";
import type { Value, ValueObject } from "../values/value.ts";
import { appComponent, type ComponentId } from "./component.ts";
import { jobComponentField } from "./hidden_fields.ts";
import type { Transaction } from "./transaction.ts";

export type JobState = "pending" | "inProgress" | "success" | "failed" | "canceled";

export interface Job {
  readonly id: string;
  /** `dir/mod.js:fn` */
  readonly name: string;
  /** Whose function it is. */
  readonly component: ComponentId;
  readonly args: Value;
  /** When it shall run, in milliseconds since the epoch; may lie in the past. */
  readonly dueMs: number;
  /** Position in the order of creation, in milliseconds. */
  readonly creationTime: number;
  readonly state: JobState;
}

export interface NewJob {
  /** `dir/mod.js:fn` */
  readonly name: string;
  /** Whose function it is; absent: that of the component that schedules it. */
  readonly component?: ComponentId;
  /** The arguments: an array of one object. */
  readonly args: Value;
  /** Seconds since the epoch. */
  readonly timeS: number;
  /** The job on whose behalf it is scheduled: what a canceled job schedules is created canceled. */
  readonly parentId: string | null;
}

/** Years either way that a job may be away from now, and their length in seconds. */
const yearsMax = 5;
const yearS = 366 * 24 * 60 * 60;

/**
 * Adds a job, which belongs to the component of `transaction` (components 9.2).
 * @throws DeveloperError when the time is too far away (function-abi 8.1), or when the component is unmounted.
 */
export function insertJob(transaction: Transaction, job: NewJob): string {
  const { system, options } = transaction;
  const { component = transaction.component } = job;
  transaction.checkWritable();
  checkTime(job.timeS, options.nowMs / 1000);
  const scheduledTime = job.timeS * 1000;
  const isCanceled = job.parentId !== null && stateOf(system.get(job.parentId)) === "canceled";
  return system.insert("_scheduled_functions", {
    name: job.name,
    ...component !== appComponent && { [jobComponentField]: component },
    args: job.args,
    scheduledTime,
    ...(isCanceled ? { completedTime: options.nowMs } : {}),
    state: { kind: isCanceled ? "canceled" : "pending" },
  });
}

/**
 * Cancels a job of the component of `transaction` that is not finished.
 * @throws DeveloperError when `id` is no id of such a job (function-abi 8.2).
 */
export function cancelJob(transaction: Transaction, id: string): void {
  if (idTableNumber(id) !== transaction.systemTable("_scheduled_functions")) {
    throw new DeveloperError(
      "InvalidScheduledFunctionId",
      "Invalid scheduled function ID. The ID must be an ID on the '_scheduled_functions' table.",
    );
  }
  const job = getJob(transaction, id);
  if (job?.state === "pending" || job?.state === "inProgress") {
    endJob(transaction, id, { kind: "canceled" });
  }
}

/**
 * A scheduled mutation starts: from here on it sees itself in progress.
 * @throws DeveloperError when it must not run, because it was canceled or has run.
 */
export function beginScheduledMutation(transaction: Transaction, id: string): void {
  if (getJob(transaction, id)?.state !== "pending") {
    throw new DeveloperError(
      "ScheduledFunctionNotPending",
      "The scheduled function was canceled or has run already",
    );
  }
  transaction.system.patch(id, { state: { kind: "inProgress" } });
}

/** A scheduled mutation succeeded: its commit completes it, unless it has canceled itself. */
export function completeScheduledMutation(transaction: Transaction, id: string): void {
  if (getJob(transaction, id)?.state === "inProgress") endJob(transaction, id, { kind: "success" });
}

/** The job as this transaction sees it. */
export function getJob({ system }: Transaction, id: string): Job | null {
  const document = system.get(id);
  return document === null ? null : parseJob(document);
}

/** A job from its document. */
export function parseJob(document: ValueObject): Job {
  const { _id, _creationTime, name, args, scheduledTime } = document;
  return {
    id: String(_id),
    name: String(name),
    component: String(document[jobComponentField] ?? appComponent) as ComponentId,
    args: args ?? [],
    dueMs: Number(scheduledTime),
    creationTime: Number(_creationTime),
    state: stateOf(document)!,
  };
}

/** Puts a job in a final state. */
export function endJob(
  { system, options }: Transaction,
  id: string,
  state: { readonly kind: JobState; readonly error?: string },
): void {
  system.patch(id, { state: { ...state }, completedTime: options.nowMs });
}

function stateOf(document: ValueObject | null): JobState | undefined {
  const state = document?.state as ValueObject | undefined;
  return state?.kind as JobState | undefined;
}

function checkTime(timeS: number, nowS: number): void {
  const distanceS = timeS - nowS;
  if (Math.abs(distanceS) <= yearsMax * yearS) return;
  throw new DeveloperError(
    "InvalidScheduledFunctionDelay",
    `${timeS} is more than ${yearsMax} years in the ${distanceS > 0 ? "future" : "past"}`,
  );
}
