/** Mutations that call mutations: what throws and is caught is undone alone, in every respect. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { eventually } from "../support/waiting.ts";

const nested = `
import { ConvexError, v } from "convex/values";
import { internal } from "./_generated/api";
import { internalMutation, internalQuery, mutation, query } from "./_generated/server";

const texts = async (ctx: any, table: string) =>
  (await ctx.db.query(table).collect()).map((document: any) => document.text);
const caught = async (call: Promise<unknown>) =>
  await call.then(() => null, (error: any) => [error instanceof ConvexError, error.message, error.data ?? null]);

export const everything = internalMutation(async (ctx, { table, text, throws }: any): Promise<any> => {
  const existing = await ctx.db.query(table).first();
  if (existing !== null) await ctx.db.patch(existing._id, { text: text + " over " + existing.text });
  await ctx.db.insert(table, { text });
  await ctx.db.insert(table + text, { text });
  await ctx.scheduler.runAfter(0, internal.nested.note, { text });
  if (throws) throw new ConvexError({ text });
  return text;
});
export const note = internalMutation(async (ctx, { text }: any) => { await ctx.db.insert("notes", { text }); });

export const undoesAll = mutation(async (ctx): Promise<any> => {
  await ctx.db.insert("all", { text: "before" });
  const result = await caught(ctx.runMutation(internal.nested.everything, { table: "all", text: "gone", throws: true }));
  const between = await texts(ctx, "all");
  await ctx.runMutation(internal.nested.everything, { table: "all", text: "kept", throws: false });
  return [result, between, await texts(ctx, "all")];
});
export const after = query(async (ctx) => ({
  all: await texts(ctx, "all"),
  gone: await texts(ctx, "allgone"),
  kept: await texts(ctx, "allkept"),
  notes: await texts(ctx, "notes"),
  jobs: (await ctx.db.system.query("_scheduled_functions").collect()).map(({ args, state }) => [args[0].text, state.kind]),
}));

/** Levels 1 to 5 write and call the next; those in \`throwing\` throw, those in \`catching\` catch. */
export const level = internalMutation(async (ctx, { n, throwing, catching }: any): Promise<void> => {
  await ctx.db.insert("levels", { text: "enter " + n });
  if (n < 5) {
    const call = ctx.runMutation(internal.nested.level, { n: n + 1, throwing, catching });
    if (catching.includes(n)) await caught(call);
    else await call;
  }
  await ctx.db.insert("levels", { text: "leave " + n });
  if (throwing.includes(n)) throw new Error("level " + n);
});
export const levels = mutation(async (ctx, args: any): Promise<any> => {
  for (const { _id } of await ctx.db.query("levels").collect()) await ctx.db.delete(_id);
  const error = await caught(ctx.runMutation(internal.nested.level, { n: 1, ...args }));
  return [error !== null, await texts(ctx, "levels")];
});

export const leavesWork = internalMutation(async (ctx) => {
  void ctx.db.insert("left", { text: "not awaited" });
  void ctx.runMutation(internal.nested.note, { text: "not awaited" });
  throw new Error("at once");
});
export const discardsWhatWasQueued = mutation(async (ctx): Promise<any> => {
  const [, message] = (await caught(ctx.runMutation(internal.nested.leavesWork, {})))!;
  await ctx.db.insert("left", { text: "own" });
  return [message, await texts(ctx, "left"), await texts(ctx, "notes")];
});

export const together = mutation(async (ctx): Promise<any> => {
  const call = (text: string, throws: boolean) =>
    ctx.runMutation(internal.nested.everything, { table: "together", text, throws });
  const results = await Promise.allSettled([call("a", false), call("b", true), call("c", false)]);
  return [results.map(({ status }) => status), await texts(ctx, "together")];
});

export const readMuch = internalMutation(async (ctx) => {
  await ctx.db.query("many").collect();
  throw new Error("read enough");
});
export const fill = mutation(async (ctx) => { for (let n = 0; n < 600; n++) await ctx.db.insert("many", { n }); });
export const counts = mutation(async (ctx): Promise<any> => {
  await caught(ctx.runMutation(internal.nested.readMuch, {}));
  return await caught(ctx.runMutation(internal.nested.readMuch, {}));
});

export const wrong = internalMutation({ args: {}, returns: v.number(), handler: async (ctx): Promise<any> => {
  await ctx.db.insert("wrong", { text: "undone, too" });
  return "no number";
} });
export const refuses = mutation(async (ctx): Promise<any> => {
  const [, message] = (await caught(ctx.runMutation(internal.nested.wrong, {})))!;
  return [message.split("\\n")[0], await texts(ctx, "wrong")];
});

export const same = mutation(async (ctx): Promise<any> => {
  const own = [Date.now(), (await ctx.auth.getUserIdentity())?.subject ?? null];
  return [own, await ctx.runQuery(internal.nested.frame, {}), await ctx.runMutation(internal.nested.frameOfMutation, {})];
});
const frameOf = async (ctx: any) => [Date.now(), (await ctx.auth.getUserIdentity())?.subject ?? null];
export const frame = internalQuery(async (ctx) => await frameOf(ctx));
export const frameOfMutation = internalMutation(async (ctx) => await frameOf(ctx));
`;

const { test } = appServer({
  files: { "convex/nested.ts": nested },
  environment: { HULL_DOCUMENTS_READ_MAX: "1000" },
});

test("function-abi 72, §11: a call that throws leaves no document, table or job; one that returns leaves all", async ({ clients }) => {
  const http = clients.http();
  const [error, between, end] = await http.mutation(api.nested.undoesAll, {});
  const [isConvexError, message, data] = error;
  assert.deepEqual([isConvexError, data], [true, { text: "gone" }]);
  assert.match(message, /ConvexError: \{"text":"gone"\}/);
  assert.deepEqual(between, ["before"]);
  assert.deepEqual(end, ["kept over before", "kept"]);
  const seen = await whenJobsRan(http);
  assert.deepEqual(seen, {
    all: ["kept over before", "kept"],
    gone: [],
    kept: ["kept"],
    notes: ["kept"],
    jobs: [["kept", "success"]],
  });
});

async function whenJobsRan(http: ConvexHttpClient) {
  return await eventually(async () => {
    const seen = await http.query(api.nested.after, {});
    return seen.jobs.every(([, state]: [string, string]) => state === "success") ? seen : undefined;
  }, "the job");
}

test("function-abi §11: calls within calls are undone up to the one that catches", async ({ clients }) => {
  const http = clients.http();
  const levels = async (throwing: number[], catching: number[]) =>
    await http.mutation(api.nested.levels, { throwing, catching });
  const entered = (last: number) => Array.from({ length: last }, (_, n) => `enter ${n + 1}`);
  const left = (first: number) => Array.from({ length: first }, (_, n) => `leave ${first - n}`);
  assert.deepEqual(await levels([], []), [false, [...entered(5), ...left(5)]]);
  assert.deepEqual(await levels([5], [4]), [false, [...entered(4), ...left(4)]]);
  assert.deepEqual(await levels([5], [2]), [false, [...entered(2), ...left(2)]]);
  // What an inner level kept goes with the outer one that throws.
  assert.deepEqual(await levels([5, 3], [4, 2]), [false, [...entered(2), ...left(2)]]);
  assert.deepEqual(await levels([1], []), [true, []]);
});

test("function-abi 1.4: what a call has not awaited when it throws never happens", async ({ clients }) => {
  const http = clients.http();
  const [message, left, notes] = await http.mutation(api.nested.discardsWhatWasQueued, {});
  assert.match(message, /at once/);
  assert.deepEqual(left, ["own"]);
  assert.ok(!notes.includes("not awaited"));
});

test("function-abi 1.4: calls made at once run one after the other, and fail alone", async ({ clients }) => {
  const [statuses, texts] = await clients.http().mutation(api.nested.together, {});
  assert.deepEqual(statuses, ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual(texts, ["c over a", "c"]);
});

test("function-abi §11: what an undone call read still counts", async ({ clients }) => {
  const http = clients.http();
  await http.mutation(api.nested.fill, {});
  const [, message] = await http.mutation(api.nested.counts, {});
  assert.match(message, /Too many documents read in a single function execution \(limit: 1000\)/);
});

test("function-abi §11: a wrong return value can be caught, and the call is undone", async ({ clients }) => {
  const [message, texts] = await clients.http().mutation(api.nested.refuses, {});
  assert.equal(message, "ReturnsValidationError: Value does not match validator.");
  assert.deepEqual(texts, []);
});

test("function-abi §11: a call sees the time and the identity of its caller", async ({ clients }) => {
  const [own, inQuery, inMutation] = await clients.http().mutation(api.nested.same, {});
  assert.deepEqual([inQuery, inMutation], [own, own]);
});
