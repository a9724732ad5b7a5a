/** Searches by random transactions, against a model that knows only which documents match. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeValue, type ValueObject } from "../../values/value.ts";
import { TestDatabase } from "../database_testing.ts";
import type { Query, SearchFilter } from "../query.ts";
import { readSetContains } from "../read_set.ts";
import type { Transaction } from "../transaction.ts";
import { writtenPoints } from "../write_log.ts";
import { tokenize } from "./tokens.ts";

const table = {
  name: "t",
  searchIndexes: { s: { searchField: "body", filterFields: ["kind", "owner"] } },
};

const word = fc.constantFrom("a", "ab", "abc", "b", "Ba", "bar", "c!");
const body = fc.array(word, { maxLength: 5 }).map((words) => words.join(" "));
const fields = fc.record({
  body: fc.oneof({ weight: 6, arbitrary: body }, fc.constantFrom(null, 1, undefined)),
  kind: fc.constantFrom("x", "y", undefined),
  owner: fc.constantFrom(1, 2, 1n, null),
});

interface Search {
  readonly text: string;
  readonly kind: readonly (string | undefined)[];
  readonly owner: readonly (number | bigint | null)[];
}

const search: fc.Arbitrary<Search> = fc.record({
  text: body,
  kind: fc.array(fc.constantFrom("x", "y", undefined), { maxLength: 1 }),
  owner: fc.array(fc.constantFrom(1, 2, 1n, null), { maxLength: 1 }),
});

const operation = fc.oneof(
  fc.record({ kind: fc.constant("insert" as const), fields }),
  fc.record({ kind: fc.constant("replace" as const), which: fc.nat(20), fields }),
  fc.record({ kind: fc.constant("delete" as const), which: fc.nat(20) }),
);
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never;

function queryOf({ text, kind, owner }: Search): Query {
  const filters: SearchFilter[] = [
    { type: "Search", fieldPath: "body", value: text },
    ...kind.map((value) => ({ type: "Eq" as const, fieldPath: "kind", value })),
    ...owner.map((value) => ({ type: "Eq" as const, fieldPath: "owner", value })),
  ];
  const source = { type: "Search", indexName: "t.s", filters, lastTermIsPrefix: true } as const;
  return { source, operators: [] };
}

function perform(transaction: Transaction, operation: Operation): void {
  if (operation.kind === "insert") {
    transaction.insert("t", operation.fields);
    return;
  }
  const ids = allDocuments(transaction).map(({ _id }) => _id as string);
  const id = ids[operation.which % ids.length];
  if (id === undefined) return;
  if (operation.kind === "delete") transaction.delete(id);
  else transaction.replace(id, operation.fields);
}

function allDocuments(transaction: Transaction): ValueObject[] {
  const source = { type: "FullTableScan", tableName: "t", order: null } as const;
  return transaction.openQuery({ source, operators: [] }).collect();
}

function results(transaction: Transaction, search: Search): ValueObject[] {
  return transaction.openQuery(queryOf(search)).collect();
}

/** Whether a document matches, without indexes. */
function matches(document: ValueObject, { text, kind, owner }: Search): boolean {
  if (typeof document.body !== "string") return false;
  if (kind.some((value) => value !== document.kind)) return false;
  if (owner.some((value) => value !== document.owner)) return false;
  const wanted = tokenize(text);
  const last = wanted.at(-1);
  return last !== undefined &&
    tokenize(document.body).some((token) => wanted.includes(token) || token.startsWith(last));
}

const textOf = (document: ValueObject) => encodeValue(document).json;

const sortedIds = (documents: readonly ValueObject[]) =>
  documents.map(({ _id }) => _id as string).sort();

Deno.test("semantics 95, 96, 100: searches find what matches, committed or not, in one order", () => {
  fc.assert(fc.property(
    fc.array(operation, { maxLength: 12 }),
    fc.array(operation, { maxLength: 6 }),
    fc.array(operation, { maxLength: 6 }),
    search,
    (committed, pending, own, search) => {
      const database = new TestDatabase([table]);
      const run = (transaction: Transaction, operations: readonly Operation[]) => {
        for (const operation of operations) perform(transaction, operation);
      };
      database.commit((transaction) => run(transaction, committed));
      const earlier = database.begin();
      run(earlier, pending);
      const { writes } = earlier.finish();
      const layer = earlier.toLayer(1);
      const transaction = database.begin({ pending: [layer] });
      run(transaction, own);
      const found = results(transaction, search);
      const expected = allDocuments(transaction).filter((document) => matches(document, search));
      assert.deepEqual(sortedIds(found), sortedIds(expected));

      database.apply(writes);
      const second = database.begin();
      run(second, own);
      const afterFirstCommit = results(second, search);
      database.apply(second.finish().writes);
      const afterAll = results(database.begin(), search);
      const bodies = (documents: readonly ValueObject[]) =>
        documents.map(({ _id, _creationTime, ...fields }) => fields);
      assert.deepEqual(bodies(afterFirstCommit), bodies(found));
      assert.deepEqual(afterAll, afterFirstCommit);
    },
  ));
});

Deno.test("semantics 101: a write that changes what a search finds touches its read set", () => {
  fc.assert(fc.property(
    fc.array(operation, { maxLength: 12 }),
    fc.array(operation, { minLength: 1, maxLength: 3 }),
    search,
    (before, change, search) => {
      const database = new TestDatabase([table]);
      database.commit((transaction) => before.forEach((each) => perform(transaction, each)));
      const query = database.begin();
      const found = results(query, search);
      const { reads } = query.finish();
      const mutation = database.begin();
      change.forEach((each) => perform(mutation, each));
      const { writes } = mutation.finish();
      database.apply(writes);
      const isTouched = writtenPoints(writes)
        .some(([index, key]) => readSetContains(reads, index, key));
      const byId = (documents: readonly ValueObject[]) =>
        new Map(documents.map((document) => [document._id, document]));
      if (!isTouched) {
        assert.deepEqual(byId(results(database.begin(), search)), byId(found));
      }
    },
  ));
});

Deno.test("searches depend on the pending transactions that change what they find", () => {
  fc.assert(fc.property(
    fc.array(operation, { maxLength: 12 }),
    fc.array(operation, { minLength: 1, maxLength: 4 }),
    search,
    (committed, pending, search) => {
      const database = new TestDatabase([table]);
      database.commit((transaction) => committed.forEach((each) => perform(transaction, each)));
      const earlier = database.begin();
      pending.forEach((each) => perform(earlier, each));
      earlier.finish();
      const without = results(database.begin(), search);
      const transaction = database.begin({ pending: [earlier.toLayer(1)] });
      const found = results(transaction, search);
      const isChanged = JSON.stringify(found.map(textOf).sort()) !==
        JSON.stringify(without.map(textOf).sort());
      if (isChanged) assert.deepEqual(transaction.finish().dependsOn, [1]);
    },
  ));
});

Deno.test("semantics 101: writes of other terms or of another filter value leave a search alone", () => {
  const database = new TestDatabase([table]);
  database.commit((transaction) => transaction.insert("t", { body: "apple", kind: "x" }));
  const touches = (search: Search, fields: Record<string, string>) => {
    const query = database.begin();
    results(query, search);
    const { reads } = query.finish();
    const mutation = database.begin();
    mutation.insert("t", fields);
    return writtenPoints(mutation.finish().writes)
      .some(([index, key]) => readSetContains(reads, index, key));
  };
  const apple = { text: "green app", kind: [], owner: [] };
  assert.ok(touches(apple, { body: "An application" }));
  assert.ok(touches(apple, { body: "GREEN!" }));
  assert.ok(!touches(apple, { body: "greens and a banana", kind: "x" }));
  assert.ok(touches({ ...apple, kind: ["x"] }, { body: "green", kind: "x" }));
  assert.ok(!touches({ ...apple, kind: ["x"] }, { body: "green", kind: "y" }));
  assert.ok(!touches({ ...apple, kind: ["x"] }, { body: "green" }));
  const long = Array.from({ length: 2000 }, (_, i) => `w${i}`).join(" ");
  assert.ok(touches(apple, { body: `${long} apple` }), "a long text stands for every term");
  assert.ok(!touches({ ...apple, kind: ["x"] }, { body: long, kind: "y" }));
});
