/** The WebSocket protocol of a production server with tight limits: redaction, conflicts, silence. */
import assert from "node:assert/strict";
import WebSocket from "ws";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";
import type { SyncSocket } from "../support/sync_socket.ts";
import { within } from "../support/waiting.ts";

const strained = `
import { ConvexError } from "convex/values";
import { mutation, query } from "./_generated/server";

const linger = (ms) => {
  const start = performance.now();
  while (performance.now() - start < ms);
};
export const fail = query(() => { console.log("secret line"); throw new Error("secret text"); });
export const failWithData = query(() => { throw new ConvexError({ told: true }); });
export const count = query(async (ctx, { by }) => {
  const things = await ctx.db.query("things").collect();
  return things.filter((thing) => thing.by === by).length;
});
export const addWhenFew = mutation(async (ctx, { by }) => {
  const { length } = await ctx.db.query("things").collect();
  linger(30);
  await ctx.db.insert("things", { length, by });
});
`;

let server: ServerProcess;
let clients: Clients;

Deno.test.beforeAll(async () => {
  server = await ServerProcess.start({
    environment: { HULL_SOCKET_IDLE_TIMEOUT_S: "5", HULL_MUTATION_RETRIES_MAX: "0" },
  });
  const app = await makeApp({ files: { "convex/strained.ts": strained } });
  await server.deploy(app);
  await Deno.remove(app, { recursive: true });
  clients = new Clients(server);
});

Deno.test.afterAll(async () => {
  await clients.close();
  await server.stop();
});

/** The npm client keeps back-off timers for a moment after close(). */
const leaky = { sanitizeOps: false, sanitizeResources: false };

async function failure(socket: SyncSocket, udfPath: string) {
  socket.addQuery(0, udfPath);
  return (await socket.transition()).modifications[0];
}

Deno.test(
  "sync-protocol 37: production tells clients that something failed, its data, and no more",
  leaky,
  async () => {
    const failed = await failure(await clients.socket(), "strained:fail");
    assert.match(failed.errorMessage, /^\[Request ID: [0-9a-f]{16}\] Server Error$/);
    assert.deepEqual(failed.logLines, []);
    const told = await failure(await clients.socket(), "strained:failWithData");
    assert.match(told.errorMessage, /^\[Request ID: [0-9a-f]{16}\] Server Error$/);
    assert.deepEqual(told.errorData, { told: true });
  },
);

Deno.test(
  "sync-protocol 63: exhausted conflicts end the socket, and npm clients send again until it is done",
  leaky,
  async () => {
    const sockets = await Promise.all(Array.from({ length: 6 }, () => clients.socket()));
    const closes = sockets.map(({ closed }) => closed);
    for (let id = 0; id < 20; id++) {
      for (const socket of sockets) socket.mutation(id, "strained:addWhenFew");
    }
    const { code, reason } = await Promise.race(closes);
    assert.deepEqual([code, reason], [1013, "OptimisticConcurrencyControlFailure"]);
    await Promise.all(sockets.map((socket) => socket.close()));

    const live = Array.from({ length: 3 }, () => clients.live());
    await within(
      Promise.all(live.map((client) => client.mutation(api.strained.addWhenFew, { by: "live" }))),
      40_000,
      "mutations that conflict",
    );
    const added = await clients.http().query(api.strained.count, { by: "live" });
    assert.equal(added, live.length);
  },
);

Deno.test(
  "sync-protocol 88, 89: a client that answers no pings is dropped, one that is merely idle is not",
  leaky,
  async () => {
    const idle = clients.live();
    const watched = watch(idle, api.strained.count, {});
    await watched.until(() => true, "a count");
    const dead = new WebSocket(server.url.replace(/^http/, "ws") + "/api/1.48.0/sync", {
      autoPong: false,
    });
    await within(new Promise((resolve) => dead.once("close", resolve)), 20_000, "the close");
    assert.equal(idle.connectionState().connectionCount, 1);
    assert.equal(idle.connectionState().isWebSocketConnected, true);
  },
);
