/** The WebSocket protocol by hand: broken frames, versions, replays. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });

/** Frames that end the connection with a FatalError, by the line of the checklist. */
const fatal: readonly (readonly [string, string])[] = [
  ["sync-protocol 92: text that is no JSON", "{"],
  ["sync-protocol 92: JSON that is no object", "7"],
  ["sync-protocol 93: an unknown type", '{"type":"Nonsense"}'],
  ["sync-protocol 93: no type", "{}"],
  [
    "sync-protocol 94: a mutation without args",
    '{"type":"Mutation","requestId":0,"udfPath":"counters:increment"}',
  ],
  [
    "sync-protocol 95: a path with illegal characters",
    '{"type":"Mutation","requestId":0,"udfPath":"bad-name:fn","args":[{}]}',
  ],
  [
    "sync-protocol 107: a session id that is no UUID",
    '{"type":"Connect","sessionId":"x","connectionCount":0,"lastCloseReason":null}',
  ],
];

for (const [name, text] of fatal) {
  test(`${name} is fatal for its connection alone`, async ({ server, clients }) => {
    const socket = await clients.socket();
    const other = await clients.socket();
    other.connect();
    socket.sendText(text);
    const message = await socket.next(({ type }) => type === "FatalError", "the FatalError");
    assert.match(message.error, /^Received Invalid JSON on websocket: /);
    assert.equal((await socket.closed).code, 1005);
    other.addQuery(0, "counters:read", { name: "fatal elsewhere" });
    assert.equal((await other.transition()).modifications[0].value, 0);
    assert.ok(server.isRunning);
  });
}

test("sync-protocol 7: a binary frame ends the connection without FatalError", async ({ clients }) => {
  const socket = await clients.socket();
  socket.sendBinary(Uint8Array.of(1, 2, 3));
  assert.equal((await socket.closed).code, 1011);
  assert.deepEqual(socket.messages.filter(({ type }) => type === "FatalError"), []);
});

test("sync-protocol 29: a wrong base version is fatal with its text", async ({ clients }) => {
  const socket = await clients.socket();
  socket.connect();
  socket.send({ type: "ModifyQuerySet", baseVersion: 3, newVersion: 4, modifications: [] });
  const message = await socket.next(({ type }) => type === "FatalError", "the FatalError");
  assert.equal(
    message.error,
    "Base version 3 passed up doesn't match the current version 0",
  );
  assert.equal((await socket.closed).code, 1005);
});

test("sync-protocol 30, 31: an impossible query set closes with 1011", async ({ clients }) => {
  const add = { type: "Add", queryId: 0, udfPath: "counters:read", args: [{ name: "x" }] };
  const sets: Record<string, unknown>[][] = [[add, add], [{ type: "Remove", queryId: 9 }]];
  for (const modifications of sets) {
    const socket = await clients.socket();
    socket.connect();
    socket.modifyQuerySet(modifications);
    assert.equal((await socket.closed).code, 1011);
  }
});

test("sync-protocol 2, 4, 8: wrong upgrades are refused with 400", async ({ server }) => {
  const upgrade = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const refuse = async (path: string, headers: Record<string, string>) => {
    const { status, text } = await get(`${server.url}${path}`, headers);
    assert.equal(status, 400, `${path}: ${text}`);
    const body = JSON.parse(text);
    assert.deepEqual(Object.keys(body).sort(), ["code", "message"]);
    return body.code;
  };
  await refuse("/api/1.48.0/sync", {});
  assert.equal(await refuse("/api/not-a-version/sync", upgrade), "InvalidClientVersion");
  assert.equal(await refuse("/api/0.19.1/sync", upgrade), "ClientVersionUnsupported");
});

test("sync-protocol 9-11, 15: versions chain from zero and never go back", async ({ clients }) => {
  const socket = await clients.socket();
  socket.connect();
  socket.modifyQuerySet([]);
  const first = await socket.transition();
  assert.deepEqual(first.startVersion, { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" });
  assert.equal(first.endVersion.querySet, 1);
  assert.deepEqual(first.modifications, []);
  for (let n = 0; n < 5; n++) {
    socket.mutation(n, "counters:increment", { name: "versions" });
    await socket.response(n);
    await socket.transition();
  }
  const transitions = socket.messages.filter(({ type }) => type === "Transition");
  for (const [n, transition] of transitions.entries()) {
    if (n > 0) assert.deepEqual(transition.startVersion, transitions[n - 1]!.endVersion);
    assert.ok(timestamp(transition.endVersion.ts) >= timestamp(transition.startVersion.ts));
  }
});

test("sync-protocol 52-54: the response comes before the transition with its effects", async ({ clients }) => {
  const socket = await clients.socket();
  socket.connect();
  socket.addQuery(0, "counters:read", { name: "response order" });
  await socket.transition();
  socket.mutation(0, "counters:increment", { name: "response order" });
  const response = await socket.response(0);
  const transition = await socket.next(
    ({ type, modifications }) => type === "Transition" && modifications.length > 0,
    "the update",
  );
  assert.equal(response.success, true);
  assert.equal(response.result, 1);
  assert.equal(transition.modifications[0].value, 1);
  assert.ok(socket.messages.indexOf(response) < socket.messages.indexOf(transition));
  assert.ok(timestamp(transition.endVersion.ts) >= timestamp(response.ts));
});

test("sync-protocol 55-58, semantics 73: a request sent again with its session id is not executed again", async ({ clients }) => {
  const sessionId = crypto.randomUUID();
  const args = { client: sessionId, number: 1 };
  const send = async (session: string) => {
    const socket = await clients.socket();
    socket.connect(session);
    socket.modifyQuerySet([]);
    socket.mutation(0, "entries:add", args);
    const { ts, result, success } = await socket.response(0);
    return { ts, result, success };
  };
  const first = await send(sessionId);
  assert.deepEqual(await send(sessionId), first);
  const copies = await Promise.all([send(sessionId), send(sessionId), send(sessionId)]);
  for (const copy of copies) assert.deepEqual(copy, first);
  const http = clients.http();
  assert.deepEqual(await http.query(api.entries.listByClient, { client: sessionId }), [1]);
  await send(crypto.randomUUID());
  assert.deepEqual(await http.query(api.entries.listByClient, { client: sessionId }), [1, 1]);
});

test("sync-protocol 57, semantics 74: a request that failed is executed again when it is sent again", async ({ clients }) => {
  const sessionId = crypto.randomUUID();
  const name = sessionId;
  const send = async () => {
    const socket = await clients.socket();
    socket.connect(sessionId);
    socket.mutation(0, "errors:throwsUnlessEven", { name });
    return await socket.response(0);
  };
  await clients.http().mutation(api.counters.increment, { name });
  assert.equal((await send()).success, false);
  await clients.http().mutation(api.counters.increment, { name });
  const second = await send();
  assert.deepEqual([second.success, second.result], [true, 2]);
});

test("sync-protocol 60: the request id in an error is derived from session and request", async ({ clients }) => {
  const sessionId = crypto.randomUUID();
  const socket = await clients.socket();
  socket.connect(sessionId);
  socket.mutation(7, "errors:throwData", { data: 1 });
  const { result, errorData } = await socket.response(7);
  const digest = createHash("sha256").update(`${sessionId}|7`).digest("hex").slice(0, 16);
  assert.ok(result.startsWith(`[Request ID: ${digest}] Server Error\n`), result);
  assert.equal(errorData, 1);
});

test("sync-protocol 18, 25: a plain error has no errorData and is not sent twice", async ({ clients }) => {
  const socket = await clients.socket();
  socket.connect();
  socket.addQuery(0, "errors:throwError");
  const [failed] = (await socket.transition()).modifications;
  assert.equal(failed.type, "QueryFailed");
  assert.ok(!("errorData" in failed));
  socket.mutation(0, "counters:increment", { name: "elsewhere" });
  await socket.response(0);
  assert.deepEqual((await socket.transition()).modifications, []);
});

test("sync-protocol 59: a mutation without Connect is executed", async ({ clients }) => {
  const socket = await clients.socket();
  socket.mutation(0, "counters:increment", { name: "no connect" });
  assert.equal((await socket.response(0)).result, 1);
});

test("sync-protocol 14, 97: events and unknown fields are ignored", async ({ clients }) => {
  const socket = await clients.socket();
  socket.connect();
  socket.send({ type: "Event", eventType: "Nonsense", event: { any: "thing" } });
  socket.send({
    type: "ModifyQuerySet",
    baseVersion: 0,
    newVersion: 1,
    modifications: [],
    more: 1,
  });
  const message = await socket.next(() => true, "any message");
  assert.equal(message.type, "Transition");
});

test("sync-protocol 103: clock fields are numbers or absent", async ({ clients }) => {
  const socket = await clients.socket();
  socket.send({
    type: "Connect",
    sessionId: crypto.randomUUID(),
    connectionCount: 0,
    lastCloseReason: null,
    clientTs: Date.now(),
  });
  socket.modifyQuerySet([]);
  const transition = await socket.transition();
  for (const field of ["clientClockSkew", "serverTs"]) {
    if (field in transition) assert.equal(typeof transition[field], "number", field);
  }
});

/** `fetch` may not set the headers of an upgrade. */
function get(
  url: string,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, (response) => {
      let text = "";
      response.on("data", (chunk) => text += chunk);
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    }).on("error", reject).end();
  });
}

/** A timestamp of the wire as a number that can be compared. */
function timestamp(text: string): bigint {
  return new DataView(Uint8Array.fromBase64(text).buffer).getBigUint64(0, true);
}
