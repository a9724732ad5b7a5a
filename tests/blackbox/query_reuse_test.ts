/** How long a result of a query is used again: until something that it depends on changes. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";

const reuse = `
import { mutation, query } from "./_generated/server";

export const draw = query(async (ctx) => {
  const drawn = Math.random();
  return { drawn, count: (await ctx.db.query("things").collect()).length };
});
export const add = mutation(async (ctx) => { await ctx.db.insert("things", {}); });
export const variable = query(() => process.env.COLOUR ?? null);
`;

const { test } = appServer({ files: { "convex/reuse.ts": reuse } });

test("semantics 77: what a query drew at random stays until something that it read changes", async ({ clients }) => {
  const http = clients.http();
  const first = await http.query(api.reuse.draw, {});
  assert.deepEqual(await http.query(api.reuse.draw, {}), first);
  await http.mutation(api.reuse.add, {});
  const second = await http.query(api.reuse.draw, {});
  assert.equal(second.count, first.count + 1);
  assert.notEqual(second.drawn, first.drawn);
});

test("semantics 78, function-abi 81: a query that read an environment variable runs again when it is set", async ({ server, clients }) => {
  const http = clients.http();
  const live = watch(clients.live(), api.reuse.variable, {});
  await live.until((value) => value === null, "no colour");
  assert.equal(await http.query(api.reuse.variable, {}), null);
  assert.equal((await server.command("env", "set", "COLOUR", "green")).code, 0);
  assert.equal(await http.query(api.reuse.variable, {}), "green");
  await live.until((value) => value === "green", "the colour");
});
