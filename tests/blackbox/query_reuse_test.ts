/** How long a result of a query is used again: until something that it depends on changes. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import type { ServerProcess } from "../support/server_process.ts";

const reuse = `
import { mutation, query } from "./_generated/server";

export const draw = query(async (ctx) => {
  const drawn = Math.random();
  return { drawn, count: (await ctx.db.query("things").collect()).length };
});
export const add = mutation(async (ctx) => { await ctx.db.insert("things", {}); });
export const variable = query(() => process.env.COLOUR ?? null);
`;

/** A module that reads a variable when it is imported, and queries that read one of two, or one through another. */
const variables = `
import { query } from "./_generated/server";
import { imported } from "./imported";
export const ofImport = query(() => imported);
export const ofX = query(() => process.env.X ?? null);
`;
const others = `
import { query } from "./_generated/server";
import { api } from "./_generated/api";
export const ofY = query(() => process.env.Y ?? null);
export const nested = query(async (ctx) => await ctx.runQuery(api.variables.ofX, {}));
export const none = query(() => "none");
`;

const { test } = appServer({
  files: {
    "convex/reuse.ts": reuse,
    "convex/variables.ts": variables,
    "convex/others.ts": others,
    "convex/imported.ts": "export const imported = process.env.X ?? null;",
  },
});

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

test("semantics 78: another value of a variable runs the queries again that read it, or whose modules do, and no others", async ({ server, clients }) => {
  const client = clients.live();
  const readers = {
    ofImport: api.variables.ofImport,
    ofX: api.variables.ofX,
    nested: api.others.nested,
  };
  const others = { ofY: api.others.ofY, none: api.others.none };
  const live = Object.values({ ...readers, ...others }).map((query) => watch(client, query, {}));
  const [ofImport, ofX, nested, ofY, none] = live;
  await Promise.all(
    live.map((each) => each.until((value) => value !== undefined, "a first result")),
  );
  const before = await queryExecutions(server);
  assert.equal((await server.command("env", "set", "X", "changed")).code, 0);
  for (const each of [ofImport, ofX, nested]) {
    await each!.until((value) => value === "changed", "the changed variable");
  }
  assert.equal(await queryExecutions(server) - before, 3);
  assert.equal((await server.command("env", "set", "Y", "other")).code, 0);
  await ofY!.until((value) => value === "other", "the other variable");
  assert.equal(await queryExecutions(server) - before, 4);
  assert.equal((await server.command("env", "remove", "X")).code, 0);
  await ofX!.until((value) => value === null, "no variable");
  assert.equal(await clients.http().query(api.variables.ofImport, {}), null);
  assert.equal(none!.history.length, 1);
});

/** How often queries have run, as opposed to being answered from the cache. */
async function queryExecutions({ url, adminKey }: ServerProcess): Promise<number> {
  const response = await fetch(`${url}/metrics`, {
    headers: { authorization: `Convex ${adminKey}` },
  });
  const sample = 'hull_function_calls_total{type="query",outcome="success"} ';
  const line = (await response.text()).split("\n").find((line) => line.startsWith(sample));
  return Number(line!.slice(sample.length));
}
