import assert from "node:assert/strict";
import { TestDatabase } from "../database_testing.ts";
import type { Query } from "../query.ts";
import { type Page, QueryJournal } from "../transaction.ts";

const query: Query = {
  source: {
    type: "Search",
    indexName: "t.s",
    filters: [{ type: "Search", fieldPath: "body", value: "apple" }],
    lastTermIsPrefix: true,
  },
  operators: [],
};

function databaseWith(bodies: readonly string[]): TestDatabase {
  const searchIndexes = { s: { searchField: "body", filterFields: [] } };
  const database = new TestDatabase([{ name: "t", searchIndexes }]);
  insert(database, bodies);
  return database;
}

function insert(database: TestDatabase, bodies: readonly string[]): void {
  database.commit((transaction) => {
    for (const body of bodies) transaction.insert("t", { body });
  });
}

function page(
  database: TestDatabase,
  cursor: string | null,
  endCursor: string | null = null,
): Page {
  return database.begin({ kind: "query" })
    .paginate(query, { cursor, endCursor, pageSize: 2 }, new QueryJournal(null));
}

const bodies = ({ page }: Page) => page.map(({ body }) => body);

Deno.test("function-abi §6: pages of a search go on where they were when all scores have changed", () => {
  const database = databaseWith(["apple a", "apple b", "apple c", "apple d", "apple e"]);
  const first = page(database, null);
  assert.deepEqual(bodies(first), ["apple e", "apple d"]);
  // Touches no page, as it has none of the words, but makes the others rarer and so their scores higher.
  insert(database, ["pear", "plum", "a much longer text about fruit of another kind"]);
  const second = page(database, first.continueCursor);
  assert.deepEqual(bodies(second), ["apple c", "apple b"]);
  insert(database, ["cherry"]);
  const third = page(database, second.continueCursor);
  assert.deepEqual([bodies(third), third.isDone], [["apple a"], true]);
  const again = page(database, first.continueCursor, second.continueCursor);
  assert.deepEqual(bodies(again), ["apple c", "apple b"]);
});
