import assert from "node:assert/strict";
import { FakeEnvironment, settle } from "../../tests/support/fake_environment.ts";
import { type LogEntry, LogStore } from "./log_store.ts";

function entry(identifier: string, environment: FakeEnvironment, text = ""): LogEntry {
  return {
    kind: "progress",
    functionKind: "action",
    identifier,
    logLines: [{ level: "LOG", messages: [text], isTruncated: false, timestamp: 0 }],
    timestampMs: environment.nowMs(),
    requestId: "r",
    executionId: "e",
  };
}

const names = (entries: readonly LogEntry[]) => entries.map(({ identifier }) => identifier);

Deno.test("logStore after() pages through entries of the same millisecond", () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  for (const name of ["a", "b", "c"]) store.append(entry(name, environment));
  const all = store.after(0);
  assert.deepEqual(names(all.entries), ["a", "b", "c"]);
  assert.deepEqual(store.after(all.cursor), { entries: [], cursor: all.cursor });
  store.append(entry("d", environment));
  assert.deepEqual(names(store.after(all.cursor).entries), ["d"]);
  assert.ok(store.lastCursor > all.cursor);
});

Deno.test("logStore cursors grow even when the clock steps back", () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  store.append(entry("a", environment));
  const { cursor } = store.after(0);
  environment.epochMs -= 100_000;
  store.append(entry("b", environment));
  assert.deepEqual(names(store.after(cursor).entries), ["b"]);
});

Deno.test("logStore waitAfter() returns at the first entry, the time-out or the abort", async () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  const first = store.waitAfter(0, 60_000);
  await settle();
  store.append(entry("a", environment));
  const { entries, cursor } = await first;
  assert.deepEqual(names(entries), ["a"]);

  const timedOut = store.waitAfter(cursor, 60_000);
  await environment.advance(60_000);
  assert.deepEqual(await timedOut, { entries: [], cursor });

  const abort = new AbortController();
  const aborted = store.waitAfter(cursor, 60_000, abort.signal);
  await settle();
  abort.abort();
  assert.deepEqual(await aborted, { entries: [], cursor });
});

Deno.test("logStore forgets the oldest entries by number and by length", () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  for (let i = 0; i < 10_005; i++) store.append(entry(String(i), environment));
  const kept = names(store.after(0).entries);
  assert.equal(kept.length, 10_000);
  assert.equal(kept[0], "5");
  const megabyte = "x".repeat(1024 * 1024);
  for (let i = 0; i < 20; i++) store.append(entry(`long ${i}`, environment, megabyte));
  assert.deepEqual(
    names(store.after(0).entries),
    Array.from({ length: 16 }, (_, i) => `long ${i + 4}`),
  );
});

Deno.test("logStore isFollowed while somebody reads now and then", async () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  assert.equal(store.isFollowed, false);
  store.after(0);
  assert.equal(store.isFollowed, true);
  await environment.advance(75_000);
  assert.equal(store.isFollowed, false);
});
