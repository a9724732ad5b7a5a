/** "use node" actions on a real server: what their `ctx` does, what they are kept from, and what a deploy does to them. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { writeAppFile } from "../support/apps.ts";
import { watch } from "../support/clients.ts";

const temporary = await Deno.makeTempDir({ prefix: "hull-tmp-" });
Deno.test.afterAll(() => Deno.remove(temporary, { recursive: true }));

const schema = `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  notes: defineTable({ text: v.string() }),
  points: defineTable({ at: v.array(v.float64()) })
    .vectorIndex("by_at", { vectorField: "at", dimensions: 2 }),
});`;

const notes = `import { internalMutation, mutation, query } from "./_generated/server";
import { v } from "convex/values";
export const list = query({ args: {}, handler: async (ctx) => (await ctx.db.query("notes").collect()).map(({ text }) => text) });
export const add = mutation({ args: { text: v.string() }, handler: (ctx, { text }) => ctx.db.insert("notes", { text }) });
export const later = internalMutation({ args: { text: v.string() }, handler: async (ctx, { text }) => { await ctx.db.insert("notes", { text }); } });
export const refuse = mutation({ args: {}, handler: async () => { throw new Error("refused"); } });
export const point = mutation({ args: { at: v.array(v.float64()) }, handler: (ctx, { at }) => ctx.db.insert("points", { at }) });
export const size = query({ args: { text: v.string() }, handler: async (_, { text }) => text.length });`;

const node = `"use node";
import { action, internalAction } from "./_generated/server";
import { api, internal } from "./_generated/api";
import { v } from "convex/values";
import { ConvexError } from "convex/values";
import { readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
export const everything = action({ args: {}, handler: async (ctx) => {
  const note = await ctx.runMutation(api.notes.add, { text: "from Node" });
  const listed = await ctx.runQuery(api.notes.list, {});
  const nested = await ctx.runAction(internal.node.nested, { n: 2n });
  const plain = await ctx.runAction(api.plain.double, { n: 4 });
  const job = await ctx.scheduler.runAfter(0, internal.notes.later, { text: "later" });
  const cancelled = await ctx.scheduler.runAfter(3600000, internal.notes.later, { text: "never" });
  await ctx.scheduler.cancel(cancelled);
  const file = await ctx.storage.store(new Blob(["bytes"], { type: "text/x" }));
  const blob = await ctx.storage.get(file);
  const stored = [await blob.text(), blob.type, (await ctx.storage.getMetadata(file)).size];
  const url = await ctx.storage.getUrl(file);
  await ctx.storage.delete(file);
  const nearest = await ctx.vectorSearch("points", "by_at", { vector: [1, 0], limit: 1 });
  const refused = await ctx.runMutation(api.notes.refuse, {}).catch((error) => error.message);
  return { note, listed, nested, plain, job: typeof job, stored, url: typeof url, gone: await ctx.storage.get(file),
    nearest: nearest.length, refused, user: await ctx.auth.getUserIdentity() };
}});
export const nested = internalAction({ args: { n: v.int64() }, returns: v.int64(), handler: async (_, { n }) => n * 2n });
export const checks = action({ args: { id: v.id("notes") }, returns: v.id("notes"), handler: async (_, { id }) => id });
export const fails = action({ args: {}, handler: async () => { await null; throw new ConvexError({ why: "data" }); } });
export const throwsDeep = action({ args: {}, handler: async () => { thrower(); } });
function thrower() { throw new TypeError("deep"); }
export const reads = action({ args: { path: v.string() }, handler: async (_, { path }) => (await readFile(path, "utf8")).length });
export const writes = action({ args: {}, handler: async () => { const path = tmpdir() + "/x.txt"; await writeFile(path, "text"); return await readFile(path, "utf8"); } });
export const variables = action({ args: {}, handler: async () => ({ names: Object.keys(process.env).sort(), set: process.env.GREETING, options: process.env.NODE_OPTIONS }) });
export const waits = action({ args: {}, handler: async (ctx) => {
  await ctx.runMutation(api.notes.add, { text: "waiting" });
  while (!(await ctx.runQuery(api.notes.list, {})).includes("go on")) await new Promise((resolve) => setTimeout(resolve, 20));
  await ctx.runMutation(api.notes.add, { text: "went on" });
  return "the old code";
}});
export const many = action({ args: { count: v.number() }, handler: async (ctx, { count }) => {
  const settled = await Promise.allSettled(Array.from({ length: count }, () => ctx.runQuery(api.notes.size, { text: "ab" })));
  const [first] = settled.filter(({ status }) => status === "rejected");
  return [settled.filter(({ status }) => status === "fulfilled").length, first?.reason.message ?? null];
}});
export const large = action({ args: { mib: v.number() }, handler: async (ctx, { mib }) => await ctx.runQuery(api.notes.size, { text: "x".repeat(mib * 1048576) }) });
export const forgets = action({ args: {}, handler: async (ctx) => { ctx.runQuery(api.notes.list, {}); return "done"; } });
export const crash = action({ args: {}, handler: async () => { process.kill(process.pid, "SIGKILL"); await new Promise(() => {}); } });
export const dies = action({ args: {}, handler: async () => { process.exit(1); } });
export const killsServer = action({ args: {}, handler: async () => process.kill(process.ppid) });
export const killsGroup = action({ args: {}, handler: async () => { process.kill(0, "SIGKILL"); await new Promise(() => {}); } });
export const floods = action({ args: {}, handler: async () => { for (let n = 0; n < 500; n++) process.stdout.write("x".repeat(65536)); return "done"; } });`;

const plain = `import { action } from "./_generated/server";
import { v } from "convex/values";
export const double = action({ args: { n: v.number() }, handler: async (_, { n }) => 2 * n });`;

const { test } = appServer({
  files: {
    "convex/schema.ts": schema,
    "convex/notes.ts": notes,
    "convex/node.ts": node,
    "convex/plain.ts": plain,
  },
  variables: () => ({ GREETING: "hello", NODE_OPTIONS: "no-such.js --bad" }),
  environment: { TMPDIR: temporary, HULL_TEST_SECRET: "not for actions" },
});

test("function-abi §20: a Node action's ctx does all that an action's ctx does", async ({ clients }) => {
  const client = clients.live();
  await client.mutation(api.notes.point, { at: [1, 0] });
  const { note, ...rest } = await client.action(api.node.everything, {});
  assert.equal(typeof note, "string");
  assert.deepEqual(rest, {
    listed: ["from Node"],
    nested: 4n,
    plain: 8,
    job: "string",
    stored: ["bytes", "text/x", 5],
    url: "string",
    gone: null,
    nearest: 1,
    refused: "Uncaught Error: refused\n    at handler (../convex/notes.ts:6:73)\n",
    user: null,
  });
  await watch(client, api.notes.list, {}).until(
    (all) => all.includes("later"),
    "the scheduled mutation",
  );
});

test("semantics §8: ids are checked by their tables, errors have frames and data", async ({ clients }) => {
  const client = clients.http();
  const id = await client.mutation(api.notes.add, { text: "mine" });
  assert.equal(await client.action(api.node.checks, { id }), id);
  const point = await client.mutation(api.notes.point, { at: [0, 1] });
  await assert.rejects(client.action(api.node.checks, { id: point }), /ArgumentValidationError/);
  await assert.rejects(client.action(api.node.fails), (error: Error & { data?: unknown }) => {
    assert.deepEqual(error.data, { why: "data" });
    return true;
  });
  await assert.rejects(
    client.action(api.node.throwsDeep),
    /Uncaught TypeError: deep\n {4}at thrower \(\.\.\/convex\/node\.ts:\d+:\d+\)\n {4}at handler \(\.\.\/convex\/node\.ts:/,
  );
});

test("function-abi §20: process.env holds the deployment's variables and none of the server's", async ({ clients }) => {
  const { names, set, options } = await clients.http().action(api.node.variables);
  assert.equal(set, "hello");
  // It can be read, and did not keep Node.js from starting.
  assert.equal(options, "no-such.js --bad");
  const expected = ["CONVEX_CLOUD_URL", "CONVEX_SITE_URL", "GREETING", "LANG", "NODE_OPTIONS"];
  assert.deepEqual(names, [...expected, "PATH", "PWD", "TMPDIR", "TZ"]);
});

test("a Node action reads neither the database nor the admin key, and writes to the temporary folder", async ({ server, clients }) => {
  const client = clients.http();
  assert.equal(await client.action(api.node.writes), "text");
  // The permission model of Node.js is used on Linux alone.
  if (Deno.build.os !== "linux") return;
  for (const path of ["admin_key", "hull.sqlite3"].map((name) => `${server.dataFolder}/${name}`)) {
    await assert.rejects(client.action(api.node.reads, { path }), /restricted/);
  }
});

test("semantics 9.2: a Node action has at most 1000 operations under way, and large ones pass", async ({ clients }) => {
  const client = clients.http();
  assert.deepEqual(await client.action(api.node.many, { count: 1000 }), [1000, null]);
  const [fulfilled, message] = await client.action(api.node.many, { count: 1100 });
  assert.equal(fulfilled, 1000);
  assert.match(message, /^Too many concurrent operations\./);
  assert.equal(await client.action(api.node.large, { mib: 6 }), 6 * 1024 * 1024);
  await assert.rejects(client.action(api.node.large, { mib: 17 }), /too large/);
});

test("function-abi §20: what a Node action did not await is warned of", async ({ clients, server }) => {
  const warned = server.nextLine(/You have an outstanding query call/);
  assert.equal(await clients.http().action(api.node.forgets), "done");
  await warned;
});

test("a Node action that ends its process, the server or its group fails alone", async ({ clients }) => {
  const client = clients.http();
  await assert.rejects(client.action(api.node.dies), /process\.exit\(1\) was called/);
  await assert.rejects(
    client.action(api.node.killsServer),
    /is the server, which actions may not end/,
  );
  assert.equal(await client.action(api.node.floods), "done");
  const lost = /ended before the action did.*It ended with SIGKILL/;
  await assert.rejects(client.action(api.node.killsGroup), lost);
  await assert.rejects(client.action(api.node.crash), lost);
  assert.equal(await client.action(api.node.writes), "text");
});

test("a caller that goes away does not end its Node action, and a deploy lets it end on the old code", async ({ server, app, clients }) => {
  const client = clients.live();
  const list = watch(client, api.notes.list, {});
  const caller = new AbortController();
  const gone = fetch(`${server.url}/api/action`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ path: "node:waits", args: {} }),
    signal: caller.signal,
  });
  const old = client.action(api.node.waits, {});
  const waiting = (all: string[]) => all.filter((text) => text === "waiting").length === 2;
  await list.until(waiting, "both actions to wait");
  caller.abort();
  await assert.rejects(gone);
  const pushed = server.nextLine(/Functions ready/);
  await writeAppFile(app, "convex/node.ts", node.replaceAll("the old code", "the new code"));
  await pushed;
  await client.mutation(api.notes.add, { text: "go on" });
  assert.equal(await old, "the old code");
  await list.until((all) => all.filter((text: string) => text === "went on").length === 2, "both");
  assert.equal(await client.action(api.node.waits, {}), "the new code");
});
