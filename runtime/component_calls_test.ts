import assert from "node:assert/strict";
import { bundleSources, IsolateHarness } from "../tests/support/isolate_harness.ts";

/** The app, the component `box`, which it uses twice, and `inner`, which `box` uses. */
const app = await bundleSources({
  "main.ts": `
import { queryGeneric as query, mutationGeneric as mutation, componentsGeneric, createFunctionHandle, internalMutationGeneric as internalMutation } from "convex/server";
import { ConvexError } from "convex/values";
const components: any = componentsGeneric();
const message = async (run: () => Promise<unknown>) => {
  try { return await run(); } catch (error: any) { return error.message; }
};

export const put = mutation(async (ctx, { text, box }: any) => await ctx.runMutation(components[box].items.put, { text }));
export const texts = query(async (ctx, { box }: any) => await ctx.runQuery(components[box].items.texts, {}));
export const ownTexts = query(async (ctx) => (await ctx.db.query("items").collect()).map((item) => item.text));
export const catches = mutation(async (ctx) => {
  await ctx.db.insert("items", { text: "app's" });
  const caught = await message(() => ctx.runMutation(components.one.items.putAndThrow, { text: "dropped" }));
  await ctx.runMutation(components.one.items.put, { text: "kept" });
  return [caught.split("\\n")[0], await ctx.runQuery(components.one.items.texts, {})];
});
export const catchesConvexError = mutation(async (ctx) => {
  try {
    await ctx.runMutation(components.one.items.putAndThrow, { text: "dropped" });
  } catch (error: any) {
    return [error instanceof ConvexError, error.data];
  }
});
export const argument = query(async (ctx) => [
  await message(async () => (globalThis as any).Convex.syscall("1.0/componentArgument", '{"name":"size"}')),
  await ctx.runQuery(components.one.items.argument, { name: "size" }),
  await ctx.runQuery(components.one.items.argument, { name: "other" }),
]);
export const foreignId = mutation(async (ctx) => {
  const id = await ctx.db.insert("items", { text: "app's" });
  return [
    await ctx.runQuery(components.one.items.get, { id }),
    await message(() => ctx.runQuery(components.one.items.getChecked, { id })),
  ];
});
export const refusals = mutation(async (ctx) => [
  await message(() => ctx.runMutation(components.one.items.secret, {})),
  await message(() => ctx.runQuery(components.one.items.secret, {})),
  await message(() => ctx.runMutation(components.one.items.gone, {})),
  await message(() => ctx.runMutation(components.one.nowhere.gone, {})),
  await message(() => ctx.runMutation(components.none.items.put, {})),
  await message(() => ctx.runMutation(components.inner.items.put, {})),
]);
export const secretByHandle = mutation(async (ctx) => {
  const handle = await ctx.runQuery(components.one.items.secretHandle, {});
  return [
    await ctx.runMutation(handle, {}),
    handle === await ctx.runQuery(components.one.items.secretHandle, {}),
    await createFunctionHandle(handle.split("#")[0] + "#other"),
  ];
});
export const callBack = mutation(async (ctx, { n }: any) => {
  await ctx.db.insert("items", { text: "called back " + n });
});
export const callsBack = mutation(async (ctx) => {
  const handle = await createFunctionHandle("main:callBack" as any);
  await ctx.runMutation(components.one.items.call, { handle });
  return (await ctx.db.query("items").collect()).map((item) => item.text);
});
export const badHandles = mutation(async (ctx) => [
  await message(() => createFunctionHandle("main:gone" as any)),
  await message(() => ctx.runMutation("function://AAAA#main:callBack" as any, {})),
]);
export const metadata = query(async (ctx) => await ctx.runQuery(components.one.items.metadata, {}));
export const environment = query(async (ctx) => [process.env.SECRET ?? null, ...await ctx.runQuery(components.one.items.environment, {})]);
export const freshModules = mutation(async (ctx) => [
  await ctx.runQuery(components.one.items.counted, {}),
  await ctx.runQuery(components.one.items.counted, {}),
  await ctx.runQuery(components.two.items.counted, {}),
  typeof Math.max,
]);
export const logs = query(async (ctx) => { await ctx.runQuery(components.one.items.log, {}); });
export const jobs = mutation(async (ctx) => {
  const id = await ctx.runMutation(components.one.items.schedule, {});
  return [(await ctx.db.system.query("_scheduled_functions").collect()).length, await message(() => ctx.db.system.get(id)), await ctx.runQuery(components.one.items.jobState, { id })];
});
export const stale = mutation(async (ctx) => {
  await ctx.runMutation(components.one.items.put, { text: "new" });
  return [
    (await ctx.runQuery(components.one.items.texts, {})).length,
    (await (ctx.runQuery as any)(components.one.items.texts, {}, { useStaleSnapshot: true })).length,
  ];
});
export const limited = mutation(async (ctx) => {
  for (let i = 0; i < 3; i++) await ctx.runMutation(components.two.items.put, { text: String(i) });
  const caught = await message(() => (ctx.runQuery as any)(components.two.items.texts, {}, { transactionLimits: { documentsRead: 2 } }));
  return [caught.split("\\n")[0], (await ctx.runQuery(components.two.items.texts, {})).length];
});
export const deep = mutation(async (ctx) => {
  const handle = await createFunctionHandle("main:deeper" as any);
  return await ctx.runMutation(components.one.items.call, { handle, args: { left: 9 } });
});
export const deeper = internalMutation(async (ctx, { left }: any): Promise<any> => {
  if (left === 0) return "bottom";
  const handle = await createFunctionHandle("main:deeper" as any);
  return await message(() => ctx.runMutation(components.one.items.call, { handle, args: { left: left - 1 } }));
});
`,
});
const box = await bundleSources({
  "items.ts": `
import { queryGeneric as query, mutationGeneric as mutation, internalMutationGeneric as internalMutation, componentsGeneric, createFunctionHandle } from "convex/server";
import { ConvexError, v } from "convex/values";
let count = 0;
export const put = mutation(async (ctx, { text }: any) => { await ctx.db.insert("items", { text }); });
export const putAndThrow = mutation(async (ctx, { text }: any) => {
  await ctx.db.insert("items", { text });
  await ctx.scheduler.runAfter(0, "items:put" as any, { text });
  throw new ConvexError({ code: 7 });
});
export const texts = query(async (ctx) => (await ctx.db.query("items").collect()).map((item) => item.text));
export const argument = query((_, args) => JSON.parse((globalThis as any).Convex.syscall("1.0/componentArgument", JSON.stringify(args))));
export const get = query(async (ctx, { id }: any) => await ctx.db.get(id));
export const getChecked = query({ args: { id: v.id("items") }, handler: async (ctx, { id }) => await ctx.db.get(id) });
export const secret = internalMutation(async () => "told");
export const secretHandle = query(async () => await createFunctionHandle("items:secret" as any));
export const call = mutation(async (ctx, { handle, args = { n: 1 } }: any) => await ctx.runMutation(handle, args));
export const metadata = query(async (ctx) => [
  JSON.parse(await (globalThis as any).Convex.asyncSyscall("1.0/getFunctionMetadata", "{}")),
  await ctx.runQuery((componentsGeneric() as any).inner.about.metadata, {}),
]);
export const environment = query(() => [process.env.SECRET ?? null, process.env.GIVEN ?? null]);
export const counted = query(() => {
  (Math as any).max = undefined;
  return ++count;
});
export const log = query(() => { console.log("from within"); });
export const schedule = mutation(async (ctx) => await ctx.scheduler.runAfter(0, "items:put" as any, { text: "later" }));
export const jobState = query(async (ctx, { id }: any) => (await ctx.db.system.get(id))!.state.kind);
`,
});
const inner = await bundleSources({
  "about.ts": `
import { queryGeneric as query } from "convex/server";
export const metadata = query(async (ctx) => (await ctx.meta.getFunctionMetadata()));
`,
});

const components = {
  one: { definition: "box", bundle: box, environment: { GIVEN: "one's" }, args: { size: "7" } },
  "one/inner": { definition: "inner", bundle: inner },
  two: { definition: "box", bundle: box },
};

Deno.test("functions of components", async (t) => {
  await using isolate = await IsolateHarness.start(app, {
    components,
    environmentVariables: { SECRET: "the app's" },
  });
  const valueOf = async (name: string, args = {}) => {
    const { value, error } = await isolate.mutation(`main:${name}`, args);
    assert.equal(error, undefined);
    return value;
  };
  const query = async (name: string, args = {}) => {
    const { value, error, logLines } = await isolate.query(`main:${name}`, args);
    assert.equal(error, undefined);
    return { value, logLines };
  };

  await t.step("components 2: two uses of one definition have data of their own", async () => {
    await valueOf("put", { box: "one", text: "a" });
    await valueOf("put", { box: "two", text: "b" });
    assert.deepEqual((await query("texts", { box: "one" })).value, ["a"]);
    assert.deepEqual((await query("texts", { box: "two" })).value, ["b"]);
    assert.deepEqual((await query("ownTexts")).value, []);
  });

  await t.step(
    "components 14: what fails in a component is undone, and the caller goes on",
    async () => {
      assert.deepEqual(await valueOf("catches"), [
        'Uncaught ConvexError: {"code":7}',
        ["a", "kept"],
      ]);
      assert.deepEqual((await query("ownTexts")).value, ["app's"]);
    },
  );

  await t.step(
    "components §7.1: a component's ConvexError is one of the app's own class",
    async () => {
      assert.deepEqual(await valueOf("catchesConvexError"), [true, { code: 7 }]);
    },
  );

  await t.step(
    "function-abi 12: arguments that older libraries give are read by name",
    async () => {
      assert.deepEqual((await query("argument")).value, [
        "Component arguments are not available within the app",
        { value: 7 },
        {},
      ]);
    },
  );

  await t.step("components 15: an id of another component is never its document", async () => {
    const [document, problem] = await valueOf("foreignId");
    assert.equal(document, null);
    assert.match(problem, /ArgumentValidationError/);
  });

  await t.step(
    "components 17: references lead to public functions of direct children",
    async () => {
      assert.deepEqual((await valueOf("refusals")).map((text: string) => text.trim()), [
        "Child component one does not export [items, secret]",
        "Child component one does not export [items, secret]",
        "Child component one does not export [items, gone]",
        "Child component one does not export [nowhere, gone]",
        "Child component none not found",
        "Child component inner not found",
      ]);
      const [told, isSame, handleOfHandle] = await valueOf("secretByHandle");
      assert.deepEqual([told, isSame], ["told", true]);
      assert.match(handleOfHandle, /#other$/);
    },
  );

  await t.step("components §8: handles lead anywhere", async () => {
    assert.deepEqual((await valueOf("callsBack")).at(-1), "called back 1");
    assert.deepEqual(await valueOf("badHandles"), Array(2).fill("Function handle not found"));
  });

  await t.step("components 24: a function knows its component", async () => {
    const [own, below] = (await query("metadata")).value;
    assert.deepEqual(own, { name: "items:metadata", componentPath: "one" });
    assert.equal(below.componentPath, "one/inner");
  });

  await t.step("components §9.5: a component sees the variables that it was given", async () => {
    assert.deepEqual((await query("environment")).value, ["the app's", null, "one's"]);
  });

  await t.step("components 22: modules and globals are new in each call", async () => {
    assert.deepEqual(await valueOf("freshModules"), [1, 1, 1, "function"]);
  });

  await t.step("components 25: a component's jobs are its own", async () => {
    const [appsJobs, problem, state] = await valueOf("jobs");
    assert.equal(appsJobs, 0);
    assert.equal(problem, null);
    assert.equal(state, "pending");
  });

  await t.step("components 20, 21: stale reads and lowered limits", async () => {
    const [now, before] = await valueOf("stale");
    assert.equal(now, before + 1);
    const [problem, count] = await valueOf("limited");
    assert.match(problem, /Too many documents read/);
    assert.equal(count, 4);
  });

  await t.step("components 19: calls nest eight deep, and no deeper", async () => {
    assert.match(JSON.stringify(await valueOf("deep")), /call depth limit exceeded/);
  });

  await t.step("components §14: lines say which component they come from", async () => {
    const [line] = (await query("logs")).logLines;
    assert.deepEqual([line?.componentPath, line?.udfPath], ["one", "items.js:log"]);
  });
});
