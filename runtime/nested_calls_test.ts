import assert from "node:assert/strict";
import { bundleSources, IsolateHarness } from "../tests/support/isolate_harness.ts";

const bundle = await bundleSources({
  "outer.ts": `
import { queryGeneric as query, mutationGeneric as mutation, makeFunctionReference, createFunctionHandle } from "convex/server";
import { ConvexError } from "convex/values";
const fn = (name: string) => makeFunctionReference<any>(name) as any;

export const callsQuery = query(async (ctx) => {
  const text = await ctx.runQuery(fn("inner:echo"), { a: 1n, b: [null] });
  return [text.a + 1n, text.b, await ctx.runQuery("inner:default" as any, {})];
});
export const order = mutation(async (ctx) => {
  const first = ctx.runMutation(fn("inner:insert"), { text: "one" });
  const between = ctx.db.insert("docs", { text: "two" });
  const second = ctx.runMutation(fn("inner:insert"), { text: "three" });
  const seen = ctx.db.query("docs").collect();
  await Promise.all([first, between, second]);
  return (await seen).map((doc) => doc.text);
});
export const rollsBack = mutation(async (ctx) => {
  await ctx.db.insert("docs", { text: "kept" });
  let caught: any;
  try {
    await ctx.runMutation(fn("inner:insertAndThrow"), {});
  } catch (error) {
    caught = error;
  }
  await ctx.db.insert("docs", { text: "after" });
  return [caught.message, caught.data, caught instanceof ConvexError, (await ctx.db.query("docs").collect()).map((doc) => doc.text)];
});
export const staleRead = mutation(async (ctx) => {
  await ctx.db.insert("docs", { text: "own" });
  return [
    (await ctx.runQuery(fn("inner:texts"), {})).length,
    (await (ctx.runQuery as any)(fn("inner:texts"), {}, { useStaleSnapshot: true })).length,
  ];
});
export const globals = mutation(async (ctx) => {
  (globalThis as any).mine = 1;
  (Array.prototype as any).mine = 1;
  const inside = await ctx.runQuery(fn("inner:globals"), {});
  return [inside, (globalThis as any).mine, ([] as any).mine, (globalThis as any).theirs ?? null];
});
export const random = query(async (ctx) => {
  const values = [Math.random(), await ctx.runQuery(fn("inner:random"), {}), await ctx.runQuery(fn("inner:random"), {})];
  return [new Set(values.flat()).size, values];
});
export const depth = query(async (ctx, { left }: any): Promise<any> =>
  left === 0 ? "bottom" : await ctx.runQuery(fn("outer:depth"), { left: left - 1 }));
export const mutationInQuery = query(async (ctx) => await (globalThis as any).Convex.asyncSyscall("1.0/runUdf", JSON.stringify({ udfType: "mutation", name: "inner:insert", args: {} })));
export const limited = mutation(async (ctx) => {
  for (let i = 0; i < 3; i++) await ctx.db.insert("docs", { text: i });
  try {
    await (ctx.runQuery as any)(fn("inner:texts"), {}, { transactionLimits: { documentsRead: 2 } });
  } catch (error: any) {
    return error.message;
  }
});
export const badArgs = mutation(async (ctx) => {
  try {
    await ctx.runQuery(fn("inner:strict"), { name: 5 } as any);
  } catch (error: any) {
    return error.message.split("\\n")[0];
  }
});
export const missing = mutation(async (ctx) => {
  const messages: string[] = [];
  for (const name of ["gone:fn", "inner:gone", "inner:insert"]) {
    try { await ctx.runQuery(fn(name), {}); } catch (error: any) { messages.push(error.message); }
  }
  return messages;
});
export const logs = mutation(async (ctx) => {
  console.log("before");
  await ctx.runQuery(fn("inner:log"), {});
  console.log("after");
});
export const handle = mutation(async (ctx) => {
  const handle = await createFunctionHandle(fn("inner:echo"));
  return [handle === await createFunctionHandle(fn("inner:echo")), await ctx.runQuery(handle as any, { a: 1 })];
});
export const unawaited = mutation(async (ctx) => { ctx.runMutation(fn("inner:insert"), { text: "late" }); });
export const unawaitedFailing = mutation(async (ctx) => { ctx.runMutation(fn("inner:insertAndThrow"), {}); });
export const schedules = mutation(async (ctx) => {
  const id = await ctx.scheduler.runAfter(1500, fn("inner:insert"), { text: "job" });
  const job = await ctx.db.system.get(id);
  await ctx.scheduler.cancel(id);
  return [job, (await ctx.db.system.get(id))!.state];
});
export const schedulesMissing = mutation(async (ctx, { name }: any) => { await ctx.scheduler.runAfter(0, fn(name), {}); });
export const schedulesMany = mutation(async (ctx) => { for (let i = 0; i < 1001; i++) await ctx.scheduler.runAfter(0, fn("inner:insert"), {}); });
export const texts = query(async (ctx) => (await ctx.db.query("docs").collect()).map((doc) => doc.text));
`,
  "inner.ts": `
import { queryGeneric as query, mutationGeneric as mutation, internalQueryGeneric as internalQuery } from "convex/server";
import { ConvexError, v } from "convex/values";
let state = 0;
export const echo = internalQuery((_ctx, args: any) => { args.a2 = 1; delete args.a2; return args; });
export default query(() => state++);
export const insert = mutation(async (ctx, { text }: any) => { await ctx.db.insert("docs", { text }); });
export const insertAndThrow = mutation(async (ctx) => {
  await ctx.db.insert("docs", { text: "dropped" });
  throw new ConvexError({ code: 7 });
});
export const texts = query(async (ctx) => (await ctx.db.query("docs").collect()).map((doc) => doc.text));
export const globals = query(() => {
  const seen = [(globalThis as any).mine ?? null, ([] as any).mine ?? null];
  (globalThis as any).theirs = 1;
  return seen;
});
export const random = query(() => [Math.random(), Math.random()]);
export const strict = query({ args: { name: v.string() }, handler: () => null });
export const log = query(() => { console.warn("inside"); });
`,
});

Deno.test("functions that call functions in their transaction", async (t) => {
  await using isolate = await IsolateHarness.start(bundle);
  const valueOf = async (name: string, args = {}) => {
    const { value, error } = await isolate.mutation(`outer:${name}`, args);
    assert.equal(error, undefined);
    return value;
  };
  const query = async (name: string, args = {}) => (await isolate.query(`outer:${name}`, args));

  await t.step("values are copied, modules are fresh", async () => {
    const { value, error } = await query("callsQuery");
    assert.equal(error, undefined);
    assert.deepEqual(value, [{ $integer: "AgAAAAAAAAA=" }, [null], 0]);
  });

  await t.step(
    "function-abi 9, 1.4: operations happen in the order they were asked for",
    async () => {
      assert.deepEqual(await valueOf("order"), ["one", "two", "three"]);
    },
  );

  await t.step(
    "function-abi 72: a failing nested mutation takes back its writes alone",
    async () => {
      const [message, data, isConvexError, texts] = await valueOf("rollsBack");
      assert.match(
        message,
        /^Uncaught ConvexError: \{"code":7\}\n {4}at \.\.\/convex\/inner\.ts:10:9\n$/,
      );
      assert.deepEqual([data, isConvexError], [{ code: 7 }, true]);
      assert.deepEqual(texts.slice(-2), ["kept", "after"]);
    },
  );

  await t.step(
    "function-abi 73: a nested query sees pending writes, a stale one does not",
    async () => {
      const { length } = (await query("texts")).value;
      assert.deepEqual(await valueOf("staleRead"), [length + 1, length]);
    },
  );

  await t.step("a nested function has a realm of its own", async () => {
    assert.deepEqual(await valueOf("globals"), [[null, null], 1, 1, null]);
  });

  await t.step("function-abi 74: nested calls draw random sequences of their own", async () => {
    const { value: [distinct] } = await query("random");
    assert.equal(distinct, 5);
    const seed = "34".repeat(32);
    const first = await isolate.query("outer:random", {}, { seed });
    assert.deepEqual((await isolate.query("outer:random", {}, { seed })).value, first.value);
  });

  await t.step("function-abi 75: calls are at most eight levels deep", async () => {
    assert.equal((await query("depth", { left: 8 })).value, "bottom");
    assert.match((await query("depth", { left: 9 })).error!, /call depth limit exceeded/);
  });

  await t.step("function-abi 76: a query cannot call a mutation", async () => {
    assert.match(
      (await query("mutationInQuery")).error!,
      /^Uncaught Error: Cannot call a mutation function from a query function/,
    );
  });

  await t.step("function-abi 77: limits of a nested call can be lowered", async () => {
    assert.match(
      await valueOf("limited"),
      /Too many documents read in a single function execution/,
    );
  });

  await t.step("arguments are validated, missing functions named", async () => {
    assert.equal(
      await valueOf("badArgs"),
      "ArgumentValidationError: Value does not match validator.",
    );
    assert.deepEqual(await valueOf("missing"), [
      "Couldn't find JavaScript module 'gone.js'. Did you forget to run `npx convex dev`?\n",
      'Couldn\'t find "gone" in module "inner.js".\n',
      "Trying to execute inner.js:insert as Query, but it is defined as Mutation.\n",
    ]);
  });

  await t.step("log lines of nested functions carry their name", async () => {
    const { logLines } = await isolate.mutation("outer:logs");
    assert.deepEqual(
      logLines.map(({ messages, udfPath }) => [messages[0], udfPath]),
      [["'before'", undefined], ["'inside'", "inner.js:log"], ["'after'", undefined]],
    );
  });

  await t.step("function-abi 78: handles name functions", async () => {
    assert.deepEqual(await valueOf("handle"), [true, { a: 1 }]);
  });

  await t.step("nested calls that are not awaited still happen", async () => {
    await valueOf("unawaited");
    assert.equal((await query("texts")).value.at(-1), "late");
    assert.match(
      (await isolate.mutation("outer:unawaitedFailing")).error!,
      /^Uncaught ConvexError: Uncaught/,
    );
  });

  await t.step("function-abi 61-66: jobs are documents of the transaction", async () => {
    const [job, state] = await valueOf("schedules");
    const { _id, _creationTime, ...fields } = job;
    assert.deepEqual(fields, {
      name: "inner.js:insert",
      args: [{ text: "job" }],
      scheduledTime: 1_700_000_001_500,
      state: { kind: "pending" },
    });
    assert.deepEqual(state, { kind: "canceled" });
    const failing = async (name: string, args = {}) =>
      (await isolate.mutation(`outer:${name}`, args)).error!;
    assert.match(
      await failing("schedulesMissing", { name: "gone:x" }),
      /^Uncaught Error: Attempted to schedule function at nonexistent path: gone\.js/,
    );
    assert.match(
      await failing("schedulesMissing", { name: "inner:gone" }),
      /no exported function gone found in the file: inner\.js\. Did you forget to export it\?/,
    );
    assert.match(
      await failing("schedulesMany"),
      /Too many functions scheduled by this mutation \(limit: 1000\)/,
    );
  });
});
