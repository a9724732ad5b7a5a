import assert from "node:assert/strict";
import { Log } from "./log.ts";
import { addUsageWarnings, type Usage } from "./usage_warnings.ts";

const limits = {
  documentsRead: 32_000,
  bytesRead: 1000,
  databaseQueries: 1000,
  documentsWritten: 1000,
  bytesWritten: 1000,
  functionsScheduled: 1000,
  scheduledFunctionArgsBytes: 1000,
};

function warningsOf(used: Partial<typeof limits>, usage: Partial<Usage> = {}): string[][] {
  const log = new Log();
  const metrics = Object.fromEntries(
    Object.entries(limits).map(([metric, limit]) => {
      const amount = used[metric as keyof typeof limits] ?? 0;
      return [metric, { used: amount, remaining: limit - amount }];
    }),
  );
  addUsageWarnings(log, {
    metrics,
    largestWrites: { largest: { id: "", bytes: 0 }, deepest: { id: "", nesting: 0 } },
    argumentBytes: 0,
    resultBytes: 0,
    scheduledArgumentBytes: 0,
    userTimeMs: 0,
    userTimeMsMax: 1000,
    ...usage,
  });
  return log.take().map(({ level, messages, systemCode }) => [level, systemCode!, ...messages]);
}

Deno.test("semantics 67: addUsageWarnings() warns above 80 % of a limit, up to the limit", () => {
  assert.deepEqual(warningsOf({}), []);
  assert.deepEqual(warningsOf({ documentsRead: 25_600 }), []);
  const warning = (used: number) => [
    "WARN",
    "warning:TooManyDocumentsRead",
    "Many documents read in a single function execution " +
    `(actual: ${used} documents, limit: 32000 documents).`,
  ];
  assert.deepEqual(warningsOf({ documentsRead: 25_601 }), [warning(25_601)]);
  assert.deepEqual(warningsOf({ documentsRead: 32_000 }), [warning(32_000)]);
  assert.deepEqual(warningsOf({ documentsRead: 32_001 }), []);
});

Deno.test("function-abi §17: a function that took nearly all of its time is warned of", () => {
  assert.deepEqual(warningsOf({}, { userTimeMs: 800 }), []);
  assert.deepEqual(warningsOf({}, { userTimeMs: 850 }), [[
    "WARN",
    "warning:FunctionTimeout",
    "Function execution took a long time. (maximum duration: 1s, actual duration: 0.85s)",
  ]]);
});

Deno.test("function-abi 8.1: large arguments of one scheduled function are warned of without bound", () => {
  const MiB = 1024 * 1024;
  assert.deepEqual(warningsOf({}, { scheduledArgumentBytes: 3 * MiB }), []);
  assert.equal(warningsOf({}, { scheduledArgumentBytes: 3.5 * MiB }).length, 1);
  assert.equal(warningsOf({}, { scheduledArgumentBytes: 10 * MiB }).length, 1);
});
