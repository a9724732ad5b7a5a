/** What ctx.db does, seen through functions that use it. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });
const { notes } = api;

/** Replaces all notes by those given. */
async function fill(client: ConvexHttpClient, documents: unknown[]): Promise<string[]> {
  await client.mutation(notes.clear);
  return await client.mutation(notes.insertMany, { notes: documents });
}

const numbers = (documents: { n: number }[]) => documents.map(({ n }) => n);

test("insert, patch, replace and delete leave the documents they should", async ({ clients }) => {
  const states = await clients.http().mutation(notes.lifecycle);
  const [inserted, ...later] = states.map((state: Record<string, unknown> | null) => {
    if (state === null) return null;
    const { _id, _creationTime, ...fields } = state;
    assert.match(_id as string, /^[0-9a-z]{31,37}$/);
    return fields;
  });
  assert.deepEqual(inserted, { n: 1, text: "inserted", extra: { a: 1, b: 2 } });
  assert.deepEqual(later, [
    { n: 1, text: "patched", extra: { a: 3 } },
    { n: 1, extra: { a: 3 } },
    { n: 2 },
    null,
  ]);
  const identities = states.slice(0, 4).map((state: { _id: string; _creationTime: number }) =>
    `${state._id} ${state._creationTime}`
  );
  assert.equal(new Set(identities).size, 1, "semantics 29: id and creation time never change");
});

test("without an index documents come in the order of their creation, or its reverse", async ({ clients }) => {
  const client = clients.http();
  await fill(client, [{ n: 3 }, { n: 1 }, { n: 2 }]);
  assert.deepEqual(numbers(await client.query(notes.all, {})), [3, 1, 2]);
  assert.deepEqual(numbers(await client.query(notes.all, { order: "desc" })), [2, 1, 3]);
  const times = (await client.query(notes.all, {})).map(
    (note: { _creationTime: number }) => note._creationTime,
  );
  assert.ok(times[0] < times[1] && times[1] < times[2], "semantics 28");
});

test("index ranges keep their bounds, order and limit", async ({ clients }) => {
  const client = clients.http();
  await fill(client, [5, 1, 4, 2, 3, 3].map((n) => ({ n })));
  const between = async (args: Record<string, unknown>) =>
    numbers(await client.query(notes.between, args as never));
  assert.deepEqual(await between({ from: 2, to: 5 }), [2, 3, 3, 4]);
  assert.deepEqual(await between({ from: 2, to: 5, order: "desc" }), [4, 3, 3, 2]);
  assert.deepEqual(await between({ from: 0, to: 9, limit: 2 }), [1, 2]);
  assert.deepEqual(await between({ from: 0, to: 9, limit: 2, order: "desc" }), [5, 4]);
  assert.deepEqual(await between({ from: 7, to: 9 }), []);
});

test("function-abi 39: an index finds documents that lack the field", async ({ clients }) => {
  const client = clients.http();
  await fill(client, [{ n: 1, group: "a" }, { n: 2 }, { n: 3, group: "a" }, { n: 4 }]);
  assert.deepEqual(numbers(await client.query(notes.inGroup, { group: "a" })), [1, 3]);
  assert.deepEqual(numbers(await client.query(notes.inGroup, {})), [2, 4]);
});

test("filters combine and, or, not, comparisons and arithmetic", async ({ clients }) => {
  const client = clients.http();
  const documents = Array.from({ length: 10 }, (_, n) => ({ n, group: n === 4 ? "hidden" : "a" }));
  await fill(client, documents);
  assert.deepEqual(numbers(await client.query(notes.filtered)), [0, 2, 5, 6, 8]);
});

test("unique and first find one, none, or too many", async ({ clients }) => {
  const client = clients.http();
  await fill(client, [{ n: 1 }, { n: 2 }, { n: 2 }]);
  assert.equal((await client.query(notes.unique, { n: 1 })).n, 1);
  assert.equal(await client.query(notes.unique, { n: 9 }), null);
  await assert.rejects(
    client.query(notes.unique, { n: 2 }),
    /unique\(\) query returned more than one/,
  );
  assert.equal((await client.query(notes.first, { n: 1 })).n, 2);
  assert.equal(await client.query(notes.first, { n: 2 }), null);
});

test("async iteration visits documents one by one and may stop early", async ({ clients }) => {
  const client = clients.http();
  await fill(client, Array.from({ length: 300 }, (_, n) => ({ n })));
  assert.deepEqual(await client.query(notes.iterate, { stopAfter: 3 }), [299, 298, 297]);
  const all = await client.query(notes.iterate, { stopAfter: -1 });
  assert.deepEqual(all, Array.from({ length: 300 }, (_, n) => 299 - n));
});

test("pages follow each other without gaps or overlaps to the end", async ({ clients }) => {
  const client = clients.http();
  await fill(client, Array.from({ length: 25 }, (_, n) => ({ n })));
  const seen: number[] = [];
  let cursor: string | null = null;
  const sizes: number[] = [];
  for (;;) {
    const page: { page: { n: number }[]; isDone: boolean; continueCursor: string } = await client
      .query(notes.page, { paginationOpts: { numItems: 10, cursor } });
    seen.push(...numbers(page.page));
    sizes.push(page.page.length);
    if (page.isDone) break;
    cursor = page.continueCursor;
  }
  assert.deepEqual(seen, Array.from({ length: 25 }, (_, n) => n));
  assert.deepEqual(sizes, [10, 10, 5]);
});

test("function-abi 50, 51: a full page is not done, and the empty one after it is", async ({ clients }) => {
  const client = clients.http();
  await fill(client, [{ n: 1 }, { n: 2 }]);
  const first = await client.query(notes.page, { paginationOpts: { numItems: 2, cursor: null } });
  assert.deepEqual([first.page.length, first.isDone], [2, false]);
  const second = await client.query(notes.page, {
    paginationOpts: { numItems: 2, cursor: first.continueCursor },
  });
  assert.deepEqual([second.page.length, second.isDone], [0, true]);
});

test("a mutation reads its own writes in index order before they are committed", async ({ clients }) => {
  const client = clients.http();
  await fill(client, [{ n: 1 }]);
  assert.deepEqual(await client.mutation(notes.readOwnWrites), [101, 103]);
});

test("a mutation that throws leaves nothing behind", async ({ clients }) => {
  const client = clients.http();
  await fill(client, []);
  await assert.rejects(client.mutation(notes.insertThenThrow), /Uncaught Error: after the insert/);
  assert.deepEqual(await client.query(notes.all, {}), []);
});

test("semantics 44: a document that violates the schema is refused, catchably", async ({ clients }) => {
  const client = clients.http();
  await fill(client, []);
  const refusal =
    /Failed to insert or update a document in table "notes" because it does not match the schema: /;
  await assert.rejects(client.mutation(notes.wrongDocument, { document: { n: "one" } }), refusal);
  assert.match(
    await client.mutation(notes.insertCaught, { document: { n: 1, other: 1 } }),
    refusal,
  );
  assert.equal(await client.mutation(notes.insertCaught, { document: { n: 1 } }), "inserted");
  assert.equal((await client.query(notes.all, {})).length, 1);
});

test("semantics 19, 22: reserved fields and documents that are too large are refused", async ({ clients }) => {
  const client = clients.http();
  const insert = (document: unknown) => client.mutation(notes.insertCaught, { document });
  assert.match(
    await insert({ n: 1, _mine: 1 }),
    /Field '_mine' starts with an underscore, which is only allowed for system fields like '_id'/,
  );
  assert.match(await insert({ n: 1, text: "x".repeat(1024 * 1024) }), /Value is too large/);
  assert.equal(await insert({ n: 1, text: "x".repeat(1024 * 1024 - 200) }), "inserted");
});

test("semantics 31-33, http-api 110: an index orders values of all types", async ({ clients }) => {
  const client = clients.http();
  const ordered = [
    undefined,
    null,
    -1n,
    5n,
    Number.NEGATIVE_INFINITY,
    -1,
    -0,
    0,
    1,
    Number.POSITIVE_INFINITY,
    Number.NaN,
    false,
    true,
    "",
    "a",
    "\uffff",
    "😀",
    new ArrayBuffer(1),
    [],
    [1],
    {},
    { a: 1 },
  ];
  const shuffled = ordered.map((extra, n) => ({ n, ...(extra === undefined ? {} : { extra }) }))
    .sort((a, b) => (a.n * 7) % ordered.length - (b.n * 7) % ordered.length);
  await client.mutation(api.anything.insertMany, { documents: shuffled });
  const sorted = await client.query(api.anything.sorted);
  assert.deepEqual(numbers(sorted), ordered.map((_, n) => n));
});

test("function-abi 29: normalizeId accepts ids of its table alone", async ({ clients }) => {
  const client = clients.http();
  const [id] = await fill(client, [{ n: 1 }]);
  assert.equal(await client.query(notes.normalize, { id: id! }), id);
  assert.equal(await client.query(notes.normalize, { id: id!.toUpperCase() }), null);
  assert.equal(await client.query(notes.normalize, { id: "garbage" }), null);
});
