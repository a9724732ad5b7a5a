import assert from "node:assert/strict";
import {
  type Catalog,
  firstUserTableNumber as table,
  type VectorIndex,
} from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { DeveloperError } from "../errors.ts";
import { databasePath } from "../persistence/data_folder.ts";
import { openSnapshotReader } from "../persistence/snapshot_reader.ts";
import { openWriter } from "../persistence/writer.ts";
import { VectorSearch } from "./vector_search.ts";

const query = { indexName: "items.by_vector", vector: [1, 0] };

Deno.test("vector search runs on a thread of its own, which the first search starts", async () => {
  const folder = Deno.makeTempDirSync();
  const writer = openWriter(folder);
  const index = {
    kind: "vector" as const,
    table: "items",
    name: "by_vector",
    vectorField: "v",
    dimensions: 2,
    filterFields: [],
    staged: false,
  };
  const { indexes } = writer.applyCatalogChange(
    { createTables: ["items"], createIndexes: [index] },
    1 as Timestamp,
  );
  const { id } = indexes[0] as VectorIndex;
  writer.applyCatalogChange({ setIndexState: [{ id, state: "ready" }] }, 2 as Timestamp);
  const insert = {
    table,
    id: "d1",
    row: null,
    json: '{"_creationTime":1.0,"_id":"d1","v":[1.0,0.0]}',
    existed: false,
    removedKeys: [],
    addedKeys: [],
    keptKeys: [],
  };
  writer.apply([{ timestamp: 3 as Timestamp, writes: { documents: [insert], tables: [] } }]);
  const reader = openSnapshotReader(databasePath(folder));
  const search = new VectorSearch({ reader, databasePath: databasePath(folder), bytesMax: 1e6 });
  try {
    const found = { matches: [{ id: "d1", score: 1 }], timestamp: 3 };
    assert.deepEqual(await search.search(query), found);
    await assert.rejects(search.search({ ...query, vector: [1] }), DeveloperError);
    assert.deepEqual(await Promise.all([search.search(query), search.search(query)]), [
      found,
      found,
    ]);
    const waiting = search.search(query);
    search.close();
    await assert.rejects(waiting, /The server stops\./);
  } finally {
    reader.close();
    writer.close();
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("vector search that could not open the database tries again with the next search", async () => {
  const folder = Deno.makeTempDirSync();
  const index: Partial<VectorIndex> = {
    kind: "vector",
    name: "by_vector",
    dimensions: 2,
    filterFields: [],
    state: "ready",
    id: 402 as VectorIndex["id"],
  };
  const catalog = {
    tableNamed: () => ({ number: table, name: "items" }),
    indexesOf: () => [index],
  } as unknown as Catalog;
  const reader = { open: () => ({ catalog, close() {} }) } as unknown as ReturnType<
    typeof openSnapshotReader
  >;
  const search = new VectorSearch({ reader, databasePath: databasePath(folder), bytesMax: 1e6 });
  await assert.rejects(search.search(query), /unable to open database/);
  const writer = openWriter(folder);
  assert.deepEqual((await search.search(query)).matches, []);
  search.close();
  writer.close();
  Deno.removeSync(folder, { recursive: true });
});
