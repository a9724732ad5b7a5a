import assert from "node:assert/strict";
import { FakeEnvironment, settle } from "../../tests/support/fake_environment.ts";
import type { LogEntry } from "./log_entry.ts";
import { LogFiles } from "./log_files.ts";
import { LogStore } from "./log_store.ts";

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

Deno.test("logStore after() pages through entries of the same millisecond", async () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  for (const name of ["a", "b", "c"]) store.append(entry(name, environment));
  const all = await store.after(0);
  assert.deepEqual(names(all.entries), ["a", "b", "c"]);
  assert.deepEqual(await store.after(all.cursor), { entries: [], cursor: all.cursor });
  store.append(entry("d", environment));
  assert.deepEqual(names((await store.after(all.cursor)).entries), ["d"]);
  assert.ok(store.lastCursor > all.cursor);
});

Deno.test("logStore cursors grow even when the clock steps back", async () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  store.append(entry("a", environment));
  const { cursor } = await store.after(0);
  environment.epochMs -= 100_000;
  store.append(entry("b", environment));
  assert.deepEqual(names((await store.after(cursor)).entries), ["b"]);
});

Deno.test("deploy-protocol 35: logStore waitAfter() returns at the first entry, the time-out or the abort", async () => {
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

/** Everything after `cursor`, page by page. */
async function allAfter(store: LogStore, cursor: number): Promise<string[]> {
  const all: string[] = [];
  for (;;) {
    const page = await store.after(cursor);
    if (page.entries.length === 0) return all;
    all.push(...names(page.entries));
    cursor = page.cursor;
  }
}

Deno.test("logStore forgets the oldest entries by number and by length", async () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  for (let i = 0; i < 10_005; i++) store.append(entry(String(i), environment));
  const kept = await allAfter(store, 0);
  assert.equal(kept.length, 10_000);
  assert.equal(kept[0], "5");
  const megabyte = "x".repeat(1024 * 1024 - 470);
  for (let i = 0; i < 20; i++) store.append(entry(`long ${i}`, environment, megabyte));
  assert.deepEqual(
    await allAfter(store, 0),
    Array.from({ length: 16 }, (_, i) => `long ${i + 4}`),
  );
});

Deno.test("logStore pages are bounded in entries and in text; newest() is the last of them", async () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  for (let i = 0; i < 1500; i++) store.append(entry(String(i), environment));
  const page = await store.after(0);
  assert.deepEqual([page.entries.length, page.entries.at(-1)?.identifier], [1000, "999"]);
  const newest = await store.newest();
  assert.deepEqual([newest.entries.length, newest.entries[0]?.identifier], [1000, "500"]);
  assert.equal(newest.cursor, store.lastCursor);
  for (let i = 0; i < 6; i++) {
    store.append(entry(`long ${i}`, environment, "x".repeat(1024 * 1024)));
  }
  assert.deepEqual(names((await store.after(newest.cursor)).entries), [
    "long 0",
    "long 1",
    "long 2",
    "long 3",
  ]);
  assert.deepEqual(names((await store.newest()).entries), ["long 2", "long 3", "long 4", "long 5"]);
});

Deno.test("logStore reads from disk what memory has forgotten, and what an earlier process logged", async () => {
  const environment = new FakeEnvironment();
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-logs-" });
  const options = { dataFolder, environment, bytesMax: 64 * 1024 * 1024, ageMaxMs: 1e12 };
  {
    const files = await LogFiles.open(options);
    const store = new LogStore(environment, { files });
    for (let i = 0; i < 10_500; i++) store.append(entry(String(i), environment));
    const all = Array.from({ length: 10_500 }, (_, i) => String(i));
    assert.deepEqual(await allAfter(store, 0), all);
    const fromTheMiddle = await store.after(environment.nowMs() + 399.5 / 1024);
    assert.equal(fromTheMiddle.entries[0]?.identifier, "400");
    await files.close();
  }
  {
    const files = await LogFiles.open(options);
    const store = new LogStore(environment, { files });
    assert.ok(store.lastCursor >= environment.nowMs() + 10_499 / 1024);
    assert.deepEqual((await store.after(store.lastCursor)).entries, []);
    store.append(entry("after the restart", environment));
    const { entries } = await store.newest();
    assert.deepEqual([entries.length, entries[0]?.identifier], [1000, "9501"]);
    assert.deepEqual(names(entries.slice(-2)), ["10499", "after the restart"]);
    assert.equal((await allAfter(store, 0)).length, 10_501);
    await files.close();
  }
  await Deno.remove(dataFolder, { recursive: true });
});

Deno.test("logStore isFollowed while somebody reads now and then", async () => {
  const environment = new FakeEnvironment();
  const store = new LogStore(environment);
  assert.equal(store.isFollowed, false);
  await store.after(0);
  assert.equal(store.isFollowed, true);
  await environment.advance(75_000);
  assert.equal(store.isFollowed, false);
});
