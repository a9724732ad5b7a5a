import assert from "node:assert/strict";
import { type ApiListener, asAdmin, listenWith } from "../../tests/support/api_listener.ts";
import { systemEnvironment } from "../environment.ts";
import { sessionRequestId } from "../functions/request_id.ts";
import type { LogEntry } from "../logs/log_entry.ts";
import { LogStore } from "../logs/log_store.ts";
import { logApi } from "./log_api.ts";

const line = { level: "LOG", messages: ["'hi'", "1"], isTruncated: false, timestamp: 5 } as const;

const entry = (fields: Partial<LogEntry> = {}): LogEntry => ({
  kind: "completion",
  functionKind: "mutation",
  identifier: "messages:send",
  environment: "isolate",
  logLines: [line],
  timestampMs: Date.now(),
  cached: false,
  origin: "SyncWorker",
  identityType: "user",
  returnBytes: 4,
  requestId: "r1",
  executionId: "e1",
  durationMs: 4,
  usage: {
    documentsRead: 1,
    bytesRead: 20,
    documentsWritten: 2,
    bytesWritten: 30,
    durationMs: 3,
    heapBytes: 5_000_000,
  },
  error: null,
  ...fields,
} as LogEntry);

async function serving(
  test: (
    logs: LogStore,
    get: (query: string, headers?: Record<string, string>) => Promise<Response>,
  ) => Promise<void>,
): Promise<void> {
  const logs = new LogStore(systemEnvironment);
  const { signal } = new AbortController();
  await using server: ApiListener = listenWith({ ...logApi(logs, systemEnvironment, signal) });
  await test(
    logs,
    (query, headers = {}) =>
      fetch(`${server.url}/api/stream_${query}`, { headers: { ...asAdmin, ...headers } }),
  );
}

Deno.test("deploy-protocol §8: a completion has every field that the CLI reads", () =>
  serving(async (logs, get) => {
    logs.append(entry());
    const cli = { "convex-client": "npm-cli-1.48.0" };
    const { entries, newCursor } = await (await get("function_logs?cursor=0", cli)).json();
    assert.partialDeepStrictEqual(entries[0], {
      kind: "Completion",
      udfType: "Mutation",
      identifier: "messages:send",
      caller: "SyncWorker",
      identityType: "user",
      returnBytes: 4,
      cachedResult: false,
      executionTime: 0.004,
      userExecutionTime: 0.003,
      success: null,
      error: null,
      requestId: "r1",
      usageStats: { databaseReadDocuments: 1, databaseWriteBytes: 30, memoryUsedMb: 5 },
      logLines: [{ messages: ["'hi'", "1"], level: "LOG", timestamp: 5, isTruncated: false }],
    });
    const again = await get(`function_logs?cursor=${newCursor - 1}`);
    assert.deepEqual((await again.json()).entries[0].logLines, ["[LOG] 'hi' 1"]);
  }));

Deno.test("deploy-protocol §8: a poll waits for what comes after its cursor, one that begins does not", () =>
  serving(async (logs, get) => {
    const { entries, newCursor } = await (await get("function_logs?cursor=0")).json();
    assert.deepEqual(entries, []);
    assert.ok(newCursor > 0);
    const poll = get(`function_logs?cursor=${newCursor}`).then((response) => response.json());
    while (!logs.isFollowed) await new Promise((resolve) => setImmediate(resolve));
    logs.append(
      entry({ kind: "progress", functionKind: "action", timestampMs: Date.now() + 1000 }),
    );
    const page = await poll;
    assert.partialDeepStrictEqual(page.entries, [{ kind: "Progress", udfType: "Action" }]);
    assert.ok(page.newCursor > newCursor);
  }));

Deno.test("deploy-protocol §8, dashboard-api 10: stream_udf_execution has completions alone; a session's request can be followed", () =>
  serving(async (logs, get) => {
    logs.append(entry({ kind: "progress" }));
    logs.append(entry({ requestId: sessionRequestId("s", 3), executionId: "mine" }));
    const kinds = (await (await get("udf_execution?cursor=0")).json()).entries
      .map(({ kind }: { kind: string }) => kind);
    assert.deepEqual(kinds, ["Completion"]);
    const nested = { executionId: "called by mine", parentExecutionId: "mine" };
    logs.append(entry({ requestId: sessionRequestId("s", 3), ...nested }));
    logs.append(entry({ kind: "progress", requestId: sessionRequestId("s", 3), ...nested }));
    const filtered = await get("function_logs?cursor=0&sessionId=s&clientRequestCounter=3");
    assert.deepEqual(
      (await filtered.json()).entries.map((entry: { executionId: string }) => entry.executionId),
      ["mine"],
    );
  }));

Deno.test("a poll ends when the server stops", async () => {
  const logs = new LogStore(systemEnvironment);
  const stopping = new AbortController();
  await using server = listenWith({ ...logApi(logs, systemEnvironment, stopping.signal) });
  const poll = fetch(`${server.url}/api/stream_function_logs?cursor=1`, { headers: asAdmin });
  while (!logs.isFollowed) await new Promise((resolve) => setImmediate(resolve));
  stopping.abort();
  assert.deepEqual(await (await poll).json(), { entries: [], newCursor: 1 });
});

Deno.test("deploy-protocol 2.4: whoever may not read logs is answered with 403, at which the CLI stops", () =>
  serving(async (_logs, get) => {
    const wrong = await get("function_logs?cursor=0", { authorization: "Convex wrong" });
    assert.deepEqual([wrong.status, (await wrong.json()).code], [403, "BadDeployKey"]);
    assert.equal((await get("function_logs?cursor=x")).status, 400);
  }));
