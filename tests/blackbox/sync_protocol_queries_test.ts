/** The WebSocket protocol by hand: query sets, results, actions, large messages, clocks. */
import assert from "node:assert/strict";
import WebSocket from "ws";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import type { ServerMessage, SyncSocket } from "../support/sync_socket.ts";
import { eventually } from "../support/waiting.ts";

const things = `
import { ConvexError } from "convex/values";
import { action, internalQuery, mutation, query } from "./_generated/server";
import { api } from "./_generated/api";

const count = async (ctx) => (await ctx.db.query("things").collect()).length;

export const add = mutation(async (ctx) => { await ctx.db.insert("things", {}); });
export const many = query(async (ctx) => await count(ctx));
export const areMany = query(async (ctx) => await count(ctx) > 1_000_000);
export const logged = query(async (ctx) => { console.log(await count(ctx)); return "same"; });
export const chatty = query(() => { for (let i = 0; i < 300; i++) console.log("line", i); });
export const nothing = query(() => undefined);
export const noData = query(() => { throw new ConvexError(null); });
export const hidden = internalQuery(() => "hidden");
export const large = query(async (ctx, { length }) => String(await count(ctx) % 10) + "\u{1F600}".repeat(length));
export const late = action(async (ctx) => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  await ctx.runMutation(api.things.note, { text: "late" });
});
export const note = mutation(async (ctx, { text }) => { await ctx.db.insert("notes", { text }); });
export const notes = query(async (ctx) => (await ctx.db.query("notes").collect()).map(({ text }) => text));
export const failPlainly = action(() => { throw new Error("plain"); });
export const failWithData = action(() => { throw new ConvexError({ code: 1 }); });
export const linger = mutation(() => {
  const start = performance.now();
  while (performance.now() - start < 500);
});
`;

const { test } = appServer({ files: { "convex/things.ts": things } });

/** The modification of a query in the next transition that has one. */
async function update(socket: SyncSocket, queryId: number): Promise<ServerMessage> {
  const of = ({ modifications = [] }: ServerMessage) =>
    modifications.find((modification: ServerMessage) => modification.queryId === queryId);
  return of(await socket.next((message) => of(message) !== undefined, `query ${queryId}`));
}

/** Every modification that came, in order. */
function modifications(socket: SyncSocket): ServerMessage[] {
  return socket.messages.flatMap(({ modifications = [] }) => modifications);
}

async function write(clients: AppContext["clients"], udfPath = "things:add"): Promise<void> {
  const socket = await clients.socket();
  socket.mutation(0, udfPath);
  assert.equal((await socket.response(0)).success, true);
}

for (const path of ["/api/1.48.0/sync", "/api/1.17.0/sync", "/api/sync"]) {
  test(`sync-protocol 1, 3: ${path} is served`, async ({ clients }) => {
    const socket = await clients.socket(path);
    socket.addQuery(0, "things:nothing");
    assert.equal((await update(socket, 0)).type, "QueryUpdated");
  });
}

test("sync-protocol 3, 5: a client of another name, and one that offers compression, are served", async ({ server }) => {
  const url = server.url.replace(/^http/, "ws") + "/api/sync";
  const headers = { "Convex-Client": "rust-0.9.0" };
  for (const options of [{ headers }, { perMessageDeflate: { clientMaxWindowBits: true } }]) {
    const socket = new WebSocket(url, options as WebSocket.ClientOptions);
    await new Promise<void>((resolve, reject) => {
      socket.on("error", reject);
      socket.on("open", () =>
        socket.send(
          '{"type":"ModifyQuerySet","baseVersion":0,"newVersion":1,"modifications":[]}',
        ));
      socket.on("message", () => resolve());
    });
    socket.terminate();
  }
});

test("sync-protocol 12, 13: Connect alone says nothing; quick changes of the query set may be answered at once", async ({ clients }) => {
  const socket = await clients.socket();
  socket.connect();
  socket.send({ type: "Event", eventType: "X", event: null });
  // An action is answered, and shows that nothing was said before.
  socket.action(0, "things:failPlainly");
  await socket.response(0);
  assert.equal(socket.messages[0]!.type, "ActionResponse");
  for (const queryId of [0, 1, 2]) socket.addQuery(queryId, "things:many");
  await socket.next(({ endVersion }) => endVersion?.querySet === 3, "all three");
  assert.equal(modifications(socket).length, 3);
});

test("sync-protocol 19, 39: null as data is data; undefined arrives as null", async ({ clients }) => {
  const socket = await clients.socket();
  socket.addQuery(0, "things:noData");
  const failed = await update(socket, 0);
  assert.deepEqual([failed.type, failed.errorData], ["QueryFailed", null]);
  assert.ok("errorData" in failed);
  socket.addQuery(1, "things:nothing");
  const empty = await update(socket, 1);
  assert.deepEqual([empty.type, empty.value, empty.journal], ["QueryUpdated", null, null]);
});

test("sync-protocol 21, 28: what comes and goes in one message is removed; updates come by query id", async ({ clients }) => {
  const socket = await clients.socket();
  const add = (queryId: number, udfPath: string) => ({ type: "Add", queryId, udfPath, args: [{}] });
  socket.modifyQuerySet([
    add(5, "things:many"),
    add(2, "things:many"),
    add(9, "things:noData"),
    add(7, "things:many"),
    { type: "Remove", queryId: 7 },
  ]);
  const first = await socket.transition();
  assert.deepEqual(
    first.modifications.map(({ queryId, type }: ServerMessage) => [queryId, type]).sort(),
    [[2, "QueryUpdated"], [5, "QueryUpdated"], [7, "QueryRemoved"], [9, "QueryFailed"]],
  );
  const ids = first.modifications.map(({ queryId }: ServerMessage) => queryId);
  assert.deepEqual(ids.filter((id: number) => id !== 7), [2, 5, 9]);
});

test("sync-protocol 23, 24: equal results are not sent again, other log lines are", async ({ clients }) => {
  const socket = await clients.socket();
  socket.addQuery(0, "things:areMany");
  socket.addQuery(1, "things:logged");
  socket.addQuery(2, "things:many");
  await update(socket, 1);
  const { value } = modifications(socket).find(({ queryId }) => queryId === 2) ??
    await update(socket, 2);
  for (let n = 1; n <= 5; n++) {
    await write(clients);
    await socket.next(
      ({ modifications = [] }) =>
        modifications.some((one: ServerMessage) => one.queryId === 2 && one.value === value + n),
      `write ${n}`,
    );
  }
  const of = (id: number) => modifications(socket).filter(({ queryId }) => queryId === id);
  assert.equal(of(0).length, 1);
  assert.deepEqual(of(1).map(({ value }) => value), Array(of(1).length).fill("same"));
  assert.deepEqual(of(1).at(-1)!.logLines, [`[LOG] ${value + 5}`]);
});

test("sync-protocol 33, 36: an internal function is as missing; errors begin with their request", async ({ clients }) => {
  const socket = await clients.socket();
  socket.addQuery(0, "things:hidden");
  socket.addQuery(1, "things:missing");
  const texts: string[] = [];
  for (const id of [0, 1]) texts.push((await update(socket, id)).errorMessage);
  const [hidden, missing] = texts.map((text) => {
    assert.match(text, /^\[Request ID: [0-9a-f]{16}\] Server Error\n/);
    return text.slice(text.indexOf("\n"));
  });
  assert.equal(hidden!.replace("hidden", "missing"), missing);
});

test("sync-protocol 38: log lines have their level; of 300 the client gets 256", async ({ clients }) => {
  const socket = await clients.socket();
  socket.addQuery(0, "things:chatty");
  const { logLines } = await update(socket, 0);
  assert.equal(logLines.length, 256);
  assert.equal(logLines[0], "[LOG] 'line' 0");
});

test("sync-protocol 66: an action outlives its socket", async ({ clients }) => {
  const socket = await clients.socket();
  socket.action(0, "things:late");
  // What is answered later was received earlier.
  socket.addQuery(0, "things:nothing");
  await update(socket, 0);
  socket.terminate();
  const http = clients.http();
  const notes = () => http.query(api.things.notes, {});
  await eventually(async () => (await notes()).includes("late") || undefined, "the late note");
});

test("sync-protocol 67: a failed action answers with its text, and with data only if it has some", async ({ clients }) => {
  const socket = await clients.socket();
  socket.action(0, "things:failPlainly");
  const plain = await socket.response(0);
  assert.deepEqual([plain.success, typeof plain.result], [false, "string"]);
  assert.ok(!("errorData" in plain));
  socket.action(1, "things:failWithData");
  const withData = await socket.response(1);
  assert.deepEqual([withData.success, withData.errorData], [false, { code: 1 }]);
});

test("sync-protocol 62: too many mutations that wait end the socket", async ({ clients }) => {
  const socket = await clients.socket();
  socket.mutation(0, "things:linger");
  for (let id = 1; id <= 1001; id++) socket.mutation(id, "things:add");
  const { code, reason } = await socket.closed;
  assert.deepEqual([code, reason], [1013, "TooManyConcurrentMutations"]);
});

test("sync-protocol 81: a component's path from a client that is no admin ends the socket", async ({ clients }) => {
  const socket = await clients.socket();
  const query = { type: "Add", queryId: 0, udfPath: "things:many", args: [{}] };
  socket.modifyQuerySet([{ ...query, componentPath: "other" }]);
  assert.equal((await socket.closed).code, 1011);
});

test("sync-protocol 86: a client from the future is not served", async ({ clients }) => {
  const socket = await clients.socket();
  socket.send({
    type: "Connect",
    sessionId: crypto.randomUUID(),
    connectionCount: 1,
    lastCloseReason: null,
    maxObservedTimestamp: "AAAAAAAAAH8=",
  });
  const { code, reason } = await socket.closed;
  assert.deepEqual([code, reason], [1011, "InternalServerError"]);
});

test("sync-protocol 90: also without queries a reconnect is answered with a transition", async ({ clients }) => {
  const socket = await clients.socket();
  socket.send({
    type: "Connect",
    sessionId: crypto.randomUUID(),
    connectionCount: 3,
    lastCloseReason: "InternalServerError",
  });
  socket.modifyQuerySet([]);
  assert.equal((await socket.transition()).endVersion.querySet, 1);
});

test("sync-protocol 98-101: a large transition comes in whole characters and without a pause, to old clients whole", async ({ clients }) => {
  const length = 1_500_000;
  const add = [{ type: "Add", queryId: 0, udfPath: "things:large", args: [{ length }] }];
  const socket = await clients.socket("/api/1.48.0/sync");
  socket.modifyQuerySet(add);
  // These answers must not come between the pieces.
  for (let id = 0; id < 20; id++) socket.action(id, "things:failPlainly");
  await socket.next(
    ({ type, partNumber, totalParts }) =>
      type === "TransitionChunk" && partNumber === totalParts - 1,
    "the last piece",
  );
  const first = socket.messages.findIndex(({ type }) => type === "TransitionChunk");
  const { totalParts, transitionId } = socket.messages[first]!;
  const pieces = socket.messages.slice(first, first + totalParts);
  assert.ok(totalParts >= 2);
  for (const [i, piece] of pieces.entries()) {
    assert.deepEqual([piece.type, piece.partNumber, piece.transitionId], [
      "TransitionChunk",
      i,
      transitionId,
    ]);
    assert.ok(piece.chunk.isWellFormed());
    assert.ok(new TextEncoder().encode(piece.chunk).length <= 5_000_000);
  }
  const whole = JSON.parse(pieces.map(({ chunk }) => chunk).join(""));
  assert.equal(whole.modifications[0].value.slice(1), "\u{1F600}".repeat(length));

  const old = await clients.socket("/api/1.27.0/sync");
  old.modifyQuerySet(add);
  assert.deepEqual((await old.transition()).modifications[0].value, whole.modifications[0].value);
  assert.ok(old.messages.every(({ type }) => type !== "TransitionChunk"));
});

test("sync-protocol 102: a client that does not read skips states instead of piling them up", async ({ clients, server }) => {
  const commits = 40;
  const length = 1_000_000;
  const socket = new WebSocket(server.url.replace(/^http/, "ws") + "/api/1.20.0/sync");
  await new Promise((resolve) => socket.once("open", resolve));
  const modifications = [{ type: "Add", queryId: 0, udfPath: "things:large", args: [{ length }] }];
  let transitions = 0;
  let last = "";
  const received = new Promise<void>((resolve) => {
    socket.on("message", (data) => {
      transitions++;
      last = JSON.parse(String(data)).modifications[0]?.value[0] ?? last;
      if (transitions === 1) {
        socket.pause();
        resolve();
      }
    });
  });
  socket.send(
    JSON.stringify({ type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications }),
  );
  await received;
  const writer = await clients.socket();
  for (let id = 0; id < commits; id++) writer.mutation(id, "things:add");
  await writer.response(commits - 1);
  writer.addQuery(0, "things:many");
  const expected = String((await update(writer, 0)).value % 10);
  socket.resume();
  await eventually(async () => last === expected || undefined, "the newest state");
  socket.terminate();
  assert.ok(transitions < commits / 2, `${transitions} transitions of ${commits} commits`);
});

test("sync-protocol 104: the skew follows the client's clock", async ({ clients }) => {
  const hourMs = 3_600_000;
  for (const shiftMs of [0, hourMs]) {
    const socket = await clients.socket();
    socket.send({
      type: "Connect",
      sessionId: crypto.randomUUID(),
      connectionCount: 0,
      lastCloseReason: "InitialConnect",
      clientTs: Date.now() + shiftMs,
    });
    socket.modifyQuerySet([]);
    const { clientClockSkew } = await socket.transition();
    assert.ok(Math.abs(clientClockSkew - shiftMs) < 10_000, `skew ${clientClockSkew}`);
  }
});
