import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { documentWrite } from "../../tests/support/document_writes.ts";
import { firstUserTableNumber as table, type SearchIndex } from "../database/catalog.ts";
import { NaiveSearch } from "../database/search/search_testing.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { checkDatabase } from "./database_check.ts";
import { databasePath } from "./data_folder.ts";
import { openSnapshotReader } from "./snapshot_reader.ts";
import { openWriter } from "./writer.ts";

/** A database with `bodies` as documents of a table with a full-text index, and nobody who uses it. */
function withTexts(bodies: readonly string[], body: (path: string, index: SearchIndex) => void) {
  const folder = Deno.makeTempDirSync();
  const writer = openWriter(folder);
  const next = () => writer.lastTimestamp + 1 as Timestamp;
  const created = {
    kind: "search" as const,
    table: "items",
    name: "by_body",
    searchField: "body",
    filterFields: ["kind"],
    staged: false,
  };
  const { indexes } = writer.applyCatalogChange({
    createTables: ["items"],
    createIndexes: [created],
  }, next());
  const [{ id }] = indexes as [SearchIndex];
  writer.applyCatalogChange({ setIndexState: [{ id, state: "ready" }] }, next());
  const documents = bodies.map((body, i) =>
    documentWrite(writer.catalog, table, { after: { _id: `d${i}`, _creationTime: i, body } })
  );
  writer.apply([{ timestamp: next(), writes: { documents, tables: [] } }]);
  const index = writer.catalog.indexes[0] as SearchIndex;
  writer.close();
  try {
    body(databasePath(folder), index);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("checkDatabase() finds texts that are missing, wrong or nobody's", () => {
  withTexts(["one", "two two", "three"], (path, index) => {
    const problems = (...sql: string[]) => {
      const database = new DatabaseSync(path);
      for (const each of sql) database.exec(each);
      database.close();
      const found: string[] = [];
      checkDatabase(path, (problem) => found.push(problem));
      return found;
    };
    assert.deepEqual(problems(), []);
    assert.deepEqual(problems("UPDATE search_entries SET length = 7 WHERE id = 'd1'"), [
      "Document d1: the index items.by_body has something else in its place.",
    ]);
    assert.deepEqual(
      problems(
        "UPDATE search_entries SET length = 2 WHERE id = 'd1'",
        "UPDATE search_statistics SET documents = 4",
      ),
      ["The index items.by_body counts 4 documents and 4 words in it, not 3 and 4."],
    );
    assert.deepEqual(
      problems(
        "UPDATE search_statistics SET documents = 3",
        "DELETE FROM search_tokens WHERE rowid = 1",
        `INSERT INTO search_tokens (rowid, "2") VALUES (1, '${index.id.toString(36)}§one')`,
      ),
      ["The index items.by_body finds other words than its documents have."],
    );
    const [missing, excess, ...rest] = problems(
      "DELETE FROM search_entries WHERE id = 'd2'",
      `INSERT INTO search_entries VALUES (9, ${index.id}, 99, 'd9', 0, 0)`,
      `INSERT INTO search_entries VALUES (10, ${index.id}, 98, 'd9', 0, 0)`,
    );
    assert.equal(missing, "Document d2: the index items.by_body does not have it.");
    assert.equal(excess, "The index items.by_body has 2 entries that stand for nothing.");
    assert.equal(rest.length, 2);
  });
});

Deno.test("FullTextReader rank() scores as the formula says, in the order of score and age", () => {
  const bodies = ["a", "a b", "b a a", "a ".repeat(40), "b b c", "c", "a b c d e f", "a"];
  withTexts(bodies, (path, index) => {
    const reader = openSnapshotReader(path);
    const snapshot = reader.open();
    const naive = new NaiveSearch(() =>
      bodies.map((body, i) => JSON.stringify({ _id: `d${i}`, _creationTime: i, body }))
    );
    const terms = [{ term: "a", weight: 1.25 }, { term: "b", weight: 3 }];
    const request = { terms, averageLength: 2.5, filters: [] };
    const rank = (search: typeof snapshot.search) =>
      search.rank(index, request, 100).map(({ id, score }) => [id, Math.fround(score)]);
    assert.deepEqual(rank(snapshot.search), rank(naive));
    snapshot.close();
    reader.close();
  });
});
