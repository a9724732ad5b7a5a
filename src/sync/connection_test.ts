/** Queries over a socket: transitions and what is in them. Numbers are those of sync-protocol's checklist. */
import assert from "node:assert/strict";
import { fail, query } from "../../tests/support/fake_backend.ts";
import { settle } from "../../tests/support/fake_environment.ts";
import { add, remove, startSync, TestSocket } from "../../tests/support/sync_harness.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { encodeWireTimestamp } from "../database/wire_timestamp.ts";
import { RequestError } from "../errors.ts";

const zero = "AAAAAAAAAAA=";
const functions = {
  "m:a": query(({ read }) => read("a")),
  "m:b": query(({ read }) => read("b")),
  "m:both": query(({ read }) => `[${read("a")},${read("b")}]`),
  "m:list": query(({ scan }) => `[${scan("a", "z")}]`),
};

Deno.test("9, 11, 13: Connect says nothing; the first transition starts at zero", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  socket.connect();
  assert.deepEqual(await socket.news(), []);
  socket.modify();
  const [transition, ...rest] = await socket.news();
  assert.deepEqual(rest, []);
  assert.equal(transition.type, "Transition");
  assert.deepEqual(transition.startVersion, { querySet: 0, identity: 0, ts: zero });
  assert.deepEqual(transition.endVersion, {
    querySet: 1,
    identity: 0,
    ts: encodeWireTimestamp(backend.durableTimestamp),
  });
  assert.deepEqual(transition.modifications, []);
});

Deno.test("10, 15: transitions chain, and time does not go back", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  for (let i = 0; i < 5; i++) {
    socket.modify(add(i, "m:a"));
    backend.write({ a: String(i), [`x${i}`]: "1" });
    await settle();
  }
  const transitions = await socket.news();
  assert.ok(transitions.length >= 5);
  let previous = { querySet: 0, identity: 0, ts: zero };
  let lastTs = -1n;
  for (const { startVersion, endVersion } of transitions) {
    assert.deepEqual(startVersion, previous);
    previous = endVersion;
    const bytes = Uint8Array.from(atob(endVersion.ts), (c) => c.charCodeAt(0));
    const ts = new DataView(bytes.buffer).getBigUint64(0, true);
    assert.ok(ts >= lastTs);
    lastTs = ts;
  }
});

Deno.test("12: query sets that arrive during a computation are answered together", async () => {
  const { open } = startSync(functions);
  const socket = open();
  socket.modify(add(0, "m:a"));
  socket.modify(add(1, "m:b"));
  socket.modify(remove(0));
  const transitions = await socket.news();
  assert.deepEqual(transitions.map(({ endVersion }) => endVersion.querySet), [1, 3]);
  assert.deepEqual(
    transitions[1].modifications.map((
      { type, queryId }: Record<string, unknown>,
    ) => [type, queryId]),
    [["QueryRemoved", 0], ["QueryUpdated", 1]],
  );
});

Deno.test("14: events are not answered", async () => {
  const { open } = startSync(functions);
  const socket = open();
  for (const eventType of ["ClientConnect", "Unheard"]) {
    socket.sendMessage({ type: "Event", eventType, event: { any: ["thing"] } });
  }
  assert.deepEqual(await socket.news(), []);
  assert.equal(socket.closed, undefined);
});

Deno.test("17, 18, 19, 38, 41: results, failures and their data as the client reads them", async () => {
  const { open } = startSync({
    "m:ok": query((context) => {
      context.print("'hi'");
      return '{"x":1}';
    }),
    "m:error": query(() => fail("Uncaught Error: no")),
    "m:convex": query(() => fail("Uncaught ConvexError: null", "null")),
    "m:page": query((context) => {
      context.journal = "page end";
      return "[]";
    }),
  });
  const socket = open();
  socket.modify(add(3, "m:page"), add(0, "m:ok"), add(1, "m:error"), add(2, "m:convex"));
  const [{ modifications }] = await socket.news();
  const requestId = /^\[Request ID: ([0-9a-f]{16})\] Server Error\n/;
  assert.match(modifications[1].errorMessage, requestId);
  assert.deepEqual(
    modifications.map((m: Record<string, unknown>) => {
      const text = m.errorMessage as string | undefined;
      return text === undefined ? m : { ...m, errorMessage: text.replace(requestId, "") };
    }),
    [
      {
        type: "QueryUpdated",
        queryId: 0,
        value: { x: 1 },
        logLines: ["[LOG] 'hi'"],
        journal: null,
      },
      {
        type: "QueryFailed",
        queryId: 1,
        errorMessage: "Uncaught Error: no\n    at handler (../convex/a.ts:1:2)\n",
        logLines: [],
        journal: null,
      },
      {
        type: "QueryFailed",
        queryId: 2,
        errorMessage: "Uncaught ConvexError: null\n    at handler (../convex/a.ts:1:2)\n",
        errorData: null,
        logLines: [],
        journal: null,
      },
      { type: "QueryUpdated", queryId: 3, value: [], logLines: [], journal: "page end" },
    ],
  );
});

Deno.test("20, 21: what is removed is reported once and never again", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  socket.modify(add(0, "m:a"));
  await socket.news();
  socket.modify(remove(0));
  assert.deepEqual(await socket.modifications(), [{ type: "QueryRemoved", queryId: 0 }]);
  backend.write({ a: "1" });
  assert.deepEqual(await socket.news(), []);
  socket.modify(add(1, "m:a"), remove(1));
  assert.deepEqual(await socket.modifications(), [{ type: "QueryRemoved", queryId: 1 }]);
});

Deno.test("22, 26, 28: one commit updates what it touches, in one transition, by query id", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  socket.modify(add(7, "m:both"), add(2, "m:a"), add(4, "m:b"));
  await socket.news();
  backend.write({ a: "1" });
  const transitions = await socket.news();
  assert.equal(transitions.length, 1);
  assert.deepEqual(
    transitions[0].modifications.map((
      { queryId, value }: Record<string, unknown>,
    ) => [queryId, value]),
    [[2, 1], [7, [1, null]]],
  );
});

Deno.test("23, 24, 25: equal results are not sent again, other log lines are", async () => {
  let logged = "'one'";
  const { open, backend } = startSync({
    "m:exists": query(({ read }) => String(read("a") !== "null")),
    "m:logs": query((context) => {
      context.read("a");
      context.print(logged);
      return "1";
    }),
    "m:fails": query((context) => fail(`Uncaught Error: ${context.read("a") === "null"}`)),
  });
  backend.write({ a: "1" });
  const socket = open();
  socket.modify(add(0, "m:exists"), add(1, "m:logs"), add(2, "m:fails"));
  assert.equal((await socket.modifications()).length, 3);
  backend.write({ a: "2" });
  assert.deepEqual(await socket.modifications(), []);
  logged = "'two'";
  backend.write({ a: "3" });
  const modifications = await socket.modifications();
  assert.deepEqual(modifications.map(({ queryId }) => queryId), [1]);
  assert.deepEqual(modifications[0].logLines, ["[LOG] 'two'"]);
  assert.equal(backend.calls.length, 9);
});

Deno.test("27: results of one transition are of one snapshot while writers never rest", async () => {
  const { open, backend, environment } = startSync({
    // Each run sees the state as of its start and takes a while, during which there are more commits.
    "m:a": query(async ({ read }) => (await settle(), read("a"))),
    "m:b": query(async ({ read }) => (await settle(), await settle(), read("b"))),
    "m:c": query(({ read }) => read("a")),
  });
  const socket = open();
  socket.modify(add(0, "m:a"), add(1, "m:b"), add(2, "m:c"));
  let writes = 0;
  for (let i = 0; i < 300; i++) {
    backend.write({ a: String(++writes), b: String(writes) });
    await environment.advance(1);
  }
  await environment.advance(100);
  const seen = new Map<number, unknown>();
  const transitions = await socket.news();
  for (const { modifications } of transitions) {
    for (const { queryId, value } of modifications) seen.set(queryId, value);
    assert.deepEqual([...seen.values()], Array(seen.size).fill(seen.get(0)));
  }
  assert.equal(seen.get(0), 300);
});

Deno.test("progress is made even if every query is overtaken by a commit", async () => {
  let writes = 0;
  const { open, backend, runner, environment } = startSync({
    "m:a": query(async ({ read }) => (await settle(), read("a"))),
    "m:b": query(async ({ read }) => {
      const value = read("a");
      // A writer who commits as soon as one query has begun, so that the other never joins it.
      void runner.mutation("m:write", "[{}]", {
        caller: { kind: "anonymous" },
        requestId: "",
        origin: "HttpApi",
      });
      await settle();
      return value;
    }),
    "m:write": { type: "Mutation", handler: ({ write }) => (write("a", String(++writes)), "null") },
  });
  const socket = open();
  socket.modify(add(0, "m:a"), add(1, "m:b"));
  await environment.advance(500);
  const transitions = await socket.news();
  assert.ok(transitions.length > 0);
  for (const { modifications } of transitions) {
    const values = modifications.map(({ value }: { value: unknown }) => value);
    assert.ok(values.length !== 2 || values[0] === values[1], JSON.stringify(values));
  }
  socket.disconnect();
  await environment.advance(1_000);
  assert.ok(backend.commits > 0);
});

Deno.test("29, 30, 31: wrong versions and impossible sets end the socket", async () => {
  const { open } = startSync(functions);
  const send = async (...messages: Record<string, unknown>[]) => {
    const socket = open();
    for (const message of messages) socket.sendMessage({ type: "ModifyQuerySet", ...message });
    await settle();
    return { closed: socket.closed, last: socket.messages.at(-1) };
  };
  assert.deepEqual(await send({ baseVersion: 1, newVersion: 2, modifications: [] }), {
    closed: {},
    last: {
      type: "FatalError",
      error: "Base version 1 passed up doesn't match the current version 0",
    },
  });
  const internal = { code: 1011, reason: "InternalServerError" };
  for (
    const message of [
      { baseVersion: 0, newVersion: 0, modifications: [] },
      { baseVersion: 0, newVersion: 1, modifications: [add(0, "m:a"), add(0, "m:b")] },
      { baseVersion: 0, newVersion: 1, modifications: [remove(0)] },
    ]
  ) assert.deepEqual(await send(message), { closed: internal, last: undefined });
});

Deno.test("32, 33, 34: a query that cannot be called fails, and works once it is deployed", async () => {
  const { open, deploy } = startSync({
    "m:a": { ...functions["m:a"], isInternal: true },
    "m:b": { type: "Mutation", handler: () => "null" },
  });
  const socket = open();
  socket.modify(add(0, "m:none"), add(1, "m:a"), add(2, "m:b"));
  const texts = (await socket.modifications()).map(({ errorMessage }) =>
    errorMessage.split("\n")[1]
  );
  assert.deepEqual(texts, [
    "Could not find public function for 'm:none'.",
    "Could not find public function for 'm:a'.",
    "Trying to execute m.js:b as Query, but it is defined as Mutation.",
  ]);
  assert.equal(socket.closed, undefined);
  deploy({ ...functions, "m:none": query(() => "1") });
  const values = (await socket.modifications()).map(({ queryId, value }) => [queryId, value]);
  assert.deepEqual(values, [[0, 1], [1, null], [2, null]]);
});

Deno.test("37: redaction leaves the heading and the data, for everybody but admins", async () => {
  const { open } = startSync({
    "m:bad": query((context) => {
      context.print("'secret'");
      return fail("Uncaught ConvexError: boom", '"data"');
    }),
    "m:ok": query((context) => {
      context.print("'secret'");
      return "1";
    }),
  }, { redact: true });
  const socket = open();
  socket.modify(add(0, "m:bad"), add(1, "m:ok"));
  const [failed, updated] = await socket.modifications();
  assert.match(failed.errorMessage, /^\[Request ID: [0-9a-f]{16}\] Server Error$/);
  assert.deepEqual([failed.logLines, failed.errorData, updated.logLines], [[], "data", []]);
  socket.authenticate({ tokenType: "Admin", value: "key" });
  const [seen, logged] = await socket.modifications();
  assert.match(seen.errorMessage, /Uncaught ConvexError: boom/);
  assert.deepEqual(logged.logLines, ["[LOG] 'secret'"]);
});

Deno.test("42, 43, 44, 47: journals go back into reruns and come back after a reconnect", async () => {
  const journals: (string | null)[] = [];
  const { open, backend } = startSync({
    "m:page": query((context) => {
      journals.push(context.journal);
      context.journal ??= "end 1";
      if (context.journal === "garbage") return fail("InvalidCursor: …");
      return context.read("a");
    }),
  });
  const socket = open();
  socket.modify(add(0, "m:page"));
  assert.equal((await socket.modifications())[0].journal, "end 1");
  backend.write({ a: "1" });
  assert.equal((await socket.modifications())[0].journal, "end 1");
  const again = open();
  again.modify(
    add(0, "m:page", { journal: "end 2" }),
    add(1, "m:page", { journal: null }),
    add(2, "m:page", { journal: "garbage" }),
  );
  const [kept, fresh, failed] = await again.modifications();
  assert.deepEqual([kept.journal, fresh.journal], ["end 2", "end 1"]);
  assert.equal(failed.type, "QueryFailed");
  assert.equal(again.closed, undefined);
  assert.deepEqual(journals, [null, "end 1", "end 2", null, "garbage"]);
});

Deno.test("I1: a transition waits until what it tells is on disk", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  socket.modify(add(0, "m:a"));
  await socket.news();
  backend.isDiskStuck = true;
  backend.write({ a: "1" });
  assert.deepEqual(await socket.news(), []);
  backend.syncDisk();
  assert.deepEqual((await socket.modifications()).map(({ value }) => value), [1]);
});

Deno.test("54: a query that cannot run now is tried again, and the transition waits", async () => {
  let isBusy = true;
  const { open, environment } = startSync({
    "m:a": query(() => {
      if (isBusy) throw new RequestError("overloaded", "Busy", "busy");
      return "1";
    }),
  });
  const socket = open();
  const { error: original } = console;
  console.error = () => {};
  socket.modify(add(0, "m:a"));
  await environment.advance(499);
  isBusy = false;
  assert.deepEqual(await socket.news(), []);
  await environment.advance(1);
  console.error = original;
  assert.equal((await socket.modifications())[0].value, 1);
});

Deno.test("sync-protocol 91: a query that is turned away ends the socket with its reason", async () => {
  const { open } = startSync({
    "m:a": query(() => {
      throw new RequestError("rateLimited", "TooManyConcurrentRequests", "too many");
    }),
  });
  const socket = open();
  socket.modify(add(0, "m:a"));
  await settle();
  assert.deepEqual(socket.closed, { code: 1013, reason: "TooManyConcurrentRequests" });
});

Deno.test("a thousand subscribers of one query cost one execution a change", async () => {
  const { open, backend, server } = startSync(functions);
  const sockets = Array.from({ length: 1000 }, () => open());
  for (const [i, socket] of sockets.entries()) socket.modify(add(i, "m:list"));
  await settle();
  assert.equal(backend.calls.length, 1);
  backend.write({ a: "1" });
  await settle();
  assert.equal(backend.calls.length, 2);
  for (const [i, socket] of sockets.entries()) {
    const [transition] = socket.messages.slice(-1);
    assert.deepEqual(transition.modifications[0].queryId, i);
    assert.deepEqual(transition.modifications[0].value, [1]);
    assert.equal(socket.texts.length, 2);
  }
  assert.equal(server.connectionCount, 1000);
});

Deno.test("of many distinct queries only the one that is touched wakes its client", async () => {
  const { open, backend } = startSync({
    "m:one": query(({ args, read }) => read(JSON.parse(args)[0].key)),
  });
  const sockets = Array.from({ length: 200 }, (_, i) => {
    const socket = open();
    socket.modify(add(0, "m:one", { args: [{ key: `k${i}` }] }));
    return socket;
  });
  await settle();
  backend.write({ k77: "1" });
  await settle();
  const woken = sockets.flatMap(({ texts }, i) => texts.length > 1 ? [i] : []);
  assert.deepEqual(woken, [77]);
  assert.equal(backend.calls.length, 201);
});

Deno.test("102: with a stalled reader intermediate states are skipped, not queued", async () => {
  const { open, backend, environment } = startSync(functions);
  const socket = open();
  socket.modify(add(0, "m:a"));
  await socket.news();
  socket.isStalled = true;
  for (let i = 1; i <= 10; i++) {
    backend.write({ a: String(i) });
    await environment.advance(10);
  }
  const buffered = (await socket.modifications()).map(({ value }) => value);
  assert.ok(buffered.length <= 2 && buffered[0] === 1, JSON.stringify(buffered));
  socket.isStalled = false;
  socket.bufferedAmount = 0;
  await environment.advance(20);
  assert.deepEqual((await socket.modifications()).map(({ value }) => value), [10]);
});

Deno.test("98, 99, 100, 101: large transitions go out in whole characters to clients that know pieces", async () => {
  // Three bytes, then four a character: no multiple of either fits the limit exactly.
  const text = `€${"😀".repeat(2_600_000)}`;
  const { open } = startSync({ "m:large": query(() => JSON.stringify(text)) });
  const receive = async (socket: TestSocket) => {
    socket.modify(add(0, "m:large"));
    return await socket.news();
  };
  const chunks = await receive(open({ chunks: true }));
  assert.equal(chunks.length, 3);
  const encoder = new TextEncoder();
  for (const [i, { type, chunk, partNumber, totalParts, transitionId }] of chunks.entries()) {
    assert.equal(type, "TransitionChunk");
    assert.deepEqual([partNumber, totalParts, transitionId], [i, 3, chunks[0].transitionId]);
    assert.ok(encoder.encode(chunk).length <= 5_000_000);
    assert.ok(chunk.isWellFormed());
  }
  const whole = JSON.parse(chunks.map(({ chunk }) => chunk).join(""));
  assert.equal(whole.modifications[0].value, text);
  const [{ type, modifications }] = await receive(open({ chunks: false }));
  assert.equal(type, "Transition");
  assert.equal(modifications[0].value, text);
});

Deno.test("103, 104: the clocks are told to clients that tell theirs", async () => {
  const { open, environment } = startSync(functions);
  const [old, modern] = [open(), open()];
  old.connect();
  modern.connect({ clientTs: environment.nowMs() - 1234 });
  for (const socket of [old, modern]) socket.modify();
  const [without] = await old.news();
  assert.equal("clientClockSkew" in without, false);
  const [transition] = await modern.news();
  assert.equal(transition.clientClockSkew, -1234);
  assert.equal(transition.serverTs, environment.nowMs() * 1e6);
});

Deno.test("86: a client that has seen the future is not served the past", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  socket.connect({ maxObservedTimestamp: encodeWireTimestamp(backend.appliedTimestamp) });
  assert.equal(socket.closed, undefined);
  const next = (backend.appliedTimestamp + 1) as Timestamp;
  socket.connect({ maxObservedTimestamp: encodeWireTimestamp(next) });
  assert.deepEqual(socket.closed, { code: 1011, reason: "InternalServerError" });
});

Deno.test("sync-protocol 87: silence is broken by a Ping every 15 seconds", async () => {
  const { open, environment, backend } = startSync(functions);
  const socket = open();
  socket.modify(add(0, "m:a"));
  await socket.news();
  await environment.advance(14_900);
  assert.deepEqual(await socket.news(), []);
  await environment.advance(1_100);
  assert.deepEqual(await socket.news(), [{ type: "Ping" }]);
  await environment.advance(10_000);
  backend.write({ a: "1" });
  await socket.news();
  await environment.advance(14_000);
  assert.deepEqual(await socket.news(), [], "the transition was a sign of life");
  await environment.advance(2_000);
  assert.deepEqual(await socket.news(), [{ type: "Ping" }]);
});

Deno.test("7, 92: binary and malformed messages end the socket, each in its way", async () => {
  const { open, server } = startSync(functions);
  const binary = open();
  binary.sendText(new ArrayBuffer(1));
  assert.deepEqual(binary.closed, { code: 1011, reason: "InternalServerError" });
  assert.deepEqual(binary.messages, []);
  const malformed = open();
  malformed.sendText("{");
  await settle();
  assert.deepEqual(malformed.closed, {});
  assert.match(malformed.messages[0].error, /^Received Invalid JSON on websocket: /);
  assert.equal(server.connectionCount, 0);
});

Deno.test("a socket that is gone leaves nothing behind", async () => {
  const { open, backend, server, environment } = startSync(functions, {
    config: { queryCacheBytesMax: 0 },
  });
  const socket = open();
  socket.modify(add(0, "m:a"));
  await socket.news();
  socket.disconnect();
  await environment.advance(1_000);
  backend.write({ a: "1" });
  await settle();
  assert.equal(backend.calls.length, 1, "nobody asks any more");
  assert.equal(server.connectionCount, 0);
});

Deno.test("a message larger than the limit ends the socket", () => {
  const { open } = startSync(functions, { config: { socketMessageBytesMax: 1024 } });
  const socket = open();
  socket.sendText("x".repeat(1025));
  assert.deepEqual(socket.closed, { code: 1011, reason: "InternalServerError" });
});
