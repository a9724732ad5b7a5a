/**
 * `ctx.db` as user code sees it. Every function runs twice, with the native `ctx` and with the one that the
 * function library makes of syscalls: both must answer alike.
 */
import assert from "node:assert/strict";
import { bundleSources, IsolateHarness } from "../../tests/support/isolate_harness.ts";

const bundle = await bundleSources({
  "functions.ts": `
import { queryGeneric, mutationGeneric, makeFunctionReference } from "convex/server";
import { ConvexError } from "convex/values";

/** Registers a function and, under another name, the same without its raw handler. */
const both = (register: any) => (handler: any) => {
  const native = register(handler), wrapped = register(handler);
  delete wrapped._handler;
  return [native, wrapped];
};
const query = both(queryGeneric), mutation = both(mutationGeneric);
const failure = async (run: () => unknown) => {
  try { await run(); } catch (error: any) {
    return [error instanceof ConvexError, error.message.replaceAll(/[a-z0-9]{31,37}/g, "ID"), error.data ?? null];
  }
  return "no error";
};

export const [crud, crudLibrary] = mutation(async (ctx: any) => {
  const id = await ctx.db.insert("docs", { text: "a", nested: { x: 1, y: 2 }, big: 5n, bytes: new Uint8Array([1, 2]).buffer });
  await ctx.db.patch(id, { text: undefined, nested: { x: 3 } });
  const patched = await ctx.db.get(id);
  await ctx.db.patch("docs", id, { more: NaN });
  await ctx.db.replace(id, { text: "b" });
  const replaced = await ctx.db.get("docs", id);
  await ctx.db.replace("docs", id, { ...replaced, text: "c" });
  const last = await ctx.db.table("docs").get(id);
  await ctx.db.delete("docs", id);
  const other = await ctx.db.table("docs").insert({ n: 1 });
  await ctx.db.table("docs").patch(other, { n: 2 });
  const [only] = await ctx.db.table("docs").query().collect();
  await ctx.db.delete(other);
  return [Object.keys(patched), patched.nested, patched.big, new Uint8Array(patched.bytes)[1], replaced.text, last.text, only.n, await ctx.db.get(id)];
});

export const [errors, errorsLibrary] = mutation(async (ctx: any) => {
  const id = await ctx.db.insert("docs", { text: "x" });
  const system = (await ctx.db.system.query("_storage").collect()).length;
  await ctx.db.delete(id);
  const other = await ctx.db.insert("others", {});
  return [
    system,
    await failure(() => ctx.db.get()),
    await failure(() => ctx.db.get(5)),
    await failure(() => ctx.db.get("abc")),
    await failure(() => ctx.db.get("docs", other)),
    await failure(() => ctx.db.system.get(other)),
    await failure(() => ctx.db.insert("_docs", {})),
    await failure(() => ctx.db.insert("docs", 5)),
    await failure(() => ctx.db.insert("docs", { a: new Map() })),
    await failure(() => ctx.db.insert("docs", { _a: 1 })),
    await failure(() => ctx.db.insert("bad name", {})),
    await failure(() => ctx.db.patch(id, {})),
    await failure(() => ctx.db.replace(id, {})),
    await failure(() => ctx.db.delete(id)),
    await failure(() => ctx.db.query("_storage")),
    await failure(() => ctx.db.system.query("docs")),
    await failure(() => ctx.db.normalizeId("_storage", "x")),
    await failure(() => ctx.db.query("docs").withIndex("gone").collect()),
    await failure(() => ctx.db.query("docs").withIndex("by_text", (q: any) => q.eq("other", 1)).collect()),
    await failure(() => ctx.db.query("docs").order("asc").order("desc")),
    await failure(() => ctx.db.query("docs").take(-1)),
    await failure(() => ctx.db.query("docs").paginate({ numItems: -1, cursor: null })),
    await failure(() => ctx.db.query("docs").paginate({ numItems: 0, cursor: null })),
    await failure(() => ctx.db.query("docs").paginate({ numItems: 1, cursor: "nonsense" })),
    await failure(() => ctx.db.query("others").filter((q: any) => q.add(1n, q.field("_creationTime"))).collect()),
    await failure(() => { const q = ctx.db.query("docs").order("asc"); q.filter(() => true); q.filter(() => true); }),
    await failure(async () => { const q = ctx.db.query("docs").order("asc"); await q.collect(); await q.collect(); }),
    await failure(() => ctx.db.query("docs").withIndex("by_text", (q: any) => { q.eq("text", 1); return q.eq("text", 2); })),
    await failure(() => ctx.storage.getUrl("nonsense")),
    await failure(() => ctx.storage.getUrl(other)),
    await failure(() => ctx.storage.delete("8f6a2d5e-0000-4000-8000-000000000000")),
    await failure(() => ctx.scheduler.cancel(other)),
    await failure(() => ctx.scheduler.runAfter(-1, "a:b")),
    await failure(() => ctx.runQuery("functions:fails", {})),
  ].map((each) => JSON.stringify(each, (_key, value) => typeof value === "bigint" ? value + "n" : value));
});
export const fails = queryGeneric(() => { throw new ConvexError({ code: [1n] } as any); });

export const [fill, fillLibrary] = mutation(async (ctx: any) => {
  for (const doc of await ctx.db.query("docs").collect()) await ctx.db.delete(doc._id);
  for (let i = 0; i < 10; i++) await ctx.db.insert("docs", { text: i % 2 ? "odd" : "even", n: i });
});

export const [reads, readsLibrary] = queryGeneric && query(async (ctx: any) => {
  const numbers = (docs: any[]) => docs.map((doc) => doc.n);
  const iterated: number[] = [];
  for await (const doc of ctx.db.query("docs").withIndex("by_text", (q: any) => q.eq("text", "odd"))) {
    iterated.push(doc.n);
    if (iterated.length === 3) break;
  }
  const unique = await failure(() => ctx.db.query("docs").unique());
  return [
    iterated,
    numbers(await ctx.db.query("docs").order("desc").take(3)),
    numbers(await ctx.db.query("docs").withIndex("by_text", (q: any) => q.eq("text", "even").gt("_creationTime", 0)).collect()),
    numbers(await ctx.db.query("docs").filter((q: any) => q.or(q.eq(q.field("n"), 1), q.gte(q.field("n"), 8))).collect()),
    numbers(await ctx.db.query("docs").filter((q: any) => q.eq(q.mod(q.field("n"), 3), 0)).order("desc").collect()),
    (await ctx.db.query("docs").withIndex("by_text", (q: any) => q.eq("text", "odd")).first()).n,
    await ctx.db.query("docs").withIndex("by_text", (q: any) => q.eq("text", "none")).unique(),
    unique,
    await ctx.db.query("docs").count(),
    await ctx.db.query("nothing").collect(),
    ctx.db.normalizeId("docs", (await ctx.db.query("docs").first())._id) !== null,
    ctx.db.normalizeId("docs", "nonsense"),
    await ctx.auth.getUserIdentity(),
    typeof ctx.db.insert,
    await (async () => {
      const { page, isDone, continueCursor } = await ctx.db.query("docs").paginate({ numItems: 4, cursor: null });
      return [numbers(page), isDone, typeof continueCursor];
    })(),
  ];
});

export const [files, filesLibrary] = mutation(async (ctx: any) => {
  const url = await ctx.storage.generateUploadUrl();
  return [url.replace(/token=.*/, "token"), await ctx.storage.getUrl("8f6a2d5e-0000-4000-8000-000000000000"), await ctx.storage.getMetadata("8f6a2d5e-0000-4000-8000-000000000000")];
});
export const [calls, callsLibrary] = mutation(async (ctx: any) => {
  const reference = makeFunctionReference<any>("functions:echo") as any;
  const id = await ctx.scheduler.runAt(1700000000000, reference, { a: 1 });
  const { name, args, scheduledTime } = await ctx.db.system.get(id);
  return [await ctx.runQuery(reference, { a: 1n }), name, args, scheduledTime, (await ctx.meta.getFunctionMetadata()).type];
});
export const [search, searchLibrary] = mutation(async (ctx: any) => {
  for (const { _id } of await ctx.db.query("texts").collect()) await ctx.db.delete(_id);
  for (const [text, kind] of [["one two", "a"], ["Two three", "b"], ["twofold", "a"]]) {
    await ctx.db.insert("texts", { text, ...kind === "b" ? {} : { kind } });
  }
  const search = (text: string) => ctx.db.query("texts").withSearchIndex("by_text", (q: any) => q.search("text", text));
  const texts = async (query: any) => (await query).map(({ text }: any) => text);
  const iterated = [];
  for await (const { text } of search("three tw")) iterated.push(text);
  const lazy = search("two")[Symbol.asyncIterator] !== undefined;
  const { page, isDone, splitCursor } = await search("tw").paginate({ numItems: 1, cursor: null });
  const filtered = (value: any) => texts(ctx.db.query("texts")
    .withSearchIndex("by_text", (q: any) => q.search("text", "two").eq("kind", value)).take(5));
  return [
    iterated, lazy, page.length, isDone, splitCursor,
    await texts(search("two").collect()), await filtered("a"), await filtered(undefined),
    await failure(() => ctx.db.query("texts").withSearchIndex("by_text", (q: any) => q.eq("kind", "a")).first()),
    await failure(() => ctx.db.query("texts").withSearchIndex("gone", (q: any) => q.search("text", "a")).first()),
    await failure(() => ctx.db.query("docs").withSearchIndex("by_text", (q: any) => q.search("text", "a")).first()),
    await failure(() => search("a").order("desc")),
  ];
});
export const echo = queryGeneric((_ctx, args: any) => args);
`,
});

const catalog = {
  createTables: ["docs", "texts"],
  createIndexes: [{
    kind: "database" as const,
    table: "docs",
    name: "by_text",
    fields: ["text"],
    staged: false,
  }, {
    kind: "search" as const,
    table: "texts",
    name: "by_text",
    searchField: "text",
    filterFields: ["kind"],
    staged: false,
  }],
};

Deno.test("ctx.db, native and as the function library makes it", async (t) => {
  await using isolate = await IsolateHarness.start(bundle, { catalog });
  const run = async (kind: "query" | "mutation", name: string) => {
    const native = await isolate.call(kind, `functions:${name}`, {});
    const library = await isolate.call(kind, `functions:${name}Library`, {});
    assert.equal(native.error, undefined);
    assert.deepEqual([library.error, library.value], [undefined, native.value]);
    return native.value;
  };

  await t.step(
    "function-abi 23, 24: documents are inserted, patched, replaced, deleted",
    async () => {
      const [fields, nested, big, byte, ...rest] = await run("mutation", "crud");
      assert.deepEqual(fields, ["_creationTime", "_id", "big", "bytes", "nested"]);
      assert.deepEqual([nested, big, byte], [{ x: 3 }, { $integer: "BQAAAAAAAAA=" }, 2]);
      assert.deepEqual(rest, ["b", "c", 2, null]);
    },
  );

  await t.step("function-abi 16-27, 32-47: errors", async () => {
    const errors: string[] = await run("mutation", "errors");
    const [files, ...messages] = errors.map((each) => JSON.parse(each));
    assert.equal(files, 0);
    const texts = messages.map((each) => each[1]);
    assert.deepEqual(texts.slice(0, 7), [
      "Must provide arg 1 `id` to `get`",
      "Invalid argument `id` for `db.get`, expected string but got 'number': 5",
      "Invalid argument `id` for `db.get`: Unable to decode ID: Invalid ID length 3",
      'Invalid argument `id` for `db.get`: expected to be an Id<"docs">, got Id<"others"> instead.',
      "User tables cannot be accessed with db.system.",
      "System tables (prefixed with `_`) are read-only.",
      "Invalid argument `value` for `db.insert`: Value must be an Object",
    ]);
    assert.match(
      texts.join("\n"),
      /\nUpdate on nonexistent document ID ID\nReplace on .*\nDelete on /,
    );
    assert.match(texts.join("\n"), /\nIndex docs\.gone not found\.\n/);
    const [isConvexError, message, data] = messages.at(-1);
    assert.deepEqual([isConvexError, data], [true, { code: ["1n"] }]);
    assert.match(message, /^Uncaught ConvexError: /);
  });

  await t.step("queries: ranges, filters, order, iteration, pages", async () => {
    await run("mutation", "fill");
    assert.deepEqual(await run("query", "reads"), [
      [1, 3, 5],
      [9, 8, 7],
      [0, 2, 4, 6, 8],
      [1, 8, 9],
      [9, 6, 3, 0],
      1,
      null,
      [
        false,
        "unique() query returned more than one result from table docs:\n [ID, ID, ...]",
        null,
      ],
      10,
      [],
      true,
      null,
      null,
      "undefined",
      [[0, 1, 2, 3], false, "string"],
    ]);
  });

  await t.step("function-abi 59: searches", async () => {
    assert.deepEqual(await run("mutation", "search"), [
      ["Two three", "twofold", "one two"],
      true,
      1,
      false,
      null,
      ["Two three", "one two", "twofold"],
      ["one two", "twofold"],
      ["Two three"],
      [
        false,
        'Search query against texts.by_text does not contain any search filters. You must include a search filter like `q.search("text", searchText)`.',
        null,
      ],
      [false, "Index texts.gone not found.", null],
      [false, "Index docs.by_text is not a search index", null],
      [
        false,
        "Search queries must always be in relevance order. Can not set order manually.",
        null,
      ],
    ]);
  });

  await t.step("storage, scheduler, calls", async () => {
    assert.deepEqual(await run("mutation", "files"), [
      "http://127.0.0.1:3210/api/storage/upload?token",
      null,
      null,
    ]);
    assert.deepEqual(await run("mutation", "calls"), [
      { a: { $integer: "AQAAAAAAAAA=" } },
      "functions.js:echo",
      [{ a: 1 }],
      1_700_000_000_000,
      "mutation",
    ]);
  });
});
