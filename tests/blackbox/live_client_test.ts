/** `ConvexClient` over WebSocket: live queries, ordered mutations, parallel actions, optimistic updates, errors. */
import assert from "node:assert/strict";
import { ConvexError } from "convex/values";
import type { OptimisticUpdate } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });
const { counters, entries, errors } = api;

test("a subscriber sees every client's writes, whatever way they took", async ({ clients }) => {
  const counter = watch(clients.live(), counters.read, { name: "shared" });
  await counter.until((value) => value === 0, "the first result");
  await clients.live().mutation(counters.increment, { name: "shared" });
  await counter.until((value) => value === 1, "another socket's write");
  await clients.http().mutation(counters.increment, { name: "shared" });
  await counter.until((value) => value === 2, "a write over HTTP");
});

test("semantics §10: a subscriber is not told of writes that do not concern it", async ({ clients }) => {
  const client = clients.live();
  const quiet = watch(client, counters.read, { name: "quiet" });
  const busy = watch(client, counters.read, { name: "busy" });
  await quiet.until((value) => value === 0, "the first result");
  for (let n = 0; n < 5; n++) await client.mutation(counters.increment, { name: "busy" });
  await busy.until((value) => value === 5, "all writes");
  assert.deepEqual(quiet.history, [0]);
});

test("sync-protocol 26, 27: two queries changed by one commit change together", async ({ clients }) => {
  const client = clients.live();
  await client.mutation(api.accounts.open, { owners: ["left", "right"], balance: 100 });
  const all = watch(client, api.accounts.balances, {});
  const total = watch(client, api.accounts.total, {});
  const seen: { all: number; total: number }[] = [];
  client.client.addOnTransitionHandler(() => {
    const balances = client.client.localQueryResult("accounts:balances", {}) as
      | number[]
      | undefined;
    const sum = client.client.localQueryResult("accounts:total", {}) as number | undefined;
    if (balances === undefined || sum === undefined) return;
    seen.push({ all: balances.reduce((a, b) => a + b, 0), total: sum });
  });
  await total.until((value) => value === 200, "the first result");
  const writer = clients.live();
  for (let n = 0; n < 10; n++) {
    await writer.mutation(api.accounts.open, { owners: [`new ${n}`], balance: 10 });
  }
  await total.until((value) => value === 300, "all writes");
  await all.until((value) => value.length === 12, "all accounts");
  for (const state of seen) assert.equal(state.all, state.total);
});

test("sync-protocol 50: mutations of one client run in order, also behind a slow one", async ({ clients }) => {
  const client = clients.live();
  const expected = Array.from({ length: 12 }, (_, number) => number);
  const results = await Promise.all(
    expected.map((number) => client.mutation(entries.addSlowly, { client: "ordered", number })),
  );
  assert.deepEqual(results, expected);
  assert.deepEqual(await client.query(entries.listByClient, { client: "ordered" }), expected);
});

test("sync-protocol 51: a failed mutation does not hold up the next", async ({ clients }) => {
  const client = clients.live();
  const failed = client.mutation(errors.throwData, { data: { code: 5 } });
  const next = client.mutation(counters.increment, { name: "after a failure" });
  await assert.rejects(failed, (error: Error) => {
    assert.ok(error instanceof ConvexError);
    assert.deepEqual(error.data, { code: 5 });
    return true;
  });
  assert.equal(await next, 1);
});

test("sync-protocol 64, 65: actions run side by side and hold up nothing", async ({ clients }) => {
  const client = clients.live();
  const order: string[] = [];
  const sleep = async (ms: number, label: string) =>
    order.push(await client.action(api.waiting.sleep, { ms, label }));
  const slow = sleep(1500, "slow action");
  const fast = sleep(1, "fast action");
  const mutation = client.mutation(counters.increment, { name: "beside actions" })
    .then(() => order.push("mutation"));
  await Promise.all([fast, mutation]);
  assert.ok(!order.includes("slow action"));
  await slow;
  assert.equal(order.at(-1), "slow action");
});

test("sync-protocol 61: an optimistic update is replaced by the server's value without a flicker", async ({ clients }) => {
  const client = clients.live();
  const args = { client: "optimistic" };
  const list = watch(client, entries.listByClient, args);
  await list.until((numbers) => numbers.length === 0, "the first result");
  const optimisticUpdate: OptimisticUpdate<{ client: string; number: number }> = (store, entry) => {
    const shown: number[] = store.getQuery(entries.listByClient, args) ?? [];
    store.setQuery(entries.listByClient, args, [...shown, entry.number]);
  };
  await Promise.all(
    [1, 2, 3].map((number) =>
      client.mutation(entries.addSlowly, { ...args, number }, { optimisticUpdate })
    ),
  );
  await list.until((numbers) => numbers.length === 3, "all entries");
  // Every state on the way is a beginning of the final list: nothing vanished, doubled or swapped places.
  let length = 0;
  for (const state of list.history as number[][]) {
    assert.deepEqual(state, [1, 2, 3].slice(0, state.length));
    assert.ok(state.length >= length, `${JSON.stringify(list.history)}`);
    length = state.length;
  }
});

test("an optimistic update of a failed mutation is taken back", async ({ clients }) => {
  const client = clients.live();
  const args = { name: "rolled back" };
  const counter = watch(client, counters.read, args);
  await counter.until((value) => value === 0, "the first result");
  const failing = client.mutation(errors.throwData, { data: "no" }, {
    optimisticUpdate: (store) => store.setQuery(counters.read, args, 100),
  });
  await counter.until((value) => value === 100, "the optimistic value");
  await assert.rejects(failing);
  await counter.until((value) => value === 0, "the server's value");
});

test("a live query that fails tells its subscriber, and recovers with the data", async ({ clients }) => {
  const client = clients.live();
  const query = watch(client, errors.failsWhileOdd, { name: "odd" });
  await query.until((value) => value === 0, "the first result");
  await client.mutation(counters.increment, { name: "odd" });
  const error = await query.untilError();
  assert.ok(error instanceof ConvexError);
  assert.deepEqual(error.data, { odd: 1 });
  await client.mutation(counters.increment, { name: "odd" });
  await query.until((value) => value === 2, "the result after the error");
});

test("sync-protocol 32, 35: unknown functions and wrong arguments fail the query, not the connection", async ({ clients }) => {
  const client = clients.live();
  const missing = await watch(client, api.nosuch.query, {}).untilError();
  assert.match(missing.message, /Could not find public function for 'nosuch:query'\./);
  const wrong = await watch(client, counters.read, { name: 1 }).untilError();
  assert.match(wrong.message, /ArgumentValidationError: /);
  assert.equal(await client.mutation(counters.increment, { name: "still connected" }), 1);
  assert.equal(client.connectionState().connectionCount, 1);
});

test("sync-protocol 20: after unsubscribing nothing more arrives", async ({ clients }) => {
  const client = clients.live();
  const counter = watch(client, counters.read, { name: "left" });
  await counter.until((value) => value === 0, "the first result");
  counter.unsubscribe();
  await client.mutation(counters.increment, { name: "left" });
  await client.mutation(counters.increment, { name: "left" });
  assert.deepEqual(counter.history, [0]);
});

test("sync-protocol 42: a loaded page grows in place", async ({ clients }) => {
  const client = clients.live();
  await client.mutation(api.notes.clear, {});
  await client.mutation(api.notes.insertMany, { notes: [10, 20, 30, 40].map((n) => ({ n })) });
  const page = watch(client, api.notes.page, { paginationOpts: { numItems: 3, cursor: null } });
  const numbers = (value: { page: { n: number }[] }) => value.page.map(({ n }) => n).join();
  await page.until((value) => numbers(value) === "10,20,30", "the first page");
  await client.mutation(api.notes.insertMany, { notes: [{ n: 15 }, { n: 35 }] });
  await page.until((value) => numbers(value) === "10,15,20,30", "the grown page");
});

test("a large result reaches a subscriber in pieces", async ({ clients }) => {
  const client = clients.live();
  await client.mutation(api.notes.clear, {});
  const text = "🐋".repeat(200_000);
  for (let n = 0; n < 9; n++) {
    await client.mutation(api.notes.insertMany, { notes: [{ n, text }] });
  }
  const notes = watch(client, api.notes.all, {});
  const all = await notes.until((value) => value.length === 9, "nine large notes");
  assert.ok(all.every((note: { text: string }) => note.text === text));
  await client.mutation(api.notes.clear, {});
});
