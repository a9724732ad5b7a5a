import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { LogBudgets } from "./log_budgets.ts";
import type { LogEntry } from "./log_entry.ts";

const entry = (identifier: string, text: string): LogEntry => ({
  kind: "completion",
  functionKind: "query",
  identifier,
  environment: "isolate",
  logLines: [{ level: "LOG", messages: [text], isTruncated: false, timestamp: 0 }],
  timestampMs: 0,
  cached: false,
  origin: "HttpApi",
  identityType: "anonymous",
  requestId: "r",
  executionId: "e",
  durationMs: 1,
  usage: null,
  error: null,
});

Deno.test("logBudgets leave out what one function floods the log with, say so, and spare the others", async () => {
  const environment = new FakeEnvironment();
  const budgets = new LogBudgets(environment, 1024);
  const text = "x".repeat(8 * 1024);
  let kept = 0;
  for (let i = 0; i < 100; i++) kept += budgets.spend(entry("a:flood", text)).length;
  assert.equal(kept, 7);
  assert.equal(budgets.spend(entry("b:quiet", "hello")).length, 1);

  await environment.advance(10_000);
  const [omission, next] = budgets.spend(entry("a:flood", text));
  assert.equal(omission?.kind, "progress");
  assert.match(
    omission!.logLines[0]!.messages[0]!,
    /^93 executions and 93 log lines of this function are missing here: it logs more than 1 KiB\/s/,
  );
  assert.equal(next?.identifier, "a:flood");
  assert.equal(budgets.spend(entry("a:flood", "")).length, 1);
});
