/** Which mutations conflict, and what their clients hear when it does not stop. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";

const conflicts = `
import { v } from "convex/values";
import { mutation, query } from "./_generated/server";

/** Long enough for what the test does meanwhile. */
const linger = () => {
  const start = performance.now();
  while (performance.now() - start < 300);
};

export const create = mutation(async (ctx) => await ctx.db.insert("counters", { value: 0 }));
export const increment = mutation({
  args: { id: v.id("counters") },
  handler: async (ctx, { id }) => {
    const counter = await ctx.db.get(id);
    await ctx.db.patch(id, { value: counter!.value + 1 });
  },
});
export const incrementSlowly = mutation({
  args: { id: v.id("counters") },
  handler: async (ctx, { id }) => {
    const counter = await ctx.db.get(id);
    linger();
    await ctx.db.patch(id, { value: counter!.value + 1 });
  },
});
export const read = query({
  args: { id: v.id("counters") },
  handler: async (ctx, { id }) => (await ctx.db.get(id))!.value,
});

export const add = mutation({
  args: { list: v.string(), n: v.number() },
  handler: async (ctx, entry) => { await ctx.db.insert("entries", entry); },
});
export const addSlowly = mutation({
  args: { list: v.string(), n: v.number() },
  handler: async (ctx, entry) => {
    await ctx.db.insert("entries", entry);
    linger();
  },
});
export const addAfterReading = mutation({
  args: { list: v.string(), n: v.number(), order: v.union(v.literal("asc"), v.literal("desc")) },
  handler: async (ctx, { order, ...entry }) => {
    await ctx.db.query("entries")
      .withIndex("by_list", (q) => q.eq("list", entry.list)).order(order).take(1);
    linger();
    await ctx.db.insert("entries", entry);
  },
});
export const patchWithTheSame = mutation({
  args: { id: v.id("counters"), value: v.number() },
  handler: async (ctx, { id, value }) => { await ctx.db.patch(id, { value }); },
});
`;
const schema = `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  counters: defineTable({ value: v.number() }),
  entries: defineTable({ list: v.string(), n: v.number() }).index("by_list", ["list", "n"]),
});
`;
const files = { "convex/conflicts.ts": conflicts, "convex/schema.ts": schema };

const patient = appServer({ files });
const impatient = appServer({ files, environment: { HULL_MUTATION_RETRIES_MAX: "0" } });

/** Does something over and over for as long as a call lasts. Resolves with the call's outcome, as text. */
async function meanwhile(call: Promise<unknown>, repeated: () => Promise<unknown>) {
  let outcome: string | undefined;
  const ended = call.then(() => outcome = "success", (error: Error) => outcome = error.message);
  let times = 0;
  for (; outcome === undefined; times++) await repeated();
  await ended;
  assert.ok(times > 1, "the call was over before anything else was done");
  return outcome;
}

patient.test("semantics 69: whoever conflicts each time is told the table and the document", async ({ clients }) => {
  const http = clients.http();
  const id = await http.mutation(api.conflicts.create, {});
  const increment = () => clients.http().mutation(api.conflicts.increment, { id });
  const slow = clients.http().mutation(api.conflicts.incrementSlowly, { id });
  assert.equal(
    JSON.parse(await meanwhile(slow, increment)).message,
    'Documents read from or written to the "counters" table changed while this mutation was being ' +
      'run and on every subsequent retry. A call to "conflicts.js:increment" changed the document ' +
      `with ID "${id}". See https://docs.convex.dev/error#1`,
  );
});

patient.test("sync-protocol §11: over a socket it is sent again, until it gets through", async ({ clients }) => {
  const http = clients.http();
  const id = await http.mutation(api.conflicts.create, {});
  let increments = 0;
  const increment = async () => {
    await http.mutation(api.conflicts.increment, { id });
    increments++;
  };
  const live = clients.live();
  const unmodified = live.mutation(api.conflicts.incrementSlowly, { id });
  const socket = await clients.socket();
  socket.connect();
  socket.mutation(0, "conflicts:incrementSlowly", { id });
  await meanwhile(socket.closed, increment);
  const { code, reason } = await socket.closed;
  assert.equal(code, 1013);
  assert.match(reason, /^OptimisticConcurrencyControlFailure/);
  await unmodified;
  assert.equal(await http.query(api.conflicts.read, { id }), increments + 1);
});

const conflictText = /^\{"code":"OptimisticConcurrencyControlFailure"/;
let lists = 0;

impatient.test("semantics 70, 72: inserts into one table do not conflict", async ({ clients }) => {
  const http = clients.http();
  const list = `list ${lists++}`;
  const slow = clients.http().mutation(api.conflicts.addSlowly, { list, n: -1 });
  const outcome = await meanwhile(slow, () => http.mutation(api.conflicts.add, { list, n: 1 }));
  assert.equal(outcome, "success");
});

impatient.test("semantics 71: take(1) conflicts with what comes before the one it found, not behind", async ({ clients }) => {
  const http = clients.http();
  const outcomeOf = async (order: "asc" | "desc") => {
    const list = `list ${lists++}`;
    await add(http, list, 0);
    const slow = clients.http().mutation(api.conflicts.addAfterReading, { list, n: 0.5, order });
    let n = 1;
    return await meanwhile(slow, () => add(http, list, n++));
  };
  assert.equal(await outcomeOf("asc"), "success");
  assert.match(await outcomeOf("desc"), conflictText);
});

async function add(http: ConvexHttpClient, list: string, n: number): Promise<void> {
  await http.mutation(api.conflicts.add, { list, n });
}

impatient.test("semantics 11.1: a patch that changes nothing conflicts with nothing", async ({ clients }) => {
  const http = clients.http();
  const id = await http.mutation(api.conflicts.create, {});
  const slow = clients.http().mutation(api.conflicts.incrementSlowly, { id });
  const same = () => http.mutation(api.conflicts.patchWithTheSame, { id, value: 0 });
  assert.equal(await meanwhile(slow, same), "success");
});
