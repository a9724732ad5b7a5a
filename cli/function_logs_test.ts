import assert from "node:assert/strict";
import { systemEnvironment } from "../src/environment.ts";
import type { LogEntry } from "../src/logs/log_entry.ts";
import { LogStore } from "../src/logs/log_store.ts";
import { followLogs, renderLogEntry } from "./function_logs.ts";

const line = { level: "LOG", messages: ["'a'", "1"], isTruncated: false, timestamp: 0 } as const;
const completion: LogEntry = {
  kind: "completion",
  functionKind: "query",
  identifier: "messages:list",
  environment: "isolate",
  logLines: [line],
  timestampMs: new Date(2026, 0, 1, 9, 8, 7).getTime(),
  cached: false,
  origin: "HttpApi",
  identityType: "anonymous",
  requestId: "r",
  executionId: "e",
  durationMs: 1,
  usage: null,
  error: null,
};

Deno.test("renderLogEntry shows what a function logged and how it failed", () => {
  const head = "09:08:07 r query messages:list";
  assert.deepEqual(renderLogEntry(completion), [`${head} [LOG] 'a' 1`]);
  const failed = { ...completion, logLines: [], error: "Uncaught Error: no\n    at f\n" };
  assert.deepEqual(renderLogEntry(failed), [`${head} [FAILED] Uncaught Error: no\n    at f`]);
  assert.deepEqual(renderLogEntry({ ...completion, logLines: [] }), []);
  assert.deepEqual(renderLogEntry({ ...completion, logLines: [{ ...line, isTruncated: true }] }), [
    `${head} [LOG] 'a' 1 (truncated due to length)`,
  ]);
});

Deno.test("followLogs prints what is logged from now on, until it is stopped", async () => {
  const logs = new LogStore(systemEnvironment);
  logs.append(completion);
  const stop = new AbortController();
  const printed: string[] = [];
  const following = followLogs(logs, stop.signal, (text) => {
    printed.push(text);
    if (printed.length === 2) stop.abort();
  });
  logs.append({ ...completion, identifier: "a:b" });
  logs.append({ ...completion, identifier: "c:d" });
  await following;
  assert.deepEqual(printed.map((text) => text.split(" ")[3]), ["a:b", "c:d"]);
});
