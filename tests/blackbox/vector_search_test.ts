/** `ctx.vectorSearch` on a real server: in actions, Node actions and HTTP actions. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";

const schema = (indexes: string) => `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  foods: defineTable({
    name: v.string(),
    cuisine: v.optional(v.any()),
    at: v.optional(v.object({ place: v.string() })),
    embedding: v.optional(v.any()),
  })
    .index("by_name", ["name"])${indexes},
});
`;

const byEmbedding = `.vectorIndex("by_embedding", {
      vectorField: "embedding",
      dimensions: 2,
      filterFields: ["cuisine", "at.place"],
    })`;

const foods = `
import { v } from "convex/values";
import { action, mutation, query } from "./_generated/server";

export const add = mutation({
  args: { foods: v.array(v.any()) },
  handler: async (ctx, { foods }) => {
    const ids = [];
    for (const food of foods) ids.push(await ctx.db.insert("foods", food));
    return ids;
  },
});

export const change = mutation({
  args: { id: v.id("foods"), fields: v.any() },
  handler: (ctx, { id, fields }) => ctx.db.patch(id, fields),
});

export const remove = mutation({
  args: { id: v.id("foods") },
  handler: (ctx, { id }) => ctx.db.delete(id),
});

export const clear = mutation(async (ctx) => {
  for (const { _id } of await ctx.db.query("foods").collect()) await ctx.db.delete(_id);
});

export const names = query({
  args: { ids: v.array(v.id("foods")) },
  handler: async (ctx, { ids }) =>
    await Promise.all(ids.map(async (id) => (await ctx.db.get(id))?.name ?? null)),
});

const filters = {
  italian: (q) => q.eq("cuisine", "italian"),
  either: (q) => q.or(q.eq("cuisine", "italian"), q.eq("at.place", "Kyoto")),
  none: (q) => q.eq("cuisine", undefined),
  unknown: (q) => q.eq("name", "pizza"),
  literal: () => true,
};

export const search = action({
  args: { vector: v.any(), limit: v.optional(v.any()), filter: v.optional(v.string()), index: v.optional(v.string()) },
  handler: async (ctx, { filter, index = "by_embedding", ...query }) =>
    await ctx.vectorSearch("foods", index, { ...query, filter: filter && filters[filter] }),
});

export const changeAndSearch = action({
  args: { id: v.id("foods"), vector: v.array(v.number()) },
  handler: async (ctx, { id, vector }) => {
    await ctx.runMutation("foods:change", { id, fields: { embedding: vector } });
    return await ctx.vectorSearch("foods", "by_embedding", { vector, limit: 1 });
  },
});

export const throughLibrary = action({
  args: {},
  handler: async () => {
    const query = { indexName: "foods.by_embedding", vector: [1, 0], expressions: null };
    return JSON.parse(
      await Convex.asyncSyscall("1.0/actions/vectorSearch", JSON.stringify({ query })),
    );
  },
});
`;

const nodeSearch = `
"use node";
import { action } from "./_generated/server";

export const search = action({
  handler: async (ctx, { limit, filter }) =>
    await ctx.vectorSearch("foods", "by_embedding", {
      vector: [1, 0],
      limit,
      filter: filter ? (q) => q.or(q.eq("cuisine", "italian"), q.eq("cuisine", 7)) : undefined,
    }),
});
`;

const http = `
import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";

const router = httpRouter();
router.route({
  path: "/nearest",
  method: "GET",
  handler: httpAction(async (ctx) =>
    Response.json(await ctx.vectorSearch("foods", "by_embedding", { vector: [1, 0], limit: 1 }))
  ),
});
export default router;
`;

const files = {
  "convex/schema.ts": schema(byEmbedding),
  "convex/foods.ts": foods,
  "convex/in_node.ts": nodeSearch,
  "convex/http.ts": http,
};

const { test } = appServer({ files });

interface Match {
  readonly _id: string;
  readonly _score: number;
}

/** At an angle to [1, 0], in degrees. */
const at = (degrees: number) => [
  Math.cos(degrees * Math.PI / 180),
  Math.sin(degrees * Math.PI / 180),
];

async function fill(client: ConvexHttpClient, foods: unknown[]): Promise<string[]> {
  await client.mutation(api.foods.clear);
  return await client.mutation(api.foods.add, { foods });
}

async function names(client: ConvexHttpClient, matches: readonly Match[]): Promise<string[]> {
  return await client.query(api.foods.names, { ids: matches.map(({ _id }) => _id) });
}

async function find(client: ConvexHttpClient, args: Record<string, unknown>): Promise<string[]> {
  return await names(client, await client.action(api.foods.search, { vector: [1, 0], ...args }));
}

const menu = [
  { name: "ramen", embedding: at(40), cuisine: "japanese", at: { place: "Kyoto" } },
  { name: "pizza", embedding: at(10), cuisine: "italian", at: { place: "Rome" } },
  { name: "soup", embedding: at(20) },
  { name: "gelato", embedding: at(170), cuisine: "italian" },
  { name: "number", embedding: at(90), cuisine: 7 },
];

test("semantics 102: the nearest come first with their scores, ten of them unless more are asked for", async ({ clients }) => {
  const client = clients.http();
  const many = Array.from({ length: 300 }, (_, i) => ({
    name: `n${i}`,
    embedding: at(i * 180 / 300),
  }));
  await fill(client, many.toReversed());
  const matches: Match[] = await client.action(api.foods.search, { vector: [2, 0] });
  assert.deepEqual(await names(client, matches), many.slice(0, 10).map(({ name }) => name));
  for (const [i, { _score, ...rest }] of matches.entries()) {
    assert.ok(Math.abs(_score - Math.cos(i * Math.PI / 300)) < 1e-6);
    assert.deepEqual(Object.keys(rest), ["_id"]);
  }
  assert.equal((await find(client, { limit: 256 })).length, 256);
  await assert.rejects(
    find(client, { limit: 257 }),
    /Vector queries can fetch at most 256 results, requested 257\./,
  );
});

test("semantics 103: the wrong length is an error in a query and skipped in documents", async ({ clients }) => {
  const client = clients.http();
  const odd = [undefined, null, "12", [], [1], [1, 0, 0], [1n, 0n], [1, "0"], [NaN, 1]];
  const [pizza] = await fill(client, [
    { name: "pizza", embedding: [1, 1] },
    ...odd.map((embedding, i) => ({
      name: `odd${i}`,
      ...embedding !== undefined && { embedding },
    })),
  ]);
  assert.deepEqual(await find(client, {}), ["pizza"]);
  await client.mutation(api.foods.change, { id: pizza!, fields: { embedding: [1] } });
  assert.deepEqual(await find(client, {}), []);
  await assert.rejects(
    find(client, { vector: [1, 0, 0] }),
    /Expected a vector with dimensions 2, received 3\./,
  );
  for (const vector of [[], "12"]) {
    await assert.rejects(
      find(client, { vector }),
      /`vector` must be a non-empty Array in vectorSearch/,
    );
  }
});

test("semantics 104: a filter is an equality or several of which one must hold", async ({ clients }) => {
  const client = clients.http();
  await fill(client, menu);
  assert.deepEqual(await find(client, { filter: "italian" }), ["pizza", "gelato"]);
  assert.deepEqual(await find(client, { filter: "either" }), ["pizza", "ramen", "gelato"]);
  assert.deepEqual(await find(client, { filter: "none" }), ["soup"]);
  assert.deepEqual(await find(client, { filter: "either", limit: 1 }), ["pizza"]);
  await assert.rejects(
    find(client, { filter: "unknown" }),
    /contains an equality filter on "name" but that field isn't indexed for filtering/,
  );
  await assert.rejects(
    find(client, { filter: "literal" }),
    /Filters should be a combination of `q\.eq` and `q\.or`\./,
  );
});

test("a search finds what has been committed just before, and nothing that is gone", async ({ clients }) => {
  const client = clients.http();
  const [ramen, pizza] = await fill(client, menu);
  assert.deepEqual(await find(client, { limit: 2 }), ["pizza", "soup"]);
  await client.mutation(api.foods.remove, { id: pizza! });
  assert.deepEqual(await find(client, { limit: 2 }), ["soup", "ramen"]);
  for (const degrees of [3, 2, 1]) {
    const args = { id: ramen!, vector: at(degrees) };
    const [match] = await client.action(api.foods.changeAndSearch, args);
    assert.equal(match._id, ramen);
    assert.ok(match._score > 0.9999999, String(match._score));
  }
  await client.mutation(api.foods.change, { id: ramen!, fields: { cuisine: "italian" } });
  assert.deepEqual(await find(client, { filter: "italian" }), ["ramen", "gelato"]);
});

test("function-abi §7: the function library, Node actions and HTTP actions search alike", async ({ clients, server }) => {
  const client = clients.http();
  await fill(client, menu);
  const { results } = await client.action(api.foods.throughLibrary);
  const expected = ["pizza", "soup", "ramen", "number", "gelato"];
  assert.deepEqual(await names(client, results), expected);
  assert.deepEqual(await names(client, await client.action(api.in_node.search, {})), expected);
  const filtered = await client.action(api.in_node.search, { limit: 2, filter: true });
  assert.deepEqual(await names(client, filtered), ["pizza", "number"]);
  await assert.rejects(client.action(api.in_node.search, { limit: 0 }), /from 1 to 256/);
  const response = await fetch(`${server.url}/nearest`);
  assert.deepEqual(await names(client, await response.json()), ["pizza"]);
});

test("an index that is no vector index, and one that is not there, are named in the error", async ({ clients }) => {
  const client = clients.http();
  await assert.rejects(find(client, { index: "by_name" }), /Index foods\.by_name is not a vector/);
  await assert.rejects(find(client, { index: "by_taste" }), /Index foods\.by_taste not found\./);
});

Deno.test({
  name:
    "semantics §7.2: documents are entered into a new vector index, staged or not, and survive a restart",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const app = await makeApp({ files: { ...files, "convex/schema.ts": schema("") } });
    const dataFolder = await Deno.makeTempDir({ prefix: "hull-vectors-" });
    try {
      await using server = await ServerProcess.start({ dataFolder });
      await server.deploy(app);
      const client = new Clients(server).http();
      await fill(client, menu);
      await assert.rejects(find(client, {}));

      const staged = byEmbedding.replace("dimensions: 2,", "dimensions: 2, staged: true,");
      await writeAppFile(app, "convex/schema.ts", schema(staged));
      await server.deploy(app);
      await assert.rejects(find(client, {}));
      const more = [{ name: "risotto", embedding: at(5), cuisine: "italian" }];
      await client.mutation(api.foods.add, { foods: more });

      await writeAppFile(app, "convex/schema.ts", schema(byEmbedding));
      await server.deploy(app);
      assert.deepEqual(await find(client, { limit: 3 }), ["risotto", "pizza", "soup"]);

      await server.stop();
      await using again = await ServerProcess.start({ dataFolder });
      const later = new Clients(again).http();
      assert.deepEqual(await find(later, { filter: "italian" }), ["risotto", "pizza", "gelato"]);
    } finally {
      await Deno.remove(app, { recursive: true });
      await Deno.remove(dataFolder, { recursive: true });
    }
  },
});
