import assert from "node:assert/strict";
import { TestDatabase } from "./database_testing.ts";
import type { Query } from "./query.ts";

function group(value: string): Query {
  const range = [{ type: "Eq", fieldPath: "group", value }] as const;
  return {
    source: { type: "IndexRange", indexName: "items.by_group", range, order: null },
    operators: [],
  };
}

Deno.test("a scan depends on the pending layer that hid a document from it, wherever that layer saw it", () => {
  const database = new TestDatabase([{ name: "items", indexes: { by_group: ["group"] } }]);
  const id = database.commit((transaction) => transaction.insert("items", { group: "old" }));
  const removing = database.begin();
  removing.delete(id);
  const pending = [removing.toLayer(1)];
  // Another isolate's commit, with which the removal is going to conflict.
  database.commit((transaction) => transaction.patch(id, { group: "new" }));

  const scanning = database.begin({ pending });
  assert.deepEqual(scanning.openQuery(group("new")).collect(), []);
  assert.deepEqual(scanning.finish().dependsOn, [1]);

  const elsewhere = database.begin({ pending });
  assert.deepEqual(elsewhere.openQuery(group("third")).collect(), []);
  assert.deepEqual(elsewhere.finish().dependsOn, []);
});
