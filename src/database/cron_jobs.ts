/**
 * Cron jobs: documents of `_cron_jobs`, one for each job that the live deployment defines (semantics 18), and of
 * `_cron_job_runs`, the newest runs of each.
 *
 *     pending ──► inProgress ──► pending, with a later `nextTime`
 *        └───────────────────────────▲
 *
 * A mutation moves `nextTime` on in its own commit, so each occurrence takes effect exactly once. An action is
 * marked `inProgress` before it starts, so that it never starts twice for one occurrence.
 */
import { DeveloperError } from "../errors.ts";
import { compareValues } from "../values/compare.ts";
import type { Value, ValueObject } from "../values/value.ts";
import { appComponent, type ComponentId } from "./component.ts";
import { type CronSchedule, firstTime, timeAfter } from "./cron_schedule.ts";
import type { Query } from "./query.ts";
import type { Transaction } from "./transaction.ts";

/** A job as `crons.ts` defines it. */
export interface CronDefinition {
  /** Unique within its component. */
  readonly name: string;
  /** `dir/mod.js:fn` */
  readonly function: string;
  /** The arguments: an array of one object. */
  readonly args: Value;
  readonly schedule: CronSchedule;
}

export interface CronJob extends CronDefinition {
  readonly id: string;
  /** Whose job and whose function it is. */
  readonly component: ComponentId;
  /** When it runs next, in milliseconds since the epoch. */
  readonly dueMs: number;
  /** For `TimedJob`: nothing but the clock makes a cron job due. */
  readonly creationTime: number;
  readonly state: "pending" | "inProgress";
}

/** One occurrence of a job, for the mutation that it runs. */
export interface CronRun {
  readonly jobId: string;
  /** When it was due, in milliseconds since the epoch. */
  readonly dueMs: number;
  /** When the next one is. */
  readonly nextMs: number;
}

/** How a run ended, as it is kept. */
export type CronRunStatus =
  | { readonly kind: "success"; readonly result: string; readonly isTruncated: boolean }
  | { readonly kind: "failed"; readonly error: string }
  /** Occurrences that were skipped because they lay in the past. */
  | { readonly kind: "canceled"; readonly count: number };

export interface CronRunRecord extends Pick<CronRun, "jobId" | "dueMs"> {
  readonly status: CronRunStatus;
  readonly logLines: readonly string[];
  /** Whether log lines were left out. */
  readonly isTruncated: boolean;
  /** When the run began, in milliseconds since the epoch. */
  readonly startTime: number;
  readonly durationMs: number;
}

/** Runs that are kept of each job. */
const runsMax = 5;

/** A run that is due so soon is not called off when the schedule changes (semantics 18). */
const imminentMs = 30_000;

/**
 * Makes `definitions` the cron jobs of the component of `transaction`: by name, what is the same goes on undisturbed,
 * what has another schedule begins anew, what is missing goes with its runs.
 */
export function replaceCronJobs(
  transaction: Transaction,
  definitions: readonly CronDefinition[],
): void {
  const { component, system, options: { nowMs } } = transaction;
  const own = listCronJobs(transaction).filter((job) => job.component === component);
  const existing = new Map(own.map((job) => [job.name, job]));
  for (const definition of definitions) {
    const job = existing.get(definition.name);
    existing.delete(definition.name);
    const fields = fieldsOf(definition);
    if (job === undefined) {
      const nextTime = firstTime(definition.schedule, nowMs);
      const owner = component === appComponent ? {} : { component };
      system.insert("_cron_jobs", { ...fields, ...owner, nextTime, state: "pending" });
    } else if (!isSame(job, definition)) {
      const nextTime = keepsNextTime(job, definition, nowMs)
        ? job.dueMs
        : firstTime(definition.schedule, nowMs);
      system.patch(job.id, { ...fields, nextTime });
    }
  }
  for (const { id } of existing.values()) {
    for (const run of runsOf(transaction, id)) system.delete(String(run._id));
    system.delete(id);
  }
}

/** All jobs of the app and of all components, by the time of their next run. */
export function listCronJobs({ system }: Transaction): CronJob[] {
  return system.openQuery(cronJobsByTime).collect().map(parseCronJob);
}

export const cronJobsByTime: Query = {
  source: { type: "IndexRange", indexName: "_cron_jobs.by_next_time", range: [], order: "asc" },
  operators: [],
};

/** The job as this transaction sees it. */
export function getCronJob({ system }: Transaction, id: string): CronJob | null {
  const document = system.get(id);
  return document === null ? null : parseCronJob(document);
}

/** A job from its document. */
export function parseCronJob(document: ValueObject): CronJob {
  const { _id, name, args, nextTime, state } = document;
  return {
    id: String(_id),
    component: String(document.component ?? appComponent) as ComponentId,
    name: String(name),
    function: String(document.function),
    args: args ?? [],
    schedule: document.schedule as unknown as CronSchedule,
    dueMs: Number(nextTime),
    creationTime: Infinity,
    state: state as CronJob["state"],
  };
}

/**
 * The mutation of a run begins.
 * @throws DeveloperError when it must not: the run is over, or was called off by a push.
 */
export function beginCronRun(transaction: Transaction, { jobId, dueMs }: CronRun): void {
  if (getCronJob(transaction, jobId)?.dueMs === dueMs) return;
  throw new DeveloperError("CronJobNotDue", "The cron job was changed or has run already");
}

/** The mutation of a run succeeded: its commit leads to the next one. */
export function completeCronRun({ system }: Transaction, { jobId, nextMs }: CronRun): void {
  system.patch(jobId, { nextTime: nextMs });
}

/** Remembers a run and forgets the oldest ones; does nothing when a push has removed the job. */
export function recordCronRun(
  transaction: Transaction,
  { jobId, dueMs, status, logLines, ...rest }: CronRunRecord,
): void {
  const job = getCronJob(transaction, jobId);
  if (job === null) return;
  const { name, function: path, args, component } = job;
  const { system } = transaction.ofComponent(component);
  system.insert("_cron_job_runs", {
    jobId,
    name,
    function: path,
    args,
    dueTime: dueMs,
    status: { ...status },
    logLines: [...logLines],
    ...rest,
  });
  const runs = runsOf(transaction, jobId);
  for (const run of runs.slice(0, -runsMax)) system.delete(String(run._id));
}

/** What is kept of a job's runs, the oldest first. */
export function runsOf({ system }: Transaction, jobId: string): ValueObject[] {
  return system.openQuery({
    source: {
      type: "IndexRange",
      indexName: "_cron_job_runs.by_job",
      range: [{ type: "Eq", fieldPath: "jobId", value: jobId }],
      order: "asc",
    },
    operators: [],
  }).collect();
}

function fieldsOf({ name, function: path, args, schedule }: CronDefinition): ValueObject {
  return { name, function: path, args, schedule: { ...schedule } };
}

function isSame(job: CronJob, definition: CronDefinition): boolean {
  return compareValues(fieldsOf(job), fieldsOf(definition)) === 0;
}

function keepsNextTime(job: CronJob, { schedule }: CronDefinition, nowMs: number): boolean {
  if (compareValues({ ...job.schedule }, { ...schedule }) === 0) return true;
  const second = timeAfter(job.schedule, job.dueMs, job.dueMs).timeMs;
  return second <= nowMs + imminentMs;
}
