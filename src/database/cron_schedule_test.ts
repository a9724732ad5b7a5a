import assert from "node:assert/strict";
import {
  type CronSchedule,
  firstTime,
  nextMatch,
  timeAfter,
  timeByClock,
} from "./cron_schedule.ts";

const at = (text: string) => Date.parse(`${text}Z`);
const show = (timeMs: number | null) =>
  timeMs === null ? null : new Date(timeMs).toISOString().slice(0, 16);
/** A Wednesday. */
const now = at("2026-01-14T10:20:30.5");

Deno.test("semantics 109: clock schedules are in UTC, and a week begins with Sunday, day 0", () => {
  const cases: [CronSchedule, string, string][] = [
    [{ type: "hourly" }, "2026-01-14T11:00", "2026-01-14T12:00"],
    [{ type: "hourly", minuteUTC: 30 }, "2026-01-14T10:30", "2026-01-14T11:30"],
    [{ type: "daily", hourUTC: 10, minuteUTC: 20 }, "2026-01-15T10:20", "2026-01-16T10:20"],
    [{ type: "daily", hourUTC: 23 }, "2026-01-14T23:00", "2026-01-15T23:00"],
    [
      { type: "weekly", dayOfWeek: "sunday", hourUTC: 1, minuteUTC: 2 },
      "2026-01-18T01:02",
      "2026-01-25T01:02",
    ],
    [{ type: "weekly", dayOfWeek: "saturday", hourUTC: 0 }, "2026-01-17T00:00", "2026-01-24T00:00"],
    [{ type: "monthly", day: 31, hourUTC: 12 }, "2026-01-31T12:00", "2026-03-31T12:00"],
    [{ type: "cron", cron: "0 0 * * 0" }, "2026-01-18T00:00", "2026-01-25T00:00"],
  ];
  for (const [schedule, first, second] of cases) {
    const firstMs = firstTime(schedule, now);
    assert.equal(show(firstMs), first, JSON.stringify(schedule));
    assert.equal(show(timeAfter(schedule, firstMs, firstMs + 5).timeMs), second);
  }
});

Deno.test("semantics 18: the dialect of cron expressions: names, lists, ranges, steps, L, W and #", () => {
  const cases: [string, string | null][] = [
    ["* * * * *", "2026-01-14T10:21"],
    ["*/15 * * * *", "2026-01-14T10:30"],
    ["5/15 * * * *", "2026-01-14T10:35"],
    ["1,58-59 10 * * *", "2026-01-14T10:58"],
    ["0 9-17/4 * * MON-FRI", "2026-01-14T13:00"],
    ["0 0 1 feb,mar *", "2026-02-01T00:00"],
    ["0 0 L * *", "2026-01-31T00:00"],
    // The 15th of February 2026 is a Sunday.
    ["0 0 15W FEB *", "2026-02-16T00:00"],
    ["0 0 * * 5L", "2026-01-30T00:00"],
    ["0 0 * * TUE#1", "2026-02-03T00:00"],
    // Either field is enough when both are given.
    ["0 0 1 * FRI", "2026-01-16T00:00"],
    ["0 0 29 2 *", "2028-02-29T00:00"],
    ["0 0 31 4,6 *", null],
  ];
  for (const [expression, expected] of cases) {
    assert.equal(show(nextMatch(expression, now)), expected, expression);
  }
});

Deno.test("semantics 105: an interval runs at once and then without drift; what was missed is skipped", () => {
  const schedule = { type: "interval", minutes: 10 } as const;
  assert.equal(firstTime(schedule, now), now);
  const minute = 60_000;
  assert.deepEqual(timeAfter(schedule, now, now + 3000), {
    timeMs: now + 10 * minute,
    skipped: 0,
  });
  assert.deepEqual(timeAfter(schedule, now, now + 35 * minute), {
    timeMs: now + 40 * minute,
    skipped: 3,
  });
  assert.equal(timeAfter({ type: "interval", hours: 2 }, 0, 0).timeMs, 120 * minute);
  assert.equal(timeAfter({ type: "interval", seconds: 2 }, 0, 0).timeMs, 2000);
});

Deno.test("semantics 18: a schedule begins anew when the clock was set back by more than a period", () => {
  const minutes = { type: "interval", minutes: 10 } as const;
  const minute = 60_000;
  assert.equal(timeByClock(minutes, now + 9 * minute, now), now + 9 * minute);
  assert.equal(timeByClock(minutes, now + 19 * minute, now), now + 19 * minute);
  assert.equal(timeByClock(minutes, now + 500 * minute, now), now + 10 * minute);
  const daily = { type: "daily", hourUTC: 10, minuteUTC: 30 } as const;
  // It ran at 10:30, and it is 10:20 again.
  const tomorrow = at("2026-01-15T10:30");
  assert.equal(timeByClock(daily, tomorrow, now), tomorrow);
  assert.equal(
    show(timeByClock(daily, tomorrow + 300 * 24 * 60 * minute, now)),
    "2026-01-14T10:30",
  );
});
