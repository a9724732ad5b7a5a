/** How often queries really run: counted by the server's own metrics. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import type { ServerProcess } from "../support/server_process.ts";

const cached = `
import { mutation, query } from "./_generated/server";

export const set = mutation(async (ctx, { name, value }) => {
  const found = await ctx.db.query("values").withIndex("by_name", (q) => q.eq("name", name)).unique();
  if (found === null) await ctx.db.insert("values", { name, value });
  else await ctx.db.patch(found._id, { value });
});
const read = async (ctx, name) =>
  (await ctx.db.query("values").withIndex("by_name", (q) => q.eq("name", name)).unique())?.value ?? 0;

export const get = query(async (ctx, { name }) => await read(ctx, name));
export const isLarge = query(async (ctx, { name }) => await read(ctx, name) > 100);
export const padded = query(async (ctx, { name, padding }) => await read(ctx, name));
export const whoAmI = query(async (ctx) => (await ctx.auth.getUserIdentity())?.subject ?? null);
`;
const schema = `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  values: defineTable({ name: v.string(), value: v.number() }).index("by_name", ["name"]),
});
`;

const bytesMax = 1_000_000;
const { test } = appServer({
  files: { "convex/cached.ts": cached, "convex/schema.ts": schema },
  environment: { HULL_QUERY_CACHE_BYTES_MAX: String(bytesMax) },
});

/** Queries that ran since the last look; none counts that was answered from the cache. */
function executionCounter(server: ServerProcess): () => Promise<number> {
  let before = 0;
  return async () => {
    const headers = { authorization: `Convex ${server.adminKey}` };
    const text = await (await fetch(`${server.url}/metrics`, { headers })).text();
    const lines = text.matchAll(/^hull_function_calls_total\{([^}]*)\} (\d+)$/gm);
    let count = 0;
    for (const [, labels, value] of lines) {
      if (labels!.includes('type="query"')) count += Number(value);
    }
    const executions = count - before;
    before = count;
    return executions;
  };
}

/** Sockets that each follow one query; resolves when they have their first results. */
async function subscribe(
  clients: AppContext["clients"],
  count: number,
  udfPath: string,
  args: (n: number) => Record<string, unknown>,
) {
  return await Promise.all(Array.from({ length: count }, async (_, n) => {
    const socket = await clients.socket();
    socket.addQuery(0, udfPath, args(n));
    await socket.transition();
    return socket;
  }));
}

test("semantics §10: one execution serves a hundred subscribers and all HTTP callers", async ({ server, clients }) => {
  const executions = executionCounter(server);
  const http = clients.http();
  const args = { name: "shared" };
  const sockets = await subscribe(clients, 100, "cached:get", () => args);
  await executions();
  for (let value = 1; value <= 3; value++) {
    await http.mutation(api.cached.set, { ...args, value });
    for (const socket of sockets) {
      assert.equal((await socket.transition()).modifications[0].value, value);
    }
    for (let n = 0; n < 10; n++) assert.equal(await http.query(api.cached.get, args), value);
    assert.equal(await executions(), 1);
  }
});

test("semantics §10: of a thousand queries a commit runs the one that it touches, and tells nobody else", async ({ server, clients }) => {
  const executions = executionCounter(server);
  const socket = await clients.socket();
  const count = 1000;
  socket.modifyQuerySet(
    Array.from({ length: count }, (_, queryId) => ({
      type: "Add",
      queryId,
      udfPath: "cached:get",
      args: [{ name: `one of many ${queryId}` }],
    })),
  );
  assert.equal((await socket.transition()).modifications.length, count);
  const [bystander] = await subscribe(clients, 1, "cached:get", () => ({ name: "one of many 8" }));
  const heard = bystander!.messages.length;
  await executions();
  await clients.http().mutation(api.cached.set, { name: "one of many 7", value: 7 });
  const { modifications } = await socket.transition();
  assert.deepEqual(
    modifications.map(({ queryId, value }: { queryId: number; value: number }) => [queryId, value]),
    [[7, 7]],
  );
  assert.equal(await executions(), 1);
  assert.equal(bystander!.messages.length, heard);
});

test("semantics §10: a result that stays equal is not pushed, although it was computed again", async ({ server, clients }) => {
  const executions = executionCounter(server);
  const [socket] = await subscribe(clients, 1, "cached:isLarge", () => ({ name: "equal" }));
  await executions();
  await clients.http().mutation(api.cached.set, { name: "equal", value: 1 });
  assert.deepEqual((await socket!.transition()).modifications, []);
  assert.equal(await executions(), 1);
});

test("semantics 75: results that depend on the user are kept for each user, others for all", async ({ server }) => {
  const executions = executionCounter(server);
  const ask = async (path: string, subject: string) => {
    const user = btoa(JSON.stringify({ issuer: "https://issuer.test", subject }));
    const response = await fetch(`${server.url}/api/query`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Convex ${server.adminKey}:${user}`,
      },
      body: JSON.stringify({ path, args: { name: "of users" } }),
    });
    return (await response.json()).value;
  };
  await executions();
  for (let round = 0; round < 3; round++) {
    for (const subject of ["ada", "bob"]) {
      assert.equal(await ask("cached:whoAmI", subject), subject);
      assert.equal(await ask("cached:get", subject), 0);
    }
  }
  assert.equal(await executions(), 3, "one for each user, one for all");
});

test("semantics §10: results are dropped before they take more memory than they may, arguments included", async ({ server, clients }) => {
  const executions = executionCounter(server);
  const http = clients.http();
  const ask = (n: number) =>
    http.query(api.cached.padded, { name: "memory", padding: `${n} ${"x".repeat(50_000)}` });
  await executions();
  const queries = 60;
  for (let n = 0; n < queries; n++) await ask(n);
  assert.equal(await executions(), queries);
  await ask(queries - 1);
  assert.equal(await executions(), 0, "the newest is there");
  await ask(0);
  assert.equal(await executions(), 1, "the oldest is not");
});
