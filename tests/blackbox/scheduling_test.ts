/** Scheduled functions on a real server. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { type Clients, watch } from "../support/clients.ts";

const jobs = `
import { createFunctionHandle } from "convex/server";
import { v } from "convex/values";
import { internal } from "./_generated/api";
import { action, internalAction, internalMutation, internalQuery, mutation, query } from "./_generated/server";

const state = async (ctx: any, id: any) => (await ctx.db.system.get(id))?.state ?? null;

export const note = internalMutation({
  args: { text: v.string() },
  handler: async (ctx, { text }) => {
    const { scheduledFunctionId: id } = await ctx.meta.getRequestMetadata();
    const own = id === null ? null : (await state(ctx, id)).kind;
    await ctx.db.insert("notes", { text, own, identity: await ctx.auth.getUserIdentity() });
  },
});

export const fails = internalMutation(async (ctx) => {
  await ctx.db.insert("notes", { text: "must not stay" });
  throw new Error("on purpose");
});

export const acts = internalAction({
  args: { text: v.string() },
  handler: async (ctx, { text }) => {
    await ctx.scheduler.runAfter(0, internal.jobs.note, { text: text + " again" });
    await ctx.runMutation(internal.jobs.note, { text });
  },
});

export const schedule = mutation({
  args: { name: v.string(), text: v.optional(v.string()), afterMs: v.number() },
  handler: async (ctx, { name, text, afterMs }) =>
    await ctx.scheduler.runAfter(afterMs, (internal.jobs as any)[name], text === undefined ? {} : { text }),
});

export const scheduleAndThrow = mutation(async (ctx) => {
  await ctx.scheduler.runAfter(0, internal.jobs.note, { text: "rolled back" });
  throw new Error("no");
});

export const scheduleFromAction = action(async (ctx) => {
  const kept = await ctx.scheduler.runAfter(0, internal.jobs.note, { text: "from an action" });
  const canceled = await ctx.scheduler.runAfter(60_000, internal.jobs.note, { text: "never" });
  await ctx.scheduler.cancel(canceled);
  return [kept, canceled];
});

export const scheduleMissing = action(async (ctx) =>
  await ctx.scheduler.runAfter(0, "nowhere:f" as any, {}));

export const cancel = mutation({
  args: { id: v.id("_scheduled_functions") },
  handler: async (ctx, { id }) => await ctx.scheduler.cancel(id),
});

export const job = query({
  args: { id: v.id("_scheduled_functions") },
  handler: async (ctx, { id }) => await ctx.db.system.get(id),
});

export const cancelsItself = internalMutation(async (ctx) => {
  const { scheduledFunctionId: id } = await ctx.meta.getRequestMetadata();
  await ctx.scheduler.cancel(id as any);
});

export const scheduleByHandle = mutation(async (ctx) => {
  const handle = await createFunctionHandle(internal.jobs.note);
  return await ctx.scheduler.runAfter(0, handle as any, { text: "by handle" });
});

export const lookAtCronJobs = query(async (ctx) => await (ctx.db.system as any).query("_cron_jobs").collect());

export const notes = query(async (ctx) => await ctx.db.query("notes").collect());
`;

const { test } = appServer({ files: { "convex/jobs.ts": jobs } });

interface Job {
  readonly name: string;
  readonly args: unknown;
  readonly scheduledTime: number;
  readonly completedTime?: number;
  readonly state: { readonly kind: string; readonly error?: string };
}

/** The job when it has come to this state. */
async function jobIn(clients: Clients, id: string, state: string): Promise<Job> {
  const watched = watch(clients.live(), api.jobs.job, { id });
  return await watched.until((job: Job | null) => job?.state.kind === state, `a job in ${state}`);
}

async function noteTexts(clients: Clients): Promise<string[]> {
  const notes: { text: string }[] = await clients.http().query(api.jobs.notes);
  return notes.map(({ text }) => text);
}

test("semantics 86, 87, 89: a scheduled mutation sees itself in progress, has no identity, and runs once", async ({ clients }) => {
  const http = clients.http();
  const id = await http.mutation(api.jobs.schedule, { name: "note", text: "once", afterMs: 0 });
  const job = await jobIn(clients, id, "success");
  assert.deepEqual([job.name, job.args], ["jobs.js:note", [{ text: "once" }]]);
  assert.ok(job.completedTime! >= job.scheduledTime);
  const notes: { text: string }[] = await http.query(api.jobs.notes);
  const mine = notes.filter(({ text }) => text === "once");
  assert.equal(mine.length, 1);
  assert.partialDeepStrictEqual(mine[0], { own: "inProgress", identity: null });
});

test("semantics 86: a scheduled mutation that throws ends as failed and leaves nothing", async ({ clients }) => {
  const id = await clients.http().mutation(api.jobs.schedule, { name: "fails", afterMs: 0 });
  const { state } = await jobIn(clients, id, "failed");
  assert.match(state.error!, /^Uncaught Error: on purpose\n {4}at .*jobs\.ts/);
  assert.ok(!(await noteTexts(clients)).includes("must not stay"));
});

test("semantics 13.2: a scheduled action runs, and what it calls and schedules runs", async ({ clients }) => {
  const http = clients.http();
  const id = await http.mutation(api.jobs.schedule, { name: "acts", text: "acted", afterMs: 0 });
  await jobIn(clients, id, "success");
  const notes = watch(clients.live(), api.jobs.notes, {});
  const has = (text: string) => (notes: { text: string }[]) =>
    notes.some((note) => note.text === text);
  await notes.until(has("acted again"), "what the action scheduled");
  assert.ok((await noteTexts(clients)).includes("acted"));
});

test("function-abi 8.1: jobs are rolled back with the mutation that scheduled them", async ({ clients }) => {
  const http = clients.http();
  await assert.rejects(http.mutation(api.jobs.scheduleAndThrow));
  const id = await http.mutation(api.jobs.schedule, { name: "note", text: "after", afterMs: 0 });
  await jobIn(clients, id, "success");
  assert.ok(!(await noteTexts(clients)).includes("rolled back"));
});

test("function-abi 8.1, 8.2: actions schedule and cancel at once; the function must exist", async ({ clients }) => {
  const http = clients.http();
  const [kept, canceled] = await http.action(api.jobs.scheduleFromAction);
  await jobIn(clients, kept, "success");
  assert.equal((await http.query(api.jobs.job, { id: canceled })).state.kind, "canceled");
  await assert.rejects(
    http.action(api.jobs.scheduleMissing),
    /Attempted to schedule function at nonexistent path: nowhere\.js/,
  );
});

test("semantics 90: a canceled job does not run, and a live query sees its state change", async ({ clients }) => {
  const http = clients.http();
  const job = { name: "note", text: "canceled", afterMs: 500 };
  const id = await http.mutation(api.jobs.schedule, job);
  const watched = watch(clients.live(), api.jobs.job, { id });
  await watched.until((job: Job) => job.state.kind === "pending", "the pending job");
  await http.mutation(api.jobs.cancel, { id });
  await watched.until((job: Job) => job.state.kind === "canceled", "the canceled job");
  const later = await http.mutation(api.jobs.schedule, { ...job, text: "later" });
  await jobIn(clients, later, "success");
  assert.ok(!(await noteTexts(clients)).includes("canceled"));
});

test("semantics A8: a mutation that cancels itself ends as canceled; others saw it pending until then", async ({ clients }) => {
  const http = clients.http();
  const id = await http.mutation(api.jobs.schedule, { name: "cancelsItself", afterMs: 100 });
  const states: string[] = [];
  const watched = watch(clients.live(), api.jobs.job, { id });
  await watched.until((job: Job) => {
    states.push(job.state.kind);
    return job.state.kind === "canceled";
  }, "the canceled job");
  assert.deepEqual([...new Set(states)], ["pending", "canceled"]);
});

test("semantics A9, function-abi 79: a function handle can be scheduled", async ({ clients }) => {
  const id = await clients.http().mutation(api.jobs.scheduleByHandle);
  assert.equal((await jobIn(clients, id, "success")).name, "jobs.js:note");
  assert.ok((await noteTexts(clients)).includes("by handle"));
});

test("function-abi 5: cron jobs are the server's own; user code finds no such table", async ({ clients }) => {
  assert.deepEqual(await clients.http().query(api.jobs.lookAtCronJobs), []);
});

test("dashboard-api 3: administrators cancel jobs", async ({ clients, server }) => {
  const http = clients.http();
  const job = { name: "note", text: "canceled by an administrator", afterMs: 3_600_000 };
  const one = await http.mutation(api.jobs.schedule, job);
  const other = await http.mutation(api.jobs.schedule, job);
  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${server.url}/api/${path}`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Convex ${server.adminKey}`,
      },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 200, await response.text());
  };
  const stateOf = async (id: string) => (await http.query(api.jobs.job, { id })).state.kind;
  await post("cancel_job", { id: one, componentId: null });
  assert.deepEqual([await stateOf(one), await stateOf(other)], ["canceled", "pending"]);
  await post("cancel_all_jobs", { udfPath: "jobs:note" });
  assert.equal(await stateOf(other), "canceled");
});
