import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { documentWrite, type TestDocument } from "../../tests/support/document_writes.ts";
import { firstUserTableNumber as table, type VectorIndex } from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { checkDatabase } from "./database_check.ts";
import { databasePath } from "./data_folder.ts";
import type { PersistenceWriter } from "./persistence.ts";
import { VectorReader } from "./vector_reader.ts";
import { openWriter } from "./writer.ts";

function withIndex(
  body: (fixture: {
    index: VectorIndex;
    path: string;
    write(before: TestDocument | undefined, after: TestDocument | undefined): void;
  }) => void,
): void {
  const folder = Deno.makeTempDirSync();
  const writer = openWriter(folder);
  const spec = {
    kind: "vector" as const,
    vectorField: "vector",
    dimensions: 2,
    filterFields: ["color"],
  };
  const created = { ...spec, table: "items", name: "by_vector", staged: false };
  const { indexes } = writer.applyCatalogChange(
    { createTables: ["items"], createIndexes: [created] },
    next(writer),
  );
  const index = indexes[0] as VectorIndex;
  writer.applyCatalogChange(
    { setIndexState: [{ id: index.id, state: "ready" }] },
    next(writer),
  );
  const write = (before?: TestDocument, after?: TestDocument) => {
    const revisions = { ...before && { before }, ...after && { after } };
    const documents = [documentWrite(writer.catalog, table, revisions)];
    writer.apply([{ timestamp: next(writer), writes: { documents, tables: [] } }]);
  };
  try {
    body({ index, path: databasePath(folder), write });
  } finally {
    writer.close();
    Deno.removeSync(folder, { recursive: true });
  }
}

function next(writer: PersistenceWriter): Timestamp {
  return writer.lastTimestamp + 1 as Timestamp;
}

Deno.test("a vector gets a new entry when it or what it is filtered by changes, and only then", () => {
  withIndex(({ index, path, write }) => {
    const reader = new VectorReader(path);
    const entries = () => reader.read(() => [...reader.all(index.id)].map(({ entry }) => entry));
    const first = { _id: "a", vector: [1, 0], color: "red", text: "one" };
    write(undefined, first);
    assert.deepEqual(entries(), [1]);
    const second = { ...first, text: "two" };
    write(first, second);
    assert.deepEqual(entries(), [1]);
    const third = { ...second, color: "blue" };
    write(second, third);
    assert.deepEqual(entries(), [2]);
    const fourth = { ...third, vector: [1, 1] };
    write(third, fourth);
    assert.deepEqual(entries(), [3]);
    const fifth = { ...fourth, vector: [1] };
    write(fourth, fifth);
    assert.deepEqual(entries(), []);
    write(fifth, fourth);
    assert.deepEqual(entries(), [4], "numbers are never used again");
    write(fourth, undefined);
    assert.deepEqual(entries(), []);
    reader.close();
  });
});

Deno.test("checkDatabase() finds vectors that are missing, wrong or nobody's", () => {
  withIndex(({ index, path, write }) => {
    const problems = () => {
      const found: string[] = [];
      checkDatabase(path, (problem) => found.push(problem));
      return found;
    };
    write(undefined, { _id: "a", vector: [1, 0] });
    write(undefined, { _id: "b", vector: [0, 1] });
    assert.deepEqual(problems(), []);
    const database = new DatabaseSync(path);
    database.exec("DELETE FROM vectors WHERE document_id = 'a'");
    database.exec("UPDATE vectors SET vector = x'0000000000000000' WHERE document_id = 'b'");
    database.exec(`INSERT INTO vectors VALUES (9, ${index.id}, 99, 'c', x'', x'')`);
    database.close();
    assert.deepEqual(problems(), [
      "Document a: the index items.by_vector does not have its vector.",
      "Document b: the index items.by_vector does not have its vector.",
      "The index items.by_vector has 2 entries that stand for nothing.",
    ]);
  });
});
