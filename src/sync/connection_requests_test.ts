/** Mutations, actions and identities over a socket. Numbers are those of sync-protocol's checklist. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { action, fail, mutation, query } from "../../tests/support/fake_backend.ts";
import { settle } from "../../tests/support/fake_environment.ts";
import { add, startSync, verify } from "../../tests/support/sync_harness.ts";
import { encodeWireTimestamp } from "../database/wire_timestamp.ts";
import { RequestError } from "../errors.ts";

const sessionId = "6b3d3a4e-64dc-4f6b-9f0f-0a4a9f9f3d11";
const functions = {
  "m:a": query(({ read }) => read("a")),
  "m:b": query(({ read }) => read("b")),
  "m:who": query(({ identity }) => JSON.stringify(identity()?.name ?? null)),
  "m:set": mutation(({ args, write }) => {
    write("a", JSON.stringify(JSON.parse(args)[0].to));
    return "null";
  }),
  "m:me": mutation(({ identity, write }) => {
    write("b", "1");
    return JSON.stringify(identity()?.name ?? null);
  }),
  "m:bad": mutation((context) => {
    context.print("'tried'");
    return fail("Uncaught Error: no");
  }),
};

const types = (messages: { type: string }[]) => messages.map(({ type }) => type);

Deno.test("52, 53, 54, 82: the response comes before the transition that contains it, and one always comes", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  socket.connect();
  socket.modify(add(0, "m:a"));
  await socket.news();
  socket.call("Mutation", 0, "m:set", { to: 5 });
  await settle();
  const [response, transition, ...rest] = await socket.news();
  const ts = encodeWireTimestamp(backend.appliedTimestamp);
  assert.deepEqual(response, {
    type: "MutationResponse",
    requestId: 0,
    success: true,
    result: null,
    logLines: [],
    ts,
  });
  assert.equal(transition.endVersion.ts, ts);
  assert.equal(transition.modifications[0].value, 5);
  assert.deepEqual(rest, [], "one transition is enough");

  socket.call("Mutation", 1, "m:me");
  assert.deepEqual(types(await socket.news()), ["MutationResponse", "Transition"]);
});

Deno.test("54: a transition that is ready first waits for the response that is on its way", async () => {
  const { open, backend } = startSync(functions);
  const [writer, other] = [open(), open()];
  for (const socket of [writer, other]) {
    socket.modify(add(0, "m:a"));
    await socket.news();
  }
  backend.isDiskStuck = true;
  writer.call("Mutation", 0, "m:set", { to: 1 });
  assert.deepEqual(await writer.news(), []);
  assert.deepEqual(await other.news(), []);
  backend.syncDisk();
  assert.deepEqual(types(await writer.news()), ["MutationResponse", "Transition"]);
  assert.deepEqual(types(await other.news()), ["Transition"]);
});

Deno.test("a transition that does not contain the mutation is followed by one that does", async () => {
  const started = Promise.withResolvers<void>();
  const { open, backend } = startSync({
    ...functions,
    "m:slow": query(async () => {
      await started.promise;
      return "1";
    }),
  });
  const socket = open();
  socket.modify(add(0, "m:slow"));
  await socket.news();
  socket.call("Mutation", 0, "m:set", { to: 1 });
  assert.deepEqual(types(await socket.news()), ["MutationResponse"]);
  started.resolve();
  const transitions = await socket.news();
  assert.equal(
    transitions.at(-1).endVersion.ts,
    encodeWireTimestamp(backend.appliedTimestamp),
  );
});

Deno.test("50, 51: mutations of a socket run one after the other, whatever becomes of them", async () => {
  const order: string[] = [];
  const started = Promise.withResolvers<void>();
  const { open } = startSync({
    "m:slow": mutation(async () => {
      order.push("slow begins");
      await started.promise;
      order.push("slow ends");
      return fail("Uncaught Error: no");
    }),
    "m:fast": mutation(() => {
      order.push("fast");
      return "null";
    }),
  });
  const [socket, other] = [open(), open()];
  socket.call("Mutation", 0, "m:slow");
  socket.call("Mutation", 1, "m:fast");
  other.call("Mutation", 0, "m:fast");
  await settle();
  started.resolve();
  const responses = (await socket.news()).filter(({ type }) => type === "MutationResponse");
  assert.deepEqual(responses.map(({ requestId, success }) => [requestId, success]), [
    [0, false],
    [1, true],
  ]);
  assert.deepEqual(order, ["slow begins", "fast", "slow ends", "fast"]);
});

Deno.test("60, 67: a failed mutation has the request's own id and no data", async () => {
  const { open } = startSync(functions);
  const socket = open();
  socket.connect();
  socket.call("Mutation", 9, "m:bad");
  const [response, transition] = await socket.news();
  const id = createHash("sha256").update(`${sessionId}|9`).digest("hex").slice(0, 16);
  assert.deepEqual(response, {
    type: "MutationResponse",
    requestId: 9,
    success: false,
    result:
      `[Request ID: ${id}] Server Error\nUncaught Error: no\n    at handler (../convex/a.ts:1:2)\n`,
    logLines: ["[LOG] 'tried'"],
    ts: null,
  });
  assert.equal(transition.type, "Transition");
});

Deno.test("55, 56, 59, 85: what was answered before is answered again; without a session it runs", async () => {
  const { open, backend } = startSync(functions);
  const first = open();
  first.connect();
  first.call("Mutation", 0, "m:set", { to: 1 });
  const [response] = await first.news();
  first.disconnect();

  const second = open();
  second.connect({ connectionCount: 1, lastCloseReason: null });
  second.modify();
  second.call("Mutation", 0, "m:set", { to: 2 });
  const again = (await second.news()).find(({ type }) => type === "MutationResponse");
  assert.deepEqual(again, response);

  const without = open();
  without.call("Mutation", 0, "m:set", { to: 3 });
  assert.deepEqual(types(await without.news()), ["MutationResponse", "Transition"]);
  assert.deepEqual(backend.calls, ["m:set", "m:set"]);
});

Deno.test("58: a mutation that is sent again while it runs runs once", async () => {
  const started = Promise.withResolvers<void>();
  const { open, backend } = startSync({
    "m:slow": mutation(async ({ write }) => {
      await started.promise;
      write("a", "1");
      return "7";
    }),
  });
  const first = open();
  first.connect();
  first.call("Mutation", 0, "m:slow");
  await settle();
  first.disconnect();
  const second = open();
  second.connect();
  second.call("Mutation", 0, "m:slow");
  await settle();
  started.resolve();
  const [response] = await second.news();
  assert.equal(response.result, 7);
  assert.deepEqual(backend.calls, ["m:slow"]);
});

Deno.test("62: more waiting mutations than allowed end the socket", async () => {
  const { open } = startSync({
    "m:endless": mutation(() => new Promise(() => {})),
  }, { config: { socketMutationsMax: 2 } });
  const socket = open();
  for (let i = 0; i < 3; i++) socket.call("Mutation", i, "m:endless");
  await settle();
  assert.equal(socket.closed, undefined);
  socket.call("Mutation", 3, "m:endless");
  assert.deepEqual(socket.closed, { code: 1013, reason: "TooManyConcurrentMutations" });
});

Deno.test("63: exhausted retries end the socket so that the client sends again", async () => {
  const { open, backend, environment } = startSync({
    "m:hot": mutation(({ read, write }) => {
      const value = read("hot");
      backend.write({ hot: "1" });
      write("hot", value);
      return "null";
    }),
  });
  const socket = open();
  socket.call("Mutation", 0, "m:hot");
  await environment.advance(10_000);
  assert.deepEqual(socket.closed, { code: 1013, reason: "OptimisticConcurrencyControlFailure" });
});

Deno.test("79: a mutation that takes a minute ends the socket", async () => {
  const { open, environment } = startSync({
    "m:endless": mutation(() => new Promise(() => {})),
  });
  const socket = open();
  socket.call("Mutation", 0, "m:endless");
  await environment.advance(60_000);
  assert.equal(socket.closed, undefined);
  await environment.advance(1_000);
  assert.deepEqual(socket.closed, { code: 1011, reason: "InternalServerError" });
});

Deno.test("64, 65, 67: actions run side by side and hold nothing up", async () => {
  const slow = Promise.withResolvers<void>();
  const { open } = startSync({
    ...functions,
    "m:slow": action(async () => {
      await slow.promise;
      return fail("Uncaught Error: late");
    }),
    "m:fast": action(() => '"fast"'),
  });
  const socket = open();
  socket.connect();
  socket.call("Action", 0, "m:slow");
  socket.call("Action", 1, "m:fast");
  socket.call("Mutation", 2, "m:set", { to: 1 });
  const before = await socket.news();
  assert.deepEqual(
    before.filter(({ type }) => type !== "Transition").map((
      { type, requestId },
    ) => [type, requestId]),
    [["ActionResponse", 1], ["MutationResponse", 2]],
  );
  slow.resolve();
  const [response, transition] = await socket.news();
  assert.equal(response.success, false);
  assert.equal(typeof response.result, "string");
  assert.deepEqual(["errorData" in response, "ts" in response], [false, false]);
  assert.equal(transition.type, "Transition");
});

Deno.test("66: an action outlives its socket, and its answer is dropped", async () => {
  const slow = Promise.withResolvers<void>();
  let isDone = false;
  const { open } = startSync({
    "m:slow": action(async () => {
      await slow.promise;
      isDone = true;
      return "null";
    }),
  });
  const socket = open();
  socket.call("Action", 0, "m:slow");
  await settle();
  socket.disconnect();
  slow.resolve();
  await settle();
  assert.equal(isDone, true);
  assert.deepEqual(socket.texts, []);
});

Deno.test("84a, 84e: too many actions end the socket, a forbidden one only fails", async () => {
  const { open } = startSync({ "m:endless": action(() => new Promise(() => {})) }, {
    config: { socketActionsMax: 1 },
  });
  const socket = open();
  socket.call("Action", 0, "_system/repl:run");
  const [response] = await socket.news();
  assert.equal(response.success, false);
  socket.call("Action", 1, "m:endless");
  socket.call("Action", 2, "m:endless");
  assert.deepEqual(socket.closed, {
    code: 1013,
    reason: "TooManyInflightActionsForSingleClient",
  });
});

Deno.test("16, 40, 68, 75, 83: identities count up, and only what changed is sent", async () => {
  const { open, backend } = startSync(functions);
  const socket = open();
  socket.modify(add(0, "m:a"), add(1, "m:who"));
  await socket.news();
  socket.authenticate({ tokenType: "User", value: "ada" });
  const transitions = await socket.news();
  assert.equal(transitions.at(-1).endVersion.identity, 1);
  assert.deepEqual(
    transitions.flatMap(({ modifications }) => modifications).map((
      { queryId, value },
    ) => [queryId, value]),
    [[1, "ada"]],
  );
  socket.authenticate({ tokenType: "None" });
  assert.deepEqual((await socket.modifications()).map(({ value }) => value), [null]);
  socket.authenticate({ tokenType: "None" });
  const [again] = await socket.news();
  assert.deepEqual([again.endVersion.identity, again.modifications], [3, []]);
  assert.deepEqual(backend.calls, ["m:a", "m:who", "m:who"], "anonymous results were still right");
});

Deno.test("69, 80, 90: a refused credential is told, with the version it was based on, and ends the socket", async () => {
  const { open } = startSync(functions);
  for (const tokenType of ["User", "Admin"]) {
    const socket = open();
    socket.authenticate({ tokenType: "None" });
    socket.authenticate({ tokenType, value: "bad" });
    socket.modify(add(0, "m:a"));
    await settle();
    const last = socket.messages.at(-1);
    assert.deepEqual(last, {
      type: "AuthError",
      error: "bad token",
      baseVersion: 1,
      authUpdateAttempted: true,
    });
    assert.deepEqual(socket.closed, {});
  }
});

Deno.test("87: what could not be verified is not refused", async () => {
  const { open } = startSync(functions);
  const socket = open();
  socket.authenticate({ tokenType: "User", value: "unreachable" });
  await settle();
  assert.deepEqual(socket.messages, []);
  assert.deepEqual(socket.closed, { code: 1013, reason: "Provider" });
});

Deno.test("sync-protocol 72, 73: an identity that has expired ends the socket when something happens", async () => {
  for (const cause of ["commit", "Mutation", "Action"] as const) {
    const { open, environment, backend } = startSync(functions);
    const socket = open();
    socket.modify(add(0, "m:a"));
    const expiresAt = Math.floor(environment.nowMs() / 1000) + 30;
    socket.authenticate({ tokenType: "User", value: `ada@${expiresAt}` });
    await environment.advance(40_000);
    assert.equal(socket.closed, undefined, "an idle socket stays");
    if (cause === "commit") backend.write({ a: "1" });
    else socket.call(cause, 0, "m:set", { to: 1 });
    await settle();
    assert.deepEqual(socket.messages.at(-1), {
      type: "AuthError",
      error: "Convex token identity expired",
      baseVersion: 1,
      authUpdateAttempted: false,
    });
    assert.deepEqual(socket.closed, {});
  }
});

Deno.test("74, 78: what follows Authenticate waits for it and runs as the new caller", async () => {
  const verified = Promise.withResolvers<void>();
  const { open } = startSync({
    ...functions,
    "m:internal": { ...mutation(() => '"reached"'), isInternal: true },
  }, { verify: async (credential) => (await verified.promise, verify(credential)) });
  const socket = open();
  socket.call("Mutation", 0, "m:me");
  socket.authenticate({ tokenType: "User", value: "ada" });
  socket.call("Mutation", 1, "m:me");
  socket.call("Mutation", 2, "m:internal");
  socket.authenticate({ tokenType: "Admin", value: "key" });
  socket.call("Mutation", 3, "m:me");
  socket.call("Mutation", 4, "m:internal");
  await settle();
  verified.resolve();
  await settle();
  const responses = (await socket.news()).filter(({ type }) => type === "MutationResponse");
  assert.deepEqual(responses.map(({ result }) => result?.split?.("\n")[1] ?? result), [
    null,
    "ada",
    "Could not find public function for 'm:internal'.",
    null,
    "reached",
  ]);
});

Deno.test("76, 77: a wrong base ends the socket; an admin acts as whom it names", async () => {
  const { open } = startSync(functions);
  const socket = open();
  socket.modify(add(0, "m:who"));
  socket.authenticate({
    tokenType: "Admin",
    value: "key",
    impersonating: { issuer: "i", subject: "s", name: "grace" },
  });
  assert.equal((await socket.modifications()).at(-1).value, "grace");
  socket.sendMessage({ type: "Authenticate", baseVersion: 0, tokenType: "None" });
  await settle();
  assert.deepEqual(socket.closed, { code: 1011, reason: "InternalServerError" });
});

Deno.test("92: an admin is verified again after a minute", async () => {
  let isRevoked = false;
  const { open, environment, backend } = startSync(functions, {
    verify: (credential) => {
      if (isRevoked) throw new RequestError("unauthenticated", "BadAdminKey", "revoked");
      return verify(credential);
    },
  });
  const socket = open();
  socket.modify(add(0, "m:a"));
  socket.authenticate({ tokenType: "Admin", value: "key" });
  await environment.advance(61_000);
  backend.write({ a: "1" });
  await settle();
  assert.equal(socket.closed, undefined);
  isRevoked = true;
  await environment.advance(61_000);
  backend.write({ a: "2" });
  await settle();
  assert.deepEqual(socket.messages.at(-1), {
    type: "AuthError",
    error: "revoked",
    baseVersion: 1,
    authUpdateAttempted: true,
  });
});

Deno.test("sync-protocol rule 87, 91: users are verified again at their next use when the providers have changed", async () => {
  const accepted = new Set(["ada", "bob"]);
  let verified = Promise.resolve();
  const { open, server, backend, environment } = startSync(functions, {
    async verify(credential) {
      const isAccepted = credential.tokenType !== "User" || accepted.has(credential.value);
      await verified;
      if (isAccepted) return verify(credential);
      throw new RequestError("unauthenticated", "NoAuthProvider", "no provider");
    },
  });
  const [ada, bob, late] = [open(), open(), open()];
  for (const [socket, value] of [[ada, "ada"], [bob, "bob"]] as const) {
    socket.modify(add(0, "m:a"));
    socket.authenticate({ tokenType: "User", value });
  }
  await settle();
  // The third is being verified when the providers change.
  const slow = Promise.withResolvers<void>();
  verified = slow.promise;
  late.modify(add(0, "m:a"));
  late.authenticate({ tokenType: "User", value: "ada" });
  await settle();
  accepted.delete("ada");
  server.providersChanged();
  verified = Promise.resolve();
  slow.resolve();
  await settle();
  assert.equal(ada.closed, undefined, "nothing is done for an idle user");
  backend.write({ a: "1" });
  await environment.advance(0);
  for (const socket of [ada, late]) {
    assert.deepEqual(socket.messages.at(-1), {
      type: "AuthError",
      error: "no provider",
      baseVersion: 1,
      authUpdateAttempted: false,
    });
    assert.deepEqual(socket.closed, {});
  }
  assert.equal(bob.closed, undefined);
  assert.equal((await bob.modifications()).at(-1).value, 1);
});

Deno.test("sync-protocol 81, rule 85: only admins name components, and none is there yet", async () => {
  const { open } = startSync(functions);
  const requests: Record<string, unknown>[] = [
    { type: "Mutation", requestId: 0, udfPath: "m:set", args: [{}], componentPath: "c" },
    { type: "Action", requestId: 0, udfPath: "m:set", args: [{}], componentPath: "c" },
    {
      type: "ModifyQuerySet",
      baseVersion: 0,
      newVersion: 1,
      modifications: [add(0, "m:a", { componentPath: "c" })],
    },
  ];
  for (const request of requests) {
    const socket = open();
    socket.sendMessage(request);
    assert.deepEqual(socket.closed, { code: 1011, reason: "InternalServerError" });
    const asAdmin = open();
    asAdmin.authenticate({ tokenType: "Admin", value: "key" });
    asAdmin.sendMessage(request);
    await settle();
    assert.equal(asAdmin.closed, undefined);
    assert.match(asAdmin.texts.join(), /Component path 'c' not found/);
  }
  const atRoot = open();
  atRoot.modify(add(0, "m:a", { componentPath: "" }));
  assert.equal((await atRoot.modifications())[0].type, "QueryUpdated");
});

Deno.test("84: everything in flight settles on the next socket", async () => {
  const { open, backend } = startSync(functions);
  const first = open();
  first.connect();
  first.modify(add(0, "m:a"));
  await first.news();
  backend.isDiskStuck = true;
  first.call("Mutation", 0, "m:set", { to: 1 });
  await settle();
  first.disconnect();
  backend.isDiskStuck = false;
  backend.syncDisk();
  const second = open();
  second.connect({ connectionCount: 1 });
  second.modify(add(0, "m:a", { journal: null }));
  second.call("Mutation", 0, "m:set", { to: 1 });
  const news = await second.news();
  assert.ok(news.some(({ type, success }) => type === "MutationResponse" && success));
  const values = news.flatMap(({ modifications = [] }) => modifications).map(({ value }) => value);
  assert.equal(values.at(-1), 1);
  assert.deepEqual(backend.calls.filter((path) => path === "m:set"), ["m:set"]);
});

Deno.test("a client that sends requests and reads no answers is let go", async () => {
  const { open } = startSync(functions);
  const socket = open();
  socket.bufferedAmount = 64 * 1024 * 1024;
  socket.call("Mutation", 0, "m:me");
  await settle();
  assert.equal(socket.closed, undefined);
  socket.bufferedAmount++;
  socket.call("Mutation", 1, "m:me");
  await settle();
  assert.deepEqual(socket.closed, { code: 1000, reason: "ClientDisconnected" });
});
