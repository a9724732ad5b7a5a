/** Queries through the cache: what is shared, what ends a result, what is kept. */
import assert from "node:assert/strict";
import { fail, LostIsolate, query } from "../../tests/support/fake_backend.ts";
import { settle } from "../../tests/support/fake_environment.ts";
import { queryRequest, startFunctions, user } from "../../tests/support/function_harness.ts";
import { RequestError } from "../errors.ts";
import type { QueryResult } from "./functions.ts";

const readsA = query(({ read }) => read("a"));

function value({ result }: QueryResult): string {
  assert.ok(result.ok, "the query failed");
  return result.value;
}

Deno.test("semantics §10: concurrent identical requests share one execution", async () => {
  const { runner, backend } = startFunctions({
    "m:a": query((context) => {
      context.print("'ran'");
      return context.read("a");
    }),
  });
  backend.write({ a: "1" });
  const results = await Promise.all(
    Array.from({ length: 100 }, () => runner.query(queryRequest("m:a"))),
  );
  assert.equal(backend.calls.length, 1);
  assert.ok(results.every((result) => result === results[0]));
  assert.equal(value(results[0]!), "1");
});

Deno.test("semantics 79: a cached result replays its log lines", async () => {
  const { runner, backend } = startFunctions({
    "m:a": query((context) => {
      context.print("'ran'");
      return "1";
    }),
  });
  await runner.query(queryRequest("m:a"));
  const again = await runner.query(queryRequest("m:a"));
  assert.deepEqual(again.result.logLines, ["[LOG] 'ran'"]);
  assert.equal(backend.calls.length, 1);
});

Deno.test("semantics §10: a result ends with the first commit into its read set", async () => {
  const { runner, backend } = startFunctions({ "m:a": readsA });
  backend.write({ a: "1", b: "1" });
  const first = await runner.query(queryRequest("m:a"));
  backend.write({ b: "2" });
  assert.equal(await runner.query(queryRequest("m:a")), first);
  const changedAt = backend.write({ a: "2" });
  backend.write({ a: "3" });
  assert.equal(first.invalidatedAt, changedAt);
  assert.equal(value(await runner.query(queryRequest("m:a"))), "3");
  assert.equal(backend.calls.length, 2);
});

Deno.test("cachedQuery answers what is valid and durable, and runs nothing", async () => {
  const { runner, backend } = startFunctions({ "m:a": readsA });
  assert.equal(runner.cachedQuery(queryRequest("m:a")), undefined);
  assert.equal(runner.cachedQuery(queryRequest("m:missing")), undefined);
  backend.isDiskStuck = true;
  backend.write({ a: "1" });
  const result = await runner.query(queryRequest("m:a"));
  assert.equal(runner.cachedQuery(queryRequest("m:a")), undefined, "not yet durable");
  backend.syncDisk();
  assert.equal(runner.cachedQuery(queryRequest("m:a")), result);
  assert.equal(runner.cachedQuery(queryRequest("m.js:a")), result);
  backend.write({ a: "2" });
  assert.equal(runner.cachedQuery(queryRequest("m:a")), undefined);
  assert.equal(backend.calls.length, 1);
});

Deno.test("a commit while a query runs ends its result, which is still right before that", async () => {
  const started = Promise.withResolvers<void>();
  const { runner, backend } = startFunctions({
    "m:a": query(async (context) => {
      await started.promise;
      return context.read("a");
    }),
  });
  const before = runner.appliedTimestamp;
  const running = runner.query(queryRequest("m:a"));
  await settle();
  const changedAt = backend.write({ a: "1" });
  started.resolve();
  const result = await running;
  assert.deepEqual(
    { value: value(result), timestamp: result.timestamp, invalidatedAt: result.invalidatedAt },
    { value: "null", timestamp: before, invalidatedAt: changedAt },
  );
});

Deno.test("a request never gets a result from before the commits that it has seen", async () => {
  const started = Promise.withResolvers<void>();
  const { runner, backend } = startFunctions({
    "m:a": query(async (context) => {
      await started.promise;
      return context.read("a");
    }),
  });
  const early = runner.query(queryRequest("m:a"));
  await settle();
  backend.write({ a: "1" });
  const late = runner.query(queryRequest("m:a"));
  started.resolve();
  assert.equal(value(await early), "null");
  assert.equal(value(await late), "1");
  assert.equal(backend.calls.length, 2);
});

Deno.test("semantics 75: identities share a result unless the query looks at them", async () => {
  const { runner, backend } = startFunctions({
    "m:shared": query(({ read }) => read("a")),
    "m:own": query(({ identity }) => JSON.stringify(identity()?.name ?? null)),
  });
  const ask = (path: string, name: string) =>
    runner.query(queryRequest(path, { caller: user(name) }));
  assert.equal(await ask("m:shared", "ada"), await ask("m:shared", "bob"));
  assert.equal(backend.calls.length, 1);

  const [ada, bob, adaAgain] = await Promise.all([
    ask("m:own", "ada"),
    ask("m:own", "bob"),
    ask("m:own", "ada"),
  ]);
  assert.deepEqual([ada, bob].map(value), ['"ada"', '"bob"']);
  assert.equal(adaAgain, ada);
  assert.equal(value(await runner.query(queryRequest("m:own"))), "null");
  assert.equal(backend.calls.length, 4);
});

Deno.test("a journal cannot be forged into the key of another user's result", async () => {
  const { runner } = startFunctions({
    "m:own": query(({ identity }) => JSON.stringify(identity()?.name ?? null)),
  });
  const ada = user("ada");
  await runner.query(queryRequest("m:own", { caller: ada }));
  const identity = JSON.stringify(ada.kind === "user" && ada.identity);
  for (const journal of [`\0${identity}`, `${identity}\0[{}]\0`, `\0\0${identity}`]) {
    const forged = await runner.query(queryRequest("m:own", { caller: user("eve"), journal }));
    assert.equal(value(forged), '"eve"');
  }
});

Deno.test("semantics 76: a result that saw the time serves new requests for 17 seconds", async () => {
  const { runner, backend, environment } = startFunctions({
    "m:now": query(({ now }) => String(now())),
  });
  const first = await runner.query(queryRequest("m:now"));
  let wasInvalidated = false;
  runner.watch(first, () => wasInvalidated = true);
  await environment.advance(17_000);
  assert.equal(await runner.query(queryRequest("m:now")), first);
  await environment.advance(1);
  assert.equal(runner.cachedQuery(queryRequest("m:now")), undefined);
  const second = await runner.query(queryRequest("m:now"));
  assert.equal(value(second), String(environment.nowMs()));
  assert.equal(backend.calls.length, 2);
  assert.equal(wasInvalidated, false, "subscribers keep it");
  environment.epochMs -= 60_000;
  assert.notEqual(await runner.query(queryRequest("m:now")), second, "from the future");
});

Deno.test("semantics 80: a failure is given to those who wait for it, and to no new request", async () => {
  const { runner, backend } = startFunctions({ "m:bad": query(() => fail("Uncaught Error: no")) });
  const [one, other] = await Promise.all([
    runner.query(queryRequest("m:bad")),
    runner.query(queryRequest("m:bad")),
  ]);
  assert.equal(one, other);
  assert.equal(one.result.ok, false);
  assert.equal(runner.cachedQuery(queryRequest("m:bad")), undefined);
  await runner.query(queryRequest("m:bad"));
  assert.equal(backend.calls.length, 2);
});

Deno.test("a watched failure is told when what it read changes", async () => {
  const { runner, backend, environment } = startFunctions({
    "m:bad": query(({ read }) => read("a") === "null" ? fail("Uncaught Error: empty") : read("a")),
  });
  const failure = await runner.query(queryRequest("m:bad"));
  let invalidations = 0;
  runner.watch(failure, () => invalidations++);
  await environment.advance(60_000);
  backend.write({ b: "1" });
  assert.equal(invalidations, 0);
  backend.write({ a: "1" });
  backend.write({ a: "2" });
  assert.equal(invalidations, 1);
  assert.equal(value(await runner.query(queryRequest("m:bad"))), "2");
});

Deno.test("a failure whose reads are unknown is tried again after a while", async () => {
  const { runner, backend, environment } = startFunctions({
    "m:lost": query(() => {
      throw new LostIsolate();
    }),
  });
  const failure = await runner.query(queryRequest("m:lost"));
  let invalidations = 0;
  runner.watch(failure, () => invalidations++);
  backend.write({ a: "1" });
  assert.equal(invalidations, 0);
  await environment.advance(5_000);
  assert.equal(invalidations, 1);
});

Deno.test("sync-protocol rule 66: a result is found under the journal it was given and the one it produced", async () => {
  const { runner, backend } = startFunctions({
    "m:page": query((context) => {
      context.journal = "end of page";
      return context.read("a");
    }),
  });
  const first = await runner.query(queryRequest("m:page"));
  assert.equal(first.journal, "end of page");
  assert.equal(await runner.query(queryRequest("m:page", { journal: "end of page" })), first);
  assert.equal(await runner.query(queryRequest("m:page")), first);
  assert.notEqual(await runner.query(queryRequest("m:page", { journal: "another" })), first);
  assert.equal(backend.calls.length, 2);
});

Deno.test("a new deployment ends every result, failures and runs on their way included", async () => {
  const started = Promise.withResolvers<void>();
  const { runner, backend, deploy } = startFunctions({
    "m:a": query(() => '"old"'),
    "m:slow": query(async () => {
      await started.promise;
      return '"old"';
    }),
  });
  const told: string[] = [];
  for (const path of ["m:a", "m:missing"]) {
    runner.watch(await runner.query(queryRequest(path)), () => told.push(path));
  }
  const slow = runner.query(queryRequest("m:slow"));
  await settle();
  const now = query(() => '"new"');
  deploy({ "m:a": now, "m:slow": now, "m:missing": now });
  assert.deepEqual(told.sort(), ["m:a", "m:missing"]);
  assert.equal(runner.cachedQuery(queryRequest("m:a")), undefined);
  started.resolve();
  assert.equal(value(await slow), '"new"');
  assert.equal(value(await runner.query(queryRequest("m:missing"))), '"new"');
  assert.deepEqual(backend.retired, ["deployment 0"], "once its last call has ended");
});

Deno.test("unwatched results are dropped when memory is short, the least recently used first", async () => {
  const { runner, backend, environment } = startFunctions(
    { "m:a": query(({ args, read }) => read(args)) },
    { config: { queryCacheBytesMax: 12_000 } },
  );
  const ask = (i: number) => runner.query(queryRequest("m:a", { args: `[${i}]` }));
  const watched = await ask(0);
  let wasInvalidated = false;
  runner.watch(watched, () => wasInvalidated = true);
  for (let i = 1; i <= 20; i++) {
    await ask(i);
    await ask(1);
    await environment.advance(1);
  }
  assert.equal(backend.calls.length, 21);
  for (const kept of [0, 1, 20]) await ask(kept);
  assert.equal(backend.calls.length, 21, "watched, used and new ones are there");
  await ask(2);
  assert.equal(backend.calls.length, 22, "an old one is not");
  assert.equal(wasInvalidated, false);
});

Deno.test("arguments, log lines and the texts of failures count towards the memory of results", async () => {
  const long = "x".repeat(10_000);
  const functions = {
    "m:plain": query(() => "1"),
    "m:logs": query(({ print }) => {
      print(long);
      return "1";
    }),
    "m:fails": query(() => fail(long, JSON.stringify(long))),
  };
  const { runner } = startFunctions(functions);
  const bytes = async (path: string, args = "[{}]") => {
    const entry = await runner.query(queryRequest(path, { args }));
    return (entry as QueryResult & { readonly bytes: number }).bytes;
  };
  const least = await bytes("m:plain");
  assert.ok(await bytes("m:plain", JSON.stringify([long])) >= least + long.length);
  assert.ok(await bytes("m:plain", JSON.stringify(["\u0416" + long])) >= least + 2 * long.length);
  assert.ok(await bytes("m:logs") >= least + long.length);
  assert.ok(await bytes("m:fails") >= least + 2 * long.length);
});

Deno.test("a result that was dropped says so when it is watched", async () => {
  const { runner, environment } = startFunctions(
    { "m:a": readsA },
    { config: { queryCacheBytesMax: 0 } },
  );
  const kept = await runner.query(queryRequest("m:a"));
  let invalidations = 0;
  const end = runner.watch(kept, () => invalidations++);
  await environment.advance(1);
  assert.equal(kept.invalidatedAt, null);
  end();
  await environment.advance(1);
  assert.notEqual(kept.invalidatedAt, null);
  runner.watch(kept, () => invalidations++);
  assert.equal(invalidations, 1);
});

Deno.test("an error that is not the query's reaches everybody who waits, and nothing is kept of it", async () => {
  let isBusy = true;
  const { runner } = startFunctions({
    "m:a": query(() => {
      if (isBusy) throw new RequestError("rateLimited", "TooManyConcurrentRequests", "busy");
      return "1";
    }),
  });
  const both = await Promise.allSettled([
    runner.query(queryRequest("m:a")),
    runner.query(queryRequest("m:a")),
  ]);
  assert.ok(both.every(({ status }) => status === "rejected"));
  isBusy = false;
  assert.equal(value(await runner.query(queryRequest("m:a"))), "1");
});
