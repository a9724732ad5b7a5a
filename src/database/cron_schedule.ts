/** When cron jobs run (semantics 18). All clock times are UTC; times are milliseconds since the epoch. */
import { Cron } from "croner";

/** As `crons.ts` exports it (function-abi 21.3). */
export type CronSchedule =
  | {
    readonly type: "interval";
    readonly seconds?: number;
    readonly minutes?: number;
    readonly hours?: number;
  }
  | { readonly type: "hourly"; readonly minuteUTC?: number }
  | { readonly type: "daily"; readonly hourUTC: number; readonly minuteUTC?: number }
  | {
    readonly type: "weekly";
    readonly dayOfWeek: string;
    readonly hourUTC: number;
    readonly minuteUTC?: number;
  }
  | {
    readonly type: "monthly";
    readonly day: number;
    readonly hourUTC: number;
    readonly minuteUTC?: number;
  }
  /** Five fields: minute, hour, day of the month, month, day of the week. */
  | { readonly type: "cron"; readonly cron: string };

export const daysOfWeek = [
  "sunday",
  "monday",
  "tuesday",
  "wednesday",
  "thursday",
  "friday",
  "saturday",
] as const;

/** Croner takes more than the documented dialect: nicknames, `?` and `+`. */
const fieldCharacters = /^[0-9A-Za-z*,/#-]+$/;

/** When a job with this schedule runs for the first time: intervals begin at once. */
export function firstTime(schedule: CronSchedule, nowMs: number): number {
  return schedule.type === "interval" ? nowMs : nextOccurrence(schedule, nowMs)!;
}

export interface NextTime {
  readonly timeMs: number;
  /** Runs of an interval that would have been due in between. */
  readonly skipped: number;
}

/** The run after the one that was due at `dueMs`; what lies in the past by now is skipped. */
export function timeAfter(schedule: CronSchedule, dueMs: number, nowMs: number): NextTime {
  if (schedule.type !== "interval") {
    return { timeMs: nextOccurrence(schedule, Math.max(dueMs, nowMs))!, skipped: 0 };
  }
  const intervalMs = intervalOf(schedule);
  const count = Math.max(1, Math.ceil((nowMs - dueMs) / intervalMs));
  return { timeMs: dueMs + count * intervalMs, skipped: count - 1 };
}

/**
 * The next run of a job that is to run at `nextMs`. That is more than a period away only when the clock has been
 * set back by as much: then the schedule begins anew. After smaller steps no run is repeated.
 */
export function timeByClock(schedule: CronSchedule, nextMs: number, nowMs: number): number {
  const first = timeAfter(schedule, nowMs, nowMs).timeMs;
  const second = timeAfter(schedule, first, first).timeMs;
  return nextMs > second ? first : nextMs;
}

/**
 * The first time after `afterMs` that an expression matches; null when it never does.
 * @throws Error that says what is wrong with the expression.
 */
export function nextMatch(expression: string, afterMs: number): number | null {
  const fields = expression.trim().split(/\s+/);
  if (fields.length !== 5) {
    throw new Error(`it has ${fields.length} fields instead of 5: minute hour day month weekday`);
  }
  const strange = fields.find((field) => !fieldCharacters.test(field));
  if (strange !== undefined) throw new Error(`"${strange}" cannot be understood`);
  const cron = new Cron(fields.join(" "), { timezone: "UTC", mode: "5-part", sloppyRanges: true });
  return cron.nextRun(new Date(afterMs))?.getTime() ?? null;
}

function nextOccurrence(
  schedule: Exclude<CronSchedule, { readonly type: "interval" }>,
  afterMs: number,
): number | null {
  return nextMatch(expressionOf(schedule), afterMs);
}

function expressionOf(schedule: Exclude<CronSchedule, { readonly type: "interval" }>): string {
  if (schedule.type === "cron") return schedule.cron;
  const { minuteUTC = 0 } = schedule;
  switch (schedule.type) {
    case "hourly":
      return `${minuteUTC} * * * *`;
    case "daily":
      return `${minuteUTC} ${schedule.hourUTC} * * *`;
    case "weekly": {
      const day = (daysOfWeek as readonly string[]).indexOf(schedule.dayOfWeek);
      return `${minuteUTC} ${schedule.hourUTC} * * ${day}`;
    }
    case "monthly":
      return `${minuteUTC} ${schedule.hourUTC} ${schedule.day} * *`;
  }
}

function intervalOf(
  { seconds = 0, minutes = 0, hours = 0 }: CronSchedule & { readonly type: "interval" },
): number {
  return ((hours * 60 + minutes) * 60 + seconds) * 1000;
}
