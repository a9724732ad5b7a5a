import assert from "node:assert/strict";
import type { AnalyzedFunction, AnalyzedModule } from "../isolate/protocol.ts";
import { parseCronDefinitions } from "./cron_definitions.ts";

const nothing: AnalyzedModule = { functions: [], httpRoutes: null, crons: null, exported: null };
const common = { visibility: "internal", args: null, returns: null, position: null } as const;
const functions: AnalyzedFunction[] = [
  { ...common, name: "m", udfType: "Mutation" },
  { ...common, name: "a", udfType: "Action" },
  { ...common, name: "q", udfType: "Query" },
];

function parse(jobs: unknown) {
  const crons = typeof jobs === "string" ? jobs : JSON.stringify(jobs);
  return parseCronDefinitions({
    "crons.js": { ...nothing, crons },
    "dir/f.js": { ...nothing, functions },
  });
}

function parseSchedule(schedule: unknown) {
  return parse({ job: { name: "dir/f:m", args: [{}], schedule } });
}

Deno.test("function-abi 21.3: each kind of schedule is understood", () => {
  const schedules = [
    { type: "interval", seconds: 1 },
    { type: "interval", minutes: 5 },
    { type: "interval", hours: 24 },
    { type: "hourly" },
    { type: "hourly", minuteUTC: 59 },
    { type: "daily", hourUTC: 0, minuteUTC: 0 },
    { type: "weekly", dayOfWeek: "sunday", hourUTC: 23 },
    { type: "monthly", day: 31, hourUTC: 1, minuteUTC: 2 },
    { type: "cron", cron: "*/15 9-17 * * mon-fri" },
  ];
  for (const schedule of schedules) {
    assert.deepEqual(parseSchedule(schedule), [
      { name: "job", function: "dir/f.js:m", args: [{}], schedule },
    ]);
  }
  assert.deepEqual(parseCronDefinitions({}), []);
});

Deno.test("function-abi 21.3, 93: what is wrong with a job is said", () => {
  const cases: [unknown, RegExp][] = [
    [{ type: "interval" }, /^Exactly one of \(seconds, minutes, hours\) should be specified$/],
    [{ type: "interval", seconds: 1, hours: 1 }, /^Exactly one of/],
    [{ type: "interval", seconds: 0 }, /^Interval must be an integer greater than 0/],
    [{ type: "hourly", minuteUTC: 60 }, /^minuteUTC must be 0-59 in \{\n {2}"type": "hourly"/],
    [{ type: "daily", hourUTC: 24 }, /^hourUTC must be 0-23 in \{/],
    [{ type: "monthly", day: 0, hourUTC: 1 }, /^day of month must be 1-31 in \{/],
    [{ type: "yearly" }, /"yearly"/],
    [
      { type: "cron", cron: "0 0 30 2 *" },
      /^The cron spec "0 0 30 2 \*" will never match any time/,
    ],
    [{ type: "cron", cron: "* * * * * *" }, /has 6 fields instead of 5/],
    [{ type: "cron", cron: "61 * * * *" }, /The cron spec "61 \* \* \* \*" .* is invalid: .*61/],
    [{ type: "cron", cron: "@daily" }, /is invalid/],
    [{ type: "cron", cron: "? * * * *" }, /"\?" cannot be understood/],
  ];
  for (const [schedule, message] of cases) {
    assert.throws(() => parseSchedule(schedule), { message }, JSON.stringify(schedule));
  }
  const schedule = { type: "hourly" };
  const job = (name: string) => ({ job: { name, args: [{}], schedule } });
  const problems: [unknown, RegExp][] = [
    [
      job("dir/f:gone"),
      /^The cron job 'job' schedules a function that does not exist: dir\/f:gone$/,
    ],
    [job("gone:m"), /schedules a function that does not exist: gone:m$/],
    [job("dir/f:q"), /schedules a query function, only actions and mutations .*: dir\/f:q$/],
    [{ "jöb": job("dir/f:m").job }, /printable ASCII/],
    [{ job: { ...job("dir/f:m").job, args: ["x".repeat(1 << 20)] } }, /too large/],
    ["[]", /^Invalid JSON$/],
    ["nonsense", /^Invalid JSON$/],
    [{ job: { name: "dir/f:m" } }, /^Invalid JSON$/],
  ];
  for (const [jobs, message] of problems) assert.throws(() => parse(jobs), { message });
});
