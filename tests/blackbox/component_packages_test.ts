/** Published components at work: limits, work in the background, durable workflows, counts, migrations. */
import assert from "node:assert/strict";
import { ConvexError } from "convex/values";
import { api } from "../support/api.ts";
import { runOfficialCli } from "../support/official_cli.ts";
import { packageApp } from "../support/package_app.ts";
import { seededRandom } from "../support/random.ts";
import { eventually, within } from "../support/waiting.ts";

const { test } = packageApp();
const soonMs = 40_000;

test("components 31: rate-limiter refuses what is above a limit, key by key, and refills with time", async ({ clients }) => {
  const client = clients.http();
  const limit = (name: string, options = {}) =>
    client.mutation(api.rateLimits.limit, { name, ...options });
  const ada = { key: "ada" };
  for (let i = 0; i < 3; i++) assert.equal((await limit("signUp", ada)).ok, true);
  const refused = await limit("signUp", ada);
  assert.equal(refused.ok, false);
  assert.ok(refused.retryAfter > 0 && refused.retryAfter <= 3_600_000, `${refused.retryAfter}`);
  assert.equal((await limit("signUp", { key: "bob" })).ok, true);
  assert.equal((await client.query(api.rateLimits.check, { name: "signUp", ...ada })).ok, false);
  await client.mutation(api.rateLimits.reset, { name: "signUp", ...ada });
  assert.equal((await limit("signUp", ada)).ok, true);

  await limit("quick", { count: 2 });
  await eventually(async () => (await limit("quick")).ok || undefined, "a token", soonMs);
  await assert.rejects(limit("send", { count: 3 }), /Rate limit send count 3 exceeds 2/);
});

test("components 31: rate-limiter spreads a limit over shards, reserves, and throws on demand", async ({ clients }) => {
  const client = clients.http();
  const limit = () => client.mutation(api.rateLimits.limit, { name: "tokens" });
  const answers = await Promise.all(Array.from({ length: 60 }, limit));
  const granted = answers.filter(({ ok }) => ok).length;
  assert.ok(granted > 10 && granted <= 40, `${granted} of 40 tokens were granted`);

  const reserve = () => client.mutation(api.rateLimits.reserve, {});
  const reservations = [await reserve(), await reserve(), await reserve()];
  assert.deepEqual(reservations.map(({ ok }) => ok), [true, true, true]);
  assert.ok(reservations[2].retryAfter > 0);

  const key = "throwing";
  const failing = client.mutation(api.rateLimits.limitAndThrow, { key });
  await assert.rejects(failing, /after the limit/);
  const limitOrThrow = () => client.mutation(api.rateLimits.limitOrThrow, { key });
  for (let i = 0; i < 3; i++) await limitOrThrow();
  await assert.rejects(limitOrThrow(), (error: unknown) => {
    assert.ok(error instanceof ConvexError);
    assert.deepEqual([error.data.kind, error.data.name], ["RateLimited", "signUp"]);
    return true;
  });
});

test("components 31: rate-limiter applies updates later where that is asked for, and tells clients", async ({ clients }) => {
  const client = clients.http();
  for (let i = 0; i < 5; i++) {
    assert.equal((await client.mutation(api.rateLimits.limit, { name: "later" })).ok, true);
  }
  const shown = await client.query(api.rateLimits.getRateLimit, { key: "web" });
  assert.equal(shown.config.rate, 3);
  assert.equal(typeof await client.mutation(api.rateLimits.getServerTime, {}), "number");
});

test("components 32: workpool completes 100 actions, each once, a bounded number at a time", async ({ clients }) => {
  const client = clients.http();
  for (let from = 0; from < 100; from += 25) {
    await client.mutation(api.work.enqueue, { from, count: 25, delayMs: 5 });
  }
  const completions = await eventually(
    async () => {
      const all = await client.query(api.work.completions, {});
      return all.length >= 100 ? all : undefined;
    },
    "100 completions",
    soonMs,
  );
  const expected = Array.from({ length: 100 }, (_, i) => ({ i, kind: "success", value: i * 2 }));
  const byNumber = (a: { i: number }, b: { i: number }) => a.i - b.i;
  assert.deepEqual(completions.sort(byNumber), expected);
  const parallel = await client.query(api.work.parallel, {});
  assert.ok(parallel >= 1 && parallel <= 5, `${parallel} at a time`);
});

test("components 32: workpool retries, gives up, cancels, and runs mutations one by one", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(api.work.enqueueFlaky, { i: 1000, failures: 2 });
  await client.mutation(api.work.enqueueFlaky, { i: 1001, failures: 10 });
  const canceled = await client.mutation(api.work.enqueueAndCancel, { i: 1002 });
  await client.mutation(api.work.count, { times: 20 });
  const completion = (i: number) =>
    eventually(
      async () => {
        const all = await client.query(api.work.completions, {});
        return all.find((each: { i: number }) => each.i === i);
      },
      `completion ${i}`,
      soonMs,
    );
  assert.deepEqual(await completion(1000), { i: 1000, kind: "success", value: "attempt 3" });
  assert.deepEqual(await completion(1001), { i: 1001, kind: "failed", value: null });
  assert.deepEqual(await completion(1002), { i: 1002, kind: "canceled", value: null });
  assert.equal((await client.query(api.work.status, { id: canceled })).state, "finished");
  await eventually(
    async () => await client.query(api.work.counted, {}) === 20 || undefined,
    "20 increments",
    soonMs,
  );
});

test("components 33: workflow runs steps in order, sleeps, runs steps side by side, and fails", async ({ clients }) => {
  const client = clients.http();
  const begin = (flow: string, args = {}) => client.mutation(api.flows.begin, { flow, args });
  const result = (id: string) =>
    eventually(
      async () => (await client.query(api.flows.results, { id }))[0],
      "the end of the workflow",
      soonMs,
    );
  const three = await begin("threeSteps", { name: "Ada", sleepMs: 100 });
  const parallel = await begin("inParallel");
  const failing = await begin("fails");
  assert.deepEqual(await result(three), {
    ...{ kind: "success", value: "HELLO ADA 0 number", error: null },
  });
  assert.ok((await client.query(api.flows.notes, {})).includes("HELLO ADA"));
  assert.deepEqual((await result(parallel)).value, ["A", "B", "C"]);
  const { kind, error } = await result(failing);
  assert.equal(kind, "failed");
  assert.match(error, /broken on purpose/);
});

test("components 33: workflow waits for events and can be cancelled", async ({ clients }) => {
  const client = clients.http();
  const begin = () => client.mutation(api.flows.begin, { flow: "waits", args: {} });
  const [approved, stopped] = [await begin(), await begin()];
  const kinds = async (id: string) => await client.query(api.flows.results, { id });
  await client.mutation(api.flows.approve, { id: approved, by: "Ada" });
  const [result] = await eventually(
    async () => {
      const all = await kinds(approved);
      return all.length > 0 ? all : undefined;
    },
    "the approved workflow",
    soonMs,
  );
  assert.equal(result.value, "approved by Ada");
  await client.mutation(api.flows.stop, { id: stopped });
  await eventually(
    async () => await client.query(api.flows.status, { id: stopped }) === "canceled" || undefined,
    "the cancelled workflow",
    soonMs,
  );
});

test("components 34: aggregate counts and ranks as counting by hand does, under concurrent writes", async ({ clients }) => {
  const client = clients.http();
  const random = seededRandom(34);
  const points = Array.from({ length: 60 }, () => random.integer(50));
  const ids = await Promise.all(
    points.map((points) => clients.http().mutation(api.counts.addScore, { points })),
  );
  await Promise.all(ids.map((id, i) => {
    if (i % 3 === 0) return clients.http().mutation(api.counts.removeScore, { id });
    if (i % 3 === 1) {
      return clients.http().mutation(api.counts.changeScore, { id, points: points[i]! + 7 });
    }
  }));
  for (const [from, to] of [[0, 100], [10, 20], [25, 26], [60, 70]]) {
    const { aggregate, byHand } = await client.query(api.counts.compare, { from, to });
    assert.deepEqual(aggregate, byHand);
  }
  for (const [album, key] of [["a", 3], ["b", 1], ["a", 1], ["a", 2]]) {
    await client.mutation(api.counts.addPhoto, { album, key, id: `${album}${key}` });
  }
  assert.equal(await client.query(api.counts.photoAt, { album: "a", position: 1 }), "a2");
});

test("components §13: sharded-counter counts what many add at a time", async ({ clients }) => {
  const client = clients.http();
  await Promise.all(
    Array.from({ length: 40 }, () => clients.http().mutation(api.counts.click, {})),
  );
  await client.mutation(api.counts.click, { by: -5 });
  assert.equal(await client.query(api.counts.clicks, {}), 35);
});

test("components 35: migrations from `npx convex run` finish, and resume after a failure", async ({ server, app, clients }) => {
  const client = clients.http();
  for (let from = 0; from < 1000; from += 250) {
    await client.mutation(api.migrations.addPeople, { from, count: 250 });
  }
  await client.mutation(api.migrations.setObstacle, { isThere: true });
  const run = (name: string) => runOfficialCli(server, app, ["run", `migrations:${name}`]);
  const progress = () => client.query(api.migrations.progress, {});
  const state = async (name: string) => {
    const all = await client.query(api.migrations.status, {});
    return all.find((each: { name: string }) => each.name === `migrations:${name}`)?.state;
  };
  assert.equal((await run("number")).code, 0);
  await eventually(async () => await state("number") === "success" || undefined, "it", soonMs);
  assert.deepEqual(await progress(), { named: 1000, passed: 0 });

  await run("stumbling");
  await eventually(async () => await state("stumbling") === "failed" || undefined, "it", soonMs);
  const { passed } = await progress();
  assert.ok(passed >= 500 && passed < 1000, `${passed} before the obstacle`);
  await client.mutation(api.migrations.setObstacle, { isThere: false });
  await run("stumbling");
  await eventually(async () => await state("stumbling") === "success" || undefined, "it", soonMs);
  assert.deepEqual(await progress(), { named: 1000, passed: 1000 });
});

test("components §13: crons registers, lists, runs and removes jobs while the app runs", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(api.later.registerDaily, {});
  await client.mutation(api.later.register, { name: "often", ms: 1000 });
  assert.deepEqual(await client.query(api.later.registered, {}), ["daily", "often"]);
  await eventually(
    async () => await client.query(api.later.ticks, { name: "often" }) === 2 || undefined,
    "two runs",
    soonMs,
  );
  assert.deepEqual(await client.query(api.later.registered, {}), ["daily"]);
  await client.mutation(api.later.unregister, { name: "daily" });
  assert.deepEqual(await client.query(api.later.registered, {}), []);
});

test("components §13: action-cache runs an action once for each of its arguments", async ({ clients }) => {
  const client = clients.http();
  const squared = (n: number) => client.action(api.later.squared, { n });
  assert.deepEqual([await squared(3), await squared(3), await squared(4)], [9, 9, 16]);
  assert.equal(await client.query(api.later.expenses, {}), 2);
  await client.action(api.later.forget, {});
  assert.equal(await squared(3), 9);
  assert.equal(await client.query(api.later.expenses, {}), 3);
});

test("components §13: action-retrier tries again, gives up, and tells once", async ({ clients }) => {
  const client = clients.http();
  const outcome = async (failures: number, i: number) => {
    const id = await client.mutation(api.later.retry, { i, failures });
    return await eventually(
      async () => {
        const status = await client.query(api.later.retryStatus, { id });
        return status.result !== null && status.told.length > 0 ? status : undefined;
      },
      "the end of the run",
      soonMs,
    );
  };
  assert.deepEqual(await outcome(2, 2000), {
    result: { type: "success", returnValue: "attempt 3" },
    told: ["success"],
  });
  const { result, told } = await outcome(10, 2001);
  assert.equal(result.type, "failed");
  assert.deepEqual(told, ["failed"]);
});

test("components §13: presence tells live who is in a room", async ({ clients }) => {
  const client = clients.http();
  const heartbeat = (userId: string) =>
    client.mutation(api.together.heartbeat, {
      ...{ roomId: "room", userId, sessionId: `session of ${userId}`, interval: 60_000 },
    });
  const { roomToken } = await heartbeat("ada");
  const live = clients.live();
  const seen: string[] = [];
  const changes = new EventTarget();
  live.onUpdate(api.together.list, { roomToken }, (users) => {
    const online = users.filter((user: { online: boolean }) => user.online);
    seen.push(online.map(({ userId }: { userId: string }) => userId).sort().join());
    changes.dispatchEvent(new Event("change"));
  });
  const shows = async (users: string) => {
    while (seen.at(-1) !== users) {
      await within(new Promise((r) => changes.addEventListener("change", r)), soonMs, users);
    }
  };
  await shows("ada");
  const { sessionToken } = await heartbeat("bob");
  await shows("ada,bob");
  await client.mutation(api.together.disconnect, { sessionToken });
  await shows("ada");
});

test("components §13: persistent-text-streaming sends text as it comes and keeps it", async ({ server, clients }) => {
  const client = clients.http();
  const streamId = await client.mutation(api.together.createStream, {});
  const body = JSON.stringify({ streamId });
  const text = "Hi there! How are you? Fine.";
  const response = await fetch(`${server.url}/stream`, { method: "POST", body });
  assert.equal(await response.text(), text);
  await eventually(
    async () => {
      const kept = await client.query(api.together.streamBody, { streamId });
      return kept.status === "done" && kept.text === text || undefined;
    },
    "the whole text",
    soonMs,
  );
  const again = await fetch(`${server.url}/stream`, { method: "POST", body });
  assert.equal(again.status, 205);
  await again.body?.cancel();
});

test("components §13: geospatial finds places, with WebAssembly inside of queries", async ({ clients }) => {
  const client = clients.http();
  const places = [
    { name: "Louvre", latitude: 48.86, longitude: 2.34, kind: "museum" },
    { name: "Tate", latitude: 51.51, longitude: -0.1, kind: "museum" },
    { name: "Eiffel tower", latitude: 48.86, longitude: 2.29, kind: "tower" },
  ];
  for (const place of places) await client.mutation(api.places.add, place);
  const paris = { west: 2, east: 3 };
  assert.deepEqual(await client.query(api.places.within, paris), ["Eiffel tower", "Louvre"]);
  assert.deepEqual(
    await client.query(api.places.within, { west: -2, east: 3, kind: "museum" }),
    ["Louvre", "Tate"],
  );
  const london = { latitude: 51.5, longitude: -0.12 };
  assert.deepEqual(await client.query(api.places.nearest, london), ["Tate"]);
});
