/** A client that asks for much beside one that asks for little: who waits for whom. */
import assert from "node:assert/strict";
import { callOnce, type HttpRequest } from "../../bench/http_load.ts";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";

const work = `
import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
const args = { n: v.number() };
function compute(n) {
  let sum = 0;
  for (let i = 0; i < 20_000_000; i++) sum += i % 7;
  return sum === n ? null : n;
}
export const long = query({ args, handler: (_ctx, { n }) => compute(n) });
export const longMutation = mutation({ args, handler: (_ctx, { n }) => compute(n) });
export const short = query({ args, handler: (_ctx, { n }) => n });
`;

const { test } = appServer({
  files: { "convex/work.ts": work },
  environment: { HULL_ADDRESS_SOCKETS_MAX: "60" },
});

/** Calls of the greedy client. */
const greedyCalls = 40;
/** Of those, the ones that may end while another client's call waits: those that run, and some on their way. */
const overtakenMax = 10;

const call = (kind: "query" | "mutation", name: string, n: number): HttpRequest => ({
  method: "POST",
  path: `/api/${kind}`,
  body: JSON.stringify({ path: `work:${name}`, args: { n } }),
});

for (const kind of ["query", "mutation"] as const) {
  const name = kind === "query" ? "long" : "longMutation";
  test(`one client's many ${kind} calls over HTTP do not stand before another's call`, async ({ server }) => {
    let ended = 0;
    const greedy = Array.from({ length: greedyCalls }, async (_, n) => {
      await callOnce(server.url, call(kind, name, n), "192.0.2.2");
      ended++;
    });
    await Promise.race(greedy);
    await callOnce(server.url, call("query", "short", kind === "query" ? 1 : 2), "192.0.2.1");
    assert.ok(ended <= overtakenMax, `${ended} of ${greedyCalls} went before`);
    await Promise.all(greedy);
  });
}

test("one socket's many queries do not stand before another client's call", async ({ server, clients }) => {
  const client = clients.live();
  let updates = 0;
  const followed = Array.from({ length: greedyCalls }, (_, n) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    client.onUpdate(api.work.long, { n: 1000 + n }, () => {
      updates++;
      resolve();
    });
    return promise;
  });
  // The first of them runs when this is answered.
  await callOnce(server.url, call("query", "long", 2000), "192.0.2.1");
  await callOnce(server.url, call("query", "short", 3), "192.0.2.1");
  assert.equal(updates, 0);
  await Promise.all(followed);
});

test("an address has as many sockets as it may, and is told to come back for more", async (context) => {
  const sockets: Deno.Conn[] = [];
  try {
    const statuses: string[] = [];
    for (let n = 0; n < 61; n++) statuses.push(await upgrade(context, "192.0.2.3", sockets));
    assert.deepEqual(new Set(statuses.slice(0, 60)), new Set(["101"]));
    assert.equal(statuses[60], "429");
    assert.equal(await upgrade(context, "192.0.2.4", sockets), "101");
    sockets[0]!.close();
    while (await upgrade(context, "192.0.2.3", sockets) !== "101");
  } finally {
    for (const socket of sockets.slice(1)) socket.close();
  }
});

/** Asks for a socket and resolves with the status of the answer. */
async function upgrade({ server }: AppContext, address: string, sockets: Deno.Conn[]) {
  const { hostname, port } = new URL(server.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  sockets.push(connection);
  const head = [
    "GET /api/sync HTTP/1.1",
    "Host: a",
    `X-Forwarded-For: ${address}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "\r\n",
  ];
  await connection.write(new TextEncoder().encode(head.join("\r\n")));
  const buffer = new Uint8Array(2000);
  const length = await connection.read(buffer);
  const answer = new TextDecoder().decode(buffer.subarray(0, length ?? 0));
  if (answer.includes(" 429 ")) assert.match(answer, /\r\nretry-after: 1\r\n/i);
  return answer.split(" ")[1]!;
}
