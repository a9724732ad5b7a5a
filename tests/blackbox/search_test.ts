/** Full-text search through the unmodified clients: what is found, in which order, and when it is told again. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { writeAppFile } from "../support/apps.ts";
import { watch } from "../support/clients.ts";

const schema = (indexes: string) => `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  notes: defineTable({
    body: v.optional(v.union(v.string(), v.number())),
    channel: v.optional(v.string()),
    author: v.optional(v.object({ name: v.string() })),
  })${indexes},
});`;

const byBody =
  `.searchIndex("by_body", { searchField: "body", filterFields: ["channel", "author.name"] })`;

const functions = `
import { mutation, query } from "./_generated/server";

export const replaceAll = mutation(async (ctx, { notes }) => {
  for (const { _id } of await ctx.db.query("notes").collect()) await ctx.db.delete(_id);
  for (const note of notes) await ctx.db.insert("notes", note);
});

export const add = mutation(async (ctx, note) => await ctx.db.insert("notes", note));

const find = (ctx, { text, filters = [], index = "by_body" }) =>
  ctx.db.query("notes").withSearchIndex(index, (q) =>
    filters.reduce((q, [field, value]) => q.eq(field, value), q.search("body", text)));
const bodies = (notes) => notes.map(({ body }) => body);

export const search = query(async (ctx, args) => bodies(await find(ctx, args).collect()));
export const take = query(async (ctx, { n, ...args }) => (await find(ctx, args).take(n)).length);
export const withoutChannel = query(async (ctx, { text }) =>
  bodies(await find(ctx, { text, filters: [["channel", undefined]] }).collect()));
export const long = query(async (ctx, args) =>
  bodies(await find(ctx, args).filter((q) => q.neq(q.field("channel"), "hidden")).take(2)));
export const first = query(async (ctx, args) => (await find(ctx, args).first())?.body ?? null);
export const iterate = query(async (ctx, args) => {
  const found = [];
  for await (const { body } of find(ctx, args)) found.push(body);
  return found;
});
export const page = query(async (ctx, { paginationOpts, ...args }) => {
  const result = await find(ctx, args).paginate(paginationOpts);
  return { ...result, page: bodies(result.page) };
});
export const ordered = query(async (ctx, args) => await find(ctx, args).order("desc").collect());
export const asRange = query(async (ctx) => await ctx.db.query("notes").withIndex("by_body").collect());
export const wrongKind = query(async (ctx) =>
  await ctx.db.query("notes").withSearchIndex("by_creation_time", (q) => q.search("body", "x")).collect());
export const noText = query(async (ctx) =>
  await ctx.db.query("notes").withSearchIndex("by_body", (q) => q.eq("channel", "x")).collect());
export const noString = query(async (ctx) =>
  await ctx.db.query("notes").withSearchIndex("by_body", (q) => q.search("body", 5)).collect());

/** Another number with every execution. */
export const executions = query(async (ctx, args) => [Math.random(), ...bodies(await find(ctx, args).collect())]);

export const ownWrites = mutation(async (ctx) => {
  const seen = [];
  const look = async (text) => seen.push(bodies(await find(ctx, { text }).collect()));
  const id = await ctx.db.insert("notes", { body: "own words" });
  await look("word");
  await ctx.db.patch(id, { body: "other terms" });
  await look("word");
  await look("terms stored");
  const [stored] = await find(ctx, { text: "stored" }).collect();
  await ctx.db.delete(stored._id);
  await look("terms stored");
  await ctx.db.delete(id);
  await look("terms stored");
  return seen;
});

export const claim = mutation(async (ctx, { by }) => {
  const note = await find(ctx, { text: "unclaimed" }).first();
  if (note === null) return null;
  await ctx.db.patch(note._id, { body: "claimed by " + by });
  return note._id;
});
`;

const { test } = appServer({
  files: { "convex/schema.ts": schema(byBody), "convex/notes.js": functions },
});
const { notes } = api;

test("semantics 95-98: terms are words in any case, ORed, and the last one is a prefix", async ({ clients }) => {
  const client = clients.http();
  const find = (text: string) => client.query(notes.search, { text });
  await client.mutation(notes.replaceAll, {
    notes: [{ body: "A bar." }, { body: "foo" }, { body: "Foo-BAR, foo!" }, { body: "barn" }],
  });
  assert.deepEqual(await find("foo ba"), ["Foo-BAR, foo!", "foo", "barn", "A bar."]);
  assert.deepEqual((await find("ba foo")).sort(), ["Foo-BAR, foo!", "foo"]);
  assert.deepEqual(await find("BAR foo"), ["Foo-BAR, foo!", "foo", "A bar."]);
  assert.deepEqual(await find("bar"), ["A bar.", "Foo-BAR, foo!", "barn"]);
  for (const text of ["", "?!", "o", "z"]) assert.deepEqual(await find(text), []);
  assert.equal(await client.query(notes.first, { text: "barn" }), "barn");
  assert.deepEqual(await client.query(notes.iterate, { text: "foo" }), ["foo", "Foo-BAR, foo!"]);
});

test("semantics 99, A10: the 17th term is ignored, equals come newest first, typos find nothing", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(notes.replaceAll, {
    notes: [{ body: "sixteen" }, { body: "seventeen" }, { body: "same one" }, { body: "same two" }],
  });
  const filler = Array.from({ length: 15 }, (_, i) => `f${i}`).join(" ");
  const text = `${filler} sixteen seventeen`;
  assert.deepEqual(await client.query(notes.search, { text }), ["sixteen"]);
  assert.deepEqual(await client.query(notes.search, { text: "same" }), ["same two", "same one"]);
  assert.deepEqual(await client.query(notes.search, { text: "smae" }), []);
});

test("semantics §15: filters are ANDed, distinguish types, and undefined is a missing field", async ({ clients }) => {
  const client = clients.http();
  const find = (...filters: [string, unknown][]) =>
    client.query(notes.search, { text: "x", filters });
  const long = "long".repeat(20);
  await client.mutation(notes.replaceAll, {
    notes: [
      { body: "x 1", channel: "a", author: { name: "Ann" } },
      { body: "x 2", channel: "b", author: { name: "Ann" } },
      { body: "x 3", channel: long },
      { body: "x 4" },
      { body: 5, channel: "a" },
      { channel: "a" },
    ],
  });
  assert.deepEqual(await find(), ["x 4", "x 3", "x 2", "x 1"]);
  assert.deepEqual(await find(["channel", "a"]), ["x 1"]);
  assert.deepEqual(await find(["author.name", "Ann"]), ["x 2", "x 1"]);
  assert.deepEqual(await find(["author.name", "Ann"], ["channel", "b"]), ["x 2"]);
  assert.deepEqual(await find(["channel", "a"], ["channel", "b"]), []);
  assert.deepEqual(await find(["channel", long]), ["x 3"]);
  assert.deepEqual(await find(["channel", `${long}!`]), []);
  assert.deepEqual(await find(["channel", null]), []);
  assert.deepEqual(await client.query(notes.withoutChannel, { text: "x" }), ["x 4"]);
});

test("semantics 100: a search in a mutation sees its own inserts, changes and deletions", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(notes.replaceAll, { notes: [{ body: "stored" }] });
  assert.deepEqual(await client.mutation(notes.ownWrites), [
    ["own words"],
    [],
    ["stored", "other terms"],
    ["other terms"],
    [],
  ]);
  assert.deepEqual(await client.query(notes.search, { text: "terms stored own" }), []);
});

test("semantics 101: a search runs again when a write concerns it, and not otherwise", async ({ clients }) => {
  const client = clients.live();
  await client.mutation(notes.replaceAll, { notes: [{ body: "apple pie", channel: "a" }] });
  const plain = watch(client, notes.executions, { text: "apple pi" });
  const filters = [["channel", "a"]];
  const filtered = watch(client, notes.executions, { text: "apple pi", filters });
  await plain.until(() => true, "the first result");
  await filtered.until(() => true, "the first result");
  await client.mutation(notes.add, { body: "cherry cake", channel: "a" });
  await client.mutation(notes.add, { body: "apples and pears", channel: "a" });
  await client.mutation(notes.add, { body: "an apple", channel: "b" });
  const found = await plain.until((value) => value.includes("an apple"), "the write");
  assert.deepEqual(found.slice(1).sort(), ["an apple", "apple pie"]);
  assert.equal(plain.history.length, 2, "one execution for one write that matters");
  assert.equal(filtered.history.length, 1, "another value of the filter");
  await client.mutation(notes.add, { body: "PIZZA", channel: "a" });
  await filtered.until((value) => value.includes("PIZZA"), "a word that begins like the last term");
});

test("semantics 11.1: mutations that search conflict with writes of what they found", async ({ clients }) => {
  await clients.http().mutation(notes.replaceAll, {
    notes: Array.from({ length: 6 }, (_, i) => ({ body: `unclaimed ${i}` })),
  });
  const claimAll = async (by: string) => {
    const client = clients.live();
    const claimed: string[] = [];
    for (let id; (id = await client.mutation(notes.claim, { by })) !== null;) claimed.push(id);
    return claimed;
  };
  const claimed = (await Promise.all([claimAll("a"), claimAll("b"), claimAll("c")])).flat();
  assert.equal(claimed.length, 6);
  assert.equal(new Set(claimed).size, 6);
});

test("function-abi 60: a search reads up to 1024 documents; filters and pages apply to those", async ({ clients }) => {
  const client = clients.http();
  const many = Array.from({ length: 1030 }, (_, i) => ({
    body: i < 10 ? "many many" : "many",
    channel: i % 2 === 0 ? "even" : "hidden",
  }));
  await client.mutation(notes.replaceAll, { notes: many });
  assert.equal(await client.query(notes.take, { text: "many", n: 1024 }), 1024);
  for (
    const call of [
      () => client.query(notes.take, { text: "many", n: 1025 }),
      () => client.query(notes.search, { text: "many" }),
    ]
  ) {
    await assert.rejects(
      call,
      /Search query scanned too many documents \(fetched 1024\)\. Consider using a smaller limit, paginating the query, or using a filter field to limit the number of documents pulled from the search index\./,
    );
  }
  const filters = [["channel", "even"]];
  assert.equal((await client.query(notes.search, { text: "many", filters })).length, 515);
  assert.deepEqual(await client.query(notes.long, { text: "many" }), [
    "many many",
    "many many",
  ]);

  const seen: string[] = [];
  let cursor: string | null = null;
  for (let isDone = false; !isDone;) {
    const paginationOpts = { numItems: 100, cursor };
    const page = await client.query(notes.page, { text: "many", filters, paginationOpts }) as {
      page: string[];
      isDone: boolean;
      continueCursor: string;
      splitCursor: string | null;
    };
    assert.equal(page.splitCursor, null);
    seen.push(...page.page);
    ({ isDone, continueCursor: cursor } = page);
  }
  assert.deepEqual(seen, await client.query(notes.search, { text: "many", filters }));
});

test("function-abi §6: more of a search is what follows, also when other texts have come meanwhile", async ({ clients }) => {
  const client = clients.http();
  const equals = ["red one", "red two", "red three", "red four", "red five"];
  await client.mutation(notes.replaceAll, { notes: equals.map((body) => ({ body })) });
  const found: string[] = [];
  let cursor: string | null = null;
  for (const word of ["green", "blue", "yellow"]) {
    const paginationOpts = { numItems: 2, cursor };
    const page = await client.query(notes.page, { text: "red", paginationOpts }) as {
      page: string[];
      continueCursor: string;
    };
    found.push(...page.page);
    cursor = page.continueCursor;
    // Makes the others rarer, which raises their scores.
    await client.mutation(notes.add, { body: word });
  }
  assert.deepEqual(found, equals.toReversed());
});

test("function-abi 59, §5.5: wrong searches say what is wrong", async ({ clients }) => {
  const client = clients.http();
  const cases: [name: string, args: Record<string, unknown>, message: RegExp][] = [
    ["noText", {}, /Search query against notes\.by_body does not contain any search filters/],
    ["noString", {}, /`query` to `search` must be a string/],
    ["search", { text: "x", filters: [["body", "x"]] }, /contains an equality filter on "body"/],
    ["search", { text: "x", index: "gone" }, /Index notes\.gone not found\./],
    ["wrongKind", {}, /Index notes\.by_creation_time is not a search index/],
    ["asRange", {}, /Index notes\.by_body is not a database index/],
    ["ordered", { text: "x" }, /Search queries must always be in relevance order/],
  ];
  for (const [name, args, message] of cases) {
    await assert.rejects(client.query(notes[name], args), message);
  }
});

test("semantics 7.2: a pushed search index is filled from what is there; a staged one is not queried", async ({ clients, server, app }) => {
  const client = clients.http();
  const bodies = Array.from(
    { length: 300 },
    (_, i) => ({ body: `note ${i}`, channel: `c${i % 3}` }),
  );
  await client.mutation(notes.replaceAll, { notes: bodies });
  const ready = server.nextLine(/Functions ready/);
  const more = `.searchIndex("by_body_alone", { searchField: "body" })
    .searchIndex("later", { searchField: "body", filterFields: ["channel"], staged: true })`;
  await writeAppFile(app, "convex/schema.ts", schema(`${byBody}${more}`));
  await ready;
  const search = (index: string) => client.query(notes.search, { text: "note", index });
  assert.equal((await search("by_body_alone")).length, 300);
  await assert.rejects(search("later"), /Index notes\.later is currently staged/);
  await client.mutation(notes.add, { body: "one more note" });
  assert.equal((await search("by_body_alone")).length, 301);
});
