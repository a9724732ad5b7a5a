import assert from "node:assert/strict";
import { bundleSources, IsolateHarness } from "../tests/support/isolate_harness.ts";

const bundle = await bundleSources({
  "functions.ts": `
import { queryGeneric as query, mutationGeneric as mutation, internalQueryGeneric } from "convex/server";
import { ConvexError, v } from "convex/values";
import { shared } from "./shared";

let calls = 0;
const importRandom = Math.random(), importTime = Date.now();
export const count = query(() => [calls++, shared.count++]);
export const globals = query(() => {
  const before = [
    (globalThis as any).left ?? null, ([] as any).left ?? null, typeof [].flatMap, JSON.parse("[1]").length,
    (Object.prototype as any).get ?? null, (globalThis as any)[Symbol.for("left")] ?? null,
  ];
  (globalThis as any).left = 1;
  (globalThis as any)[Symbol.for("left")] = 1;
  (Array.prototype as any).left = 2;
  (Array.prototype as any).flatMap = undefined;
  JSON.parse = () => [];
  Object.defineProperty(Object.prototype, "get", { value: 1, configurable: true });
  return before;
});
export const imported = query(() => [importRandom, importTime]);
export const time = query(() => [Date.now(), new Date().getTime(), new Date(5).getTime()]);
export const random = query(() => [Math.random(), Math.random(), crypto.randomUUID()]);
export const nothing = query(() => {});
export const missing = internalQueryGeneric(() => undefined);
export const returnsQuery = query((ctx) => ctx.db.query("docs") as any);
export const never = query(() => new Promise(() => {}));
export const unhandled = query(() => { Promise.reject(new Error("left alone")); return 1; });
export const throwsText = query(() => { throw "boom"; });
export const throwsConvexError = query({ handler: () => { throw new ConvexError({ code: 1 }); } });
export const throwsDeep = query(async (ctx) => await outer(ctx));
const outer = async (ctx: any) => { await ctx.db.query("docs").collect(); inner(); };
function inner() {
  throw new TypeError("deep");
}
export const stack = query(() => new Error("x").stack!);
export const unsupported = query(() => new Map() as any);
export const helper = 5;
export const named = query(({ db }, { name }: any) => ({ name }));
export const wrong = query(() => 5 as any);
export const insert = mutation(async (ctx, { text }: any) => await ctx.db.insert("docs", { text }));
export const insertLater = mutation(async (ctx) => {
  const helper = async () => {
    await ctx.db.query("docs").collect();
    await ctx.db.insert("docs", { text: "later" });
  };
  helper();
});
export const patchUnawaited = mutation(async (ctx, { id }: any) => { ctx.db.patch(id, { a: 1 }); });
export const list = query(async (ctx) => (await ctx.db.query("docs").collect()).map((doc) => doc.text));
export const addOne = mutation(async (ctx) => {
  const doc = await ctx.db.query("docs").first();
  await ctx.db.patch(doc!._id, { text: (doc!.text as number) + 1 });
});
export const identity = query(async (ctx) => (await ctx.auth.getUserIdentity())?.name ?? null);
export const fetches = mutation(async () => { await fetch("http://localhost"); });
export const timer = query(() => { try { setTimeout(() => {}, 0); } catch { return "caught"; } });
export const meta = mutation(async (ctx: any) => {
  await ctx.db.query("docs").collect();
  const { documentsRead, databaseQueries } = await ctx.meta.getTransactionMetrics();
  return [await ctx.meta.getFunctionMetadata(), documentsRead, databaseQueries, await ctx.meta.getSnapshotTs()];
});
export const digest = query(async () => new Uint8Array(
  await crypto.subtle.digest("SHA-256", new TextEncoder().encode("a"))).length);
export const environment = query(() =>
  [process.env.NAME ?? null, Object.keys(process.env).length, "NAME" in process.env, process.env.OTHER ?? null]);
export const badEnvironment = query(() => process.env["bad-name"]);
export const freezes = query(() => { Object.freeze(Array.prototype); return 1; });
export const getter = query(() => ({ get a() { throw new Error("from a getter"); } }));
export const page = query(async (ctx, { cursor, fails }: any) => {
  if (fails) throw new Error("before the page");
  return await ctx.db.query("docs").paginate({ numItems: 2, cursor });
});
`,
  "shared.ts": `export const shared = { count: 0 };`,
  "other.ts": `import { shared } from "./shared"; export const value = shared;`,
  "throws.ts":
    `import { queryGeneric as query } from "convex/server"; export const a = query(() => 1);\nthrow new Error("at import");`,
  "reads.ts":
    `import { queryGeneric as query } from "convex/server"; (globalThis as any).Convex.asyncSyscall("1.0/get", "{}").catch(() => {}); (globalThis as any).Convex.syscall("1.0/queryStream", "{}"); export const a = query(() => 1);`,
});

const options = { environmentVariables: { NAME: "value" } };

Deno.test("queries and mutations", async (t) => {
  await using isolate = await IsolateHarness.start(bundle, options);
  const valueOf = async (name: string, args = {}) => {
    const { value, error } = await isolate.query(`functions:${name}`, args);
    assert.equal(error, undefined);
    return value;
  };
  const errorOf = async (name: string, args = {}) =>
    (await isolate.query(`functions:${name}`, args)).error;

  await t.step(
    "ARCHITECTURE 5a: each call begins with fresh modules, globals and built-in objects",
    async () => {
      for (let i = 0; i < 3; i++) {
        assert.deepEqual(await valueOf("count"), [0, 0]);
        assert.deepEqual(await valueOf("globals"), [null, null, "function", 1, null, null]);
      }
    },
  );

  await t.step(
    "semantics 1-4: time is frozen, randomness is the call's, modules see the push's",
    async () => {
      const now = 1_700_000_000_000;
      const { value, outcome } = await isolate.query("functions:time");
      assert.deepEqual(value, [now, now, 5]);
      assert.deepEqual(
        outcome.kind === "success" && outcome.observed,
        { time: true, identity: false, variables: [] },
      );
      const seed = "12".repeat(32);
      const first = await isolate.query("functions:random", {}, { seed });
      assert.deepEqual((await isolate.query("functions:random", {}, { seed })).value, first.value);
      assert.notDeepEqual(await valueOf("random"), first.value);
      assert.notEqual(first.value[0], first.value[1]);
      assert.match(
        first.value[2],
        /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
      );
      const imported = await valueOf("imported");
      assert.equal(imported[1], 1_600_000_000_000);
      assert.deepEqual(await valueOf("imported"), imported);
    },
  );

  await t.step("function-abi 8-13: what a function returns or throws", async () => {
    assert.equal(await valueOf("nothing"), null);
    assert.equal(await valueOf("missing"), null);
    assert.match(
      (await errorOf("returnsQuery"))!,
      /^Uncaught Error: Return value is a Query\. Results must/,
    );
    assert.equal(await errorOf("never"), "Returned promise will never resolve");
    assert.match((await errorOf("unhandled"))!, /^Uncaught Error: left alone\n {4}at /);
    assert.equal(await errorOf("throwsText"), "Uncaught boom");
    assert.match(
      (await errorOf("unsupported"))!,
      /^Uncaught Error: Map\[\] is not a supported Convex type/,
    );
    assert.match((await errorOf("getter"))!, /^Uncaught Error: from a getter\n {4}at /);
    const { outcome } = await isolate.query("functions:throwsConvexError");
    assert.deepEqual(outcome.kind === "failure" && outcome.failure, {
      message: 'Uncaught ConvexError: {"code":1}',
      frames: ["    at handler (../convex/functions.ts:31:65)"],
      data: '{"code":1}',
    });
  });

  await t.step(
    "function-abi 2.3: functions that are not there, or are something else",
    async () => {
      assert.equal(await errorOf("nope"), `Couldn't find "nope" in module "functions.js".`);
      assert.match(
        (await errorOf("helper"))!,
        /^Function functions\.js:helper is neither a query or mut/,
      );
      assert.equal(
        await errorOf("insert"),
        "Trying to execute functions.js:insert as Query, but it is defined as Mutation.",
      );
      assert.equal(
        (await isolate.query("gone:x")).error,
        "Couldn't find JavaScript module 'gone.js'. Did you forget to run `npx convex dev`?",
      );
      assert.match(
        (await isolate.query("throws:a")).error!,
        /^Uncaught Error: at import\n {4}at .*throws.ts:2:/,
      );
      assert.match(
        (await isolate.query("reads:a")).error!,
        /^Uncaught Error: Can't use database at import time/,
      );
    },
  );

  await t.step(
    "semantics 84, 85, A2: stacks show the author's files and nothing else",
    async () => {
      assert.deepEqual((await errorOf("throwsDeep"))!.split("\n"), [
        "Uncaught TypeError: deep",
        "    at inner (../convex/functions.ts:35:9)",
        "    at outer (../convex/functions.ts:33:75)",
        "    at async ../convex/functions.ts:32:48",
      ]);
      assert.equal(await valueOf("stack"), "    at ../convex/functions.ts:37:34");
    },
  );

  await t.step("semantics 48, 54: arguments and results are checked", async () => {
    const object = (type: string) =>
      JSON.stringify({ type: "object", value: { name: { fieldType: { type }, optional: false } } });
    const more = { args: object("string"), returns: object("string") };
    assert.deepEqual((await isolate.query("functions:named", { name: "a" }, more)).value, {
      name: "a",
    });
    assert.equal(
      (await isolate.query("functions:named", {}, more)).error,
      "ArgumentValidationError: Object is missing the required field `name`. Consider wrapping the field " +
        "validator in `v.optional(...)` if this is expected.\n\nObject: {}\nValidator: v.object({name: v.string()})",
    );
    assert.match(
      (await isolate.query("functions:wrong", { name: "a" }, more)).error!,
      /^ReturnsValidationError: Value does not match validator\.\n/,
    );
  });

  await t.step(
    "function-abi 6, 7, semantics A4: what is not awaited belongs to the mutation all the same",
    async () => {
      const { value: id } = await isolate.mutation("functions:insert", { text: "first" });
      await isolate.mutation("functions:insertLater");
      assert.deepEqual(await valueOf("list"), ["first", "later"]);
      const gone = id.slice(0, 31);
      assert.match(
        (await isolate.mutation("functions:patchUnawaited", { id: gone })).error!,
        /^Uncaught Error: Invalid argument `id` for `db\.patch`: Unable to decode ID/,
      );
    },
  );

  await t.step("a mutation sees undecided ones of the same isolate, a query does not", async () => {
    isolate.commits = false;
    const start = await isolate.mutation("functions:insert", { text: "undecided" });
    const { outcome } = await isolate.mutation("functions:meta");
    const commitOf = ({ outcome }: typeof start) => outcome.kind === "success" && outcome.commit!;
    const sequence = (commitOf(start) || undefined)!.origin!.sequence;
    assert.deepEqual(outcome.kind === "success" && outcome.commit!.dependsOn, [sequence]);
    assert.deepEqual(await valueOf("list"), ["first", "later"]);
    isolate.aborted(sequence);
    const after = await isolate.mutation("functions:meta");
    assert.deepEqual((commitOf(after) || undefined)!.dependsOn, []);
    isolate.commits = true;
  });

  await t.step("what was built on a mutation that did not commit is built on no more", async () => {
    isolate.commits = false;
    const commitOf = ({ outcome }: Awaited<ReturnType<typeof isolate.mutation>>) => {
      assert.ok(outcome.kind === "success");
      return outcome.commit!;
    };
    const lost = commitOf(await isolate.mutation("functions:insert", { text: "lost" }));
    const doomed = commitOf(await isolate.mutation("functions:insertLater"));
    assert.deepEqual(doomed.dependsOn, [lost.origin!.sequence]);
    isolate.aborted(lost.origin!.sequence);
    const after = commitOf(await isolate.mutation("functions:meta"));
    assert.deepEqual(after.dependsOn, []);
    isolate.commits = true;
  });

  await t.step("semantics 6-8: what needs an action says so", async () => {
    const template = (thing: string) =>
      new RegExp(`^Uncaught Error: Can't use ${thing} in queries and mut`);
    assert.match((await isolate.mutation("functions:fetches")).error!, template("fetch\\(\\)"));
    // A3: caught or not.
    assert.match((await errorOf("timer"))!, template("setTimeout"));
    assert.equal(await valueOf("digest"), 32);
  });

  await t.step("function-abi 80: environment variables", async () => {
    assert.deepEqual(await valueOf("environment"), ["value", 0, false, null]);
    assert.match(
      (await errorOf("badEnvironment"))!,
      /The environment variable name bad-name is invalid/,
    );
  });

  await t.step("identity and metadata", async () => {
    const identity = { tokenIdentifier: "a|b", name: "Ada" };
    const { value, outcome } = await isolate.query("functions:identity", {}, { identity });
    assert.equal(value, "Ada");
    assert.equal(outcome.kind === "success" && outcome.observed!.identity, true);
    const [metadata, documentsRead, databaseQueries] =
      (await isolate.mutation("functions:meta")).value;
    assert.deepEqual(metadata, {
      name: "functions:meta",
      componentPath: "",
      type: "mutation",
      visibility: "public",
    });
    assert.deepEqual(documentsRead, { used: 2, remaining: 31_998 });
    assert.equal(databaseQueries.used, 1);
  });

  await t.step("function-abi 50-53: pages and their journal", async () => {
    await isolate.mutation("functions:insert", { text: "third" });
    const { value, outcome } = await isolate.query("functions:page", { cursor: null });
    assert.deepEqual([value.page.length, value.isDone], [2, false]);
    const journal = outcome.kind === "success" ? outcome.journal! : null;
    await isolate.mutation("functions:insert", { text: "fourth" });
    const rest = await isolate.query("functions:page", { cursor: value.continueCursor });
    assert.deepEqual([rest.value.page.length, rest.value.isDone], [2, false]);
    const again = await isolate.query("functions:page", { cursor: null }, { journal });
    assert.equal(again.value.continueCursor, value.continueCursor);
    const failed = await isolate.query("functions:page", { fails: true }, { journal });
    assert.equal(failed.outcome.kind, "failure");
    assert.equal(
      failed.outcome.kind === "failure" && failed.outcome.journal,
      journal,
      "a failure keeps the page's end for when it is over",
    );
  });
});

Deno.test("an isolate whose realm cannot be repaired answers and ends", async () => {
  await using isolate = await IsolateHarness.start(bundle, options);
  assert.equal((await isolate.query("functions:freezes")).value, 1);
  await isolate.exited();
});
