/** The server is killed while it fills indexes and clients write. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";
import { SchemaPushes } from "../support/schema_pushes.ts";
import { ServerProcess } from "../support/server_process.ts";

const functions = `
import { mutation, query } from "./_generated/server";

export const insertMany = mutation(async (ctx, { from, count }) => {
  for (let n = from; n < from + count; n++) await ctx.db.insert("items", { n, group: n % 10 });
});
export const update = mutation(async (ctx, { n }) => {
  const item = await ctx.db.query("items").withIndex("by_n", (q) => q.eq("n", n)).first();
  if (item === null) await ctx.db.insert("items", { n, group: -1 });
  else if (n % 3 === 0) await ctx.db.delete(item._id);
  else await ctx.db.patch(item._id, { group: item.group + 100 });
});
export const largestGroup = query(async (ctx) =>
  (await ctx.db.query("items").withIndex("by_group").order("desc").first()).group);
`;

/** Enough for a hundred steps of a backfill. */
const documents = 20_000;
const { db } = api;

const items = () => defineTable({ n: v.number(), group: v.number() }).index("by_n", ["n"]);
const before = defineSchema({ items: items() });
const enabled = defineSchema({ items: items().index("by_group", ["group"]) });
const staged = defineSchema({
  items: items().index("by_group", { fields: ["group"], staged: true }),
});

/** Inserts, changes and deletes documents until the server is gone. */
async function write(client: ConvexHttpClient, random: SeededRandom): Promise<void> {
  for (;;) {
    try {
      await client.mutation(db.update, { n: random.integer(documents * 1.2) });
    } catch (error) {
      assert.ok(error instanceof TypeError, `no write fails while the server runs: ${error}`);
      return;
    }
  }
}

Deno.test("semantics 7.2: indexes are right after kills in the middle of filling them", async () => {
  const random = seededRandom();
  console.log(`seed ${random.seed}`);
  const app = await makeApp({ files: { "convex/db.ts": functions } });
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
  let server = await ServerProcess.start({ dataFolder });
  const pushes = await SchemaPushes.open(app, server);
  const start = async () => {
    server = await ServerProcess.start({ dataFolder });
    pushes.use(server);
  };
  const client = () => new Clients(server).http({ adminKey: server.adminKey });
  const killWhileWriting = async (body: () => Promise<void>) => {
    const writers = [1, 2].map(() => write(client(), random));
    await body();
    await server.kill();
    await Promise.all(writers);
  };
  try {
    await pushes.push(before);
    for (let from = 0; from < documents; from += 2000) {
      await client().mutation(db.insertMany, { from, count: 2000 });
    }
    await killWhileWriting(async () => {
      const started = await pushes.start(enabled);
      assert.equal((await pushes.wait(started, random.integer(20))).type, "inProgress");
    });

    await start();
    await assert.rejects(client().query(db.largestGroup), /Index items\.by_group not found/);
    await killWhileWriting(async () => {
      await pushes.push(staged);
    });

    await start();
    await assert.rejects(client().query(db.largestGroup), /currently staged/);
    await killWhileWriting(async () => {
      // The start of the server has gone on filling the index, and may be done by now.
      await pushes.wait(await pushes.start(enabled), random.integer(20));
    });

    await start();
    const { enabled_indexes } = await pushes.push(enabled);
    assert.deepEqual(enabled_indexes.map(({ name }) => name), ["items.by_group"]);
    assert.ok(await client().query(db.largestGroup) >= 9);
    // Which compares every index with what its documents ask for.
    await server.stop();
  } finally {
    await server.kill();
    await Deno.remove(dataFolder, { recursive: true });
    await Deno.remove(app, { recursive: true });
  }
});
