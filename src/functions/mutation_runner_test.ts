/** Mutations: retries, replays, and what may be told when. */
import assert from "node:assert/strict";
import { fail, mutation, query } from "../../tests/support/fake_backend.ts";
import { settle } from "../../tests/support/fake_environment.ts";
import { context, queryRequest, startFunctions } from "../../tests/support/function_harness.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import type { MutationResult } from "./mutation_runner.ts";

const increment = mutation(({ read, write }) => {
  const next = String(Number(JSON.parse(read("counter"))) + 1);
  write("counter", next);
  return next;
});
const session = { sessionId: "0f0e", requestId: 3 };

function value(result: MutationResult): string {
  assert.ok(result.ok, "the mutation failed");
  return result.value;
}

Deno.test("I1: a mutation answers with its value and commit timestamp, durable by then", async () => {
  const { runner, backend } = startFunctions({ "m:increment": increment });
  backend.isDiskStuck = true;
  let committedAt: Timestamp | undefined;
  let isAnswered = false;
  const answer = runner.mutation("m:increment", "[{}]", context(), undefined, (timestamp) => {
    committedAt = timestamp;
  }).finally(() => isAnswered = true);
  await settle();
  assert.equal(committedAt, backend.appliedTimestamp, "told before it is durable");
  assert.equal(isAnswered, false);
  backend.syncDisk();
  const result = await answer;
  assert.equal(value(result), "1");
  assert.equal(result.timestamp, committedAt);
});

Deno.test("semantics 68: concurrent increments of one counter all apply", async () => {
  const { runner, environment } = startFunctions({ "m:increment": increment });
  const results = Promise.all(
    Array.from({ length: 4 }, () => runner.mutation("m:increment", "[{}]", context())),
  );
  await environment.advance(5_000);
  assert.deepEqual((await results).map(value).sort(), ["1", "2", "3", "4"]);
});

Deno.test("semantics 69: five conflicts in a row surface the documented text", async () => {
  const { runner, backend, environment } = startFunctions({
    "dir/m:increment": mutation((context) => {
      const next = context.read("counter");
      backend.write({ counter: "0" });
      context.write("counter", next);
      return next;
    }),
  });
  const answer = runner.mutation("dir/m:increment", "[{}]", context(), session)
    .catch((error) => error);
  await environment.advance(60_000);
  const error = await answer;
  assert.ok(error instanceof RequestError);
  assert.equal(error.kind, "writeConflict");
  assert.equal(error.code, "OptimisticConcurrencyControlFailure");
  assert.equal(
    error.message,
    'Documents read from or written to the "texts" table changed while this mutation was being run ' +
      "and on every subsequent retry. Another call to this mutation changed the document with ID " +
      '"counter". See https://docs.convex.dev/error#1',
  );
  assert.equal(backend.calls.length, 5);
  assert.equal(backend.abortedSequences.length, 5);
});

Deno.test("a function that keeps meeting conflicts runs on a lane", async () => {
  let conflicts = 0;
  const { runner, backend, environment } = startFunctions({
    "m:increment": mutation((context) => {
      const next = context.read("counter");
      // Each call succeeds at its last attempt.
      if (conflicts++ % 5 < 4) backend.write({ counter: "0" });
      context.write("counter", next);
      return next;
    }),
  });
  for (let call = 0; call < 5; call++) {
    const answer = runner.mutation("m:increment", "[{}]", context());
    await environment.advance(150);
    await answer;
  }
  const lanes = [...new Set(backend.lanes)];
  assert.deepEqual(lanes, [undefined, "table texts"]);
  assert.equal(backend.lanes.at(-1), "table texts");
});

Deno.test("semantics 11.2: a failed mutation leaves nothing and is not retried", async () => {
  const { runner, backend } = startFunctions({
    "m:bad": mutation(({ write, print }) => {
      write("a", "1");
      print("'hello'");
      return fail("Uncaught Error: no", '"data"');
    }),
    "m:a": query(({ read }) => read("a")),
  });
  const result = await runner.mutation("m:bad", "[{}]", context(), session);
  assert.ok(!result.ok);
  assert.equal(result.failure.message, "Uncaught Error: no");
  assert.equal(result.failure.data, '"data"');
  assert.deepEqual(result.logLines, ["[LOG] 'hello'"]);
  assert.equal(backend.commits, 0);
  const { result: read } = await runner.query(queryRequest("m:a"));
  assert.ok(read.ok && read.value === "null");
});

Deno.test("semantics 11.1: without writes and without a session there is nothing to commit", async () => {
  const { runner, backend } = startFunctions({ "m:look": mutation(({ read }) => read("a")) });
  const before = backend.appliedTimestamp;
  const result = await runner.mutation("m:look", "[{}]", context());
  assert.equal(result.timestamp, before);
  assert.equal(backend.commits, 0);
  await runner.mutation("m:look", "[{}]", context(), session);
  assert.equal(backend.commits, 1, "the record of a session is a write");
});

Deno.test("sync-protocol 55: a session's request runs once and is answered as often as it is sent", async () => {
  const { runner, backend } = startFunctions({
    "m:increment": mutation((context) => {
      context.print("'once'");
      return increment.handler(context);
    }),
  });
  const first = await runner.mutation("m:increment", "[{}]", context(), session);
  let committedAt: Timestamp | undefined;
  const again = await runner.mutation("m:gone", "[{}]", context(), session, (timestamp) => {
    committedAt = timestamp;
  });
  assert.deepEqual(again, first);
  assert.equal(committedAt, first.timestamp);
  assert.deepEqual(backend.calls, ["m:increment"]);
});

Deno.test("sync-protocol 56, 57: other sessions run, and so does what failed", async () => {
  let failures = 1;
  const { runner, backend } = startFunctions({
    "m:increment": mutation((context) =>
      failures-- > 0 ? fail("Uncaught Error: no") : increment.handler(context)
    ),
  });
  assert.equal((await runner.mutation("m:increment", "[{}]", context(), session)).ok, false);
  assert.equal(value(await runner.mutation("m:increment", "[{}]", context(), session)), "1");
  const other = { ...session, sessionId: "1a1b" };
  assert.equal(value(await runner.mutation("m:increment", "[{}]", context(), other)), "2");
  assert.equal(backend.calls.length, 3);
});

Deno.test("sync-protocol 58: two copies in flight run once, and both hear of the commit", async () => {
  const { runner, backend } = startFunctions({ "m:increment": increment });
  const told: Timestamp[] = [];
  const send = () =>
    runner.mutation("m:increment", "[{}]", context(), session, (timestamp) => told.push(timestamp));
  const [one, other] = await Promise.all([send(), send()]);
  assert.deepEqual(one, other);
  assert.deepEqual(told, [one.timestamp, one.timestamp]);
  assert.deepEqual(backend.calls, ["m:increment"]);
});

Deno.test("a copy that comes after the commit hears of it at once", async () => {
  const { runner, backend } = startFunctions({ "m:increment": increment });
  backend.isDiskStuck = true;
  const first = runner.mutation("m:increment", "[{}]", context(), session);
  await settle();
  let committedAt: Timestamp | undefined;
  const second = runner.mutation("m:increment", "[{}]", context(), session, (timestamp) => {
    committedAt = timestamp;
  });
  assert.equal(committedAt, backend.appliedTimestamp);
  backend.syncDisk();
  assert.deepEqual(await second, await first);
});

Deno.test("I1: a failure waits until what it read is on disk", async () => {
  const { runner, backend } = startFunctions({
    "m:bad": mutation(({ read }) => fail(`Uncaught Error: ${read("a")}`)),
  });
  backend.isDiskStuck = true;
  backend.write({ a: "1" });
  let isAnswered = false;
  const answer = runner.mutation("m:bad", "[{}]", context()).finally(() => isAnswered = true);
  await settle();
  assert.equal(isAnswered, false);
  backend.syncDisk();
  assert.equal((await answer).ok, false);
});

Deno.test("a failure on undecided writes counts only if those commit", async () => {
  const { runner, backend, environment } = startFunctions({
    "m:bad": mutation((context) => {
      const before = context.read("a");
      context.dependOnUndecided();
      // Whoever wrote what it depends on: the first time it does not come about.
      if (before === "null") backend.write({ a: "1" });
      return fail(`Uncaught Error: ${before}`);
    }),
  });
  const answer = runner.mutation("m:bad", "[{}]", context());
  await environment.advance(10);
  const result = await answer;
  assert.ok(!result.ok);
  assert.equal(result.failure.message, "Uncaught Error: 1");
  assert.equal(backend.calls.length, 2);
});

Deno.test("function-abi 2.3: the result names the commit's own timestamp, also when replayed", async () => {
  const { runner } = startFunctions({
    "m:now": mutation(() => '{"at":{"$commitTs":null},"text":"{\\"$commitTs\\":null}"}'),
  });
  const first = await runner.mutation("m:now", "[{}]", context(), session);
  const bytes = new DataView(new ArrayBuffer(8));
  bytes.setBigUint64(0, BigInt(first.timestamp!) * 1000n, true);
  const base64 = btoa(String.fromCharCode(...new Uint8Array(bytes.buffer)));
  assert.equal(
    value(first),
    `{"at":{"$integer":"${base64}"},"text":"{\\"$commitTs\\":null}"}`,
  );
  assert.deepEqual(await runner.mutation("m:now", "[{}]", context(), session), first);
});

Deno.test("commits wait at a closed gate, in order and not for long", async () => {
  const { runner, backend, environment } = startFunctions({ "m:increment": increment });
  const { promise: work, resolve: finishWork } = Promise.withResolvers<void>();
  const closure = runner.whileCommitsWait(() => work);
  await settle();
  const waiting = runner.mutation("m:increment", "[{}]", context());
  await settle();
  assert.equal(backend.commits, 0);
  finishWork();
  await closure;
  assert.equal(value(await waiting), "1");

  await environment.advance(1);
  const endless = runner.whileCommitsWait(() => new Promise<void>(() => {}));
  await settle();
  const late = runner.mutation("m:increment", "[{}]", context());
  await environment.advance(199);
  assert.equal(backend.commits, 1);
  await environment.advance(1);
  assert.equal(value(await late), "2");
  assert.ok(endless instanceof Promise);
});
