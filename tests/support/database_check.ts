/** The consistency check that ends every test which opened a database. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import {
  builtInIndexes,
  type CatalogData,
  type DatabaseIndex,
  isDatabaseIndex,
  isFilled,
  systemIndexes,
  type TableNumber,
} from "../../src/database/catalog.ts";
import { databasePath } from "../../src/persistence/data_folder.ts";
import { bytesToKey, indexKeyOf } from "../../src/values/index_key.ts";
import { parseDocument } from "../../src/values/value.ts";

interface Entry {
  readonly index_id: number;
  readonly key: Uint8Array;
  readonly row: number;
}

interface Document {
  readonly row: number;
  readonly json: string;
}

/**
 * Fails if the file is damaged, or if documents and index entries disagree: every document must stand in each index
 * of its table exactly once, under the key that its values make, and no entry may stand for anything else. Call it
 * when no server uses the folder.
 */
export function checkDatabase(dataFolder: string): void {
  const database = new DatabaseSync(databasePath(dataFolder));
  try {
    const rows = <Row>(sql: string) => database.prepare(sql).all() as Row[];
    const [integrity] = rows<{ integrity_check: string }>("PRAGMA integrity_check");
    assert.equal(integrity?.integrity_check, "ok");
    const [{ json }] = rows<{ json: string }>("SELECT json FROM catalog") as [{ json: string }];
    const catalog: CatalogData = JSON.parse(json);
    const dropped = new Set(
      rows<{ index_id: number }>("SELECT index_id FROM dropped_indexes").map((row) => row.index_id),
    );
    const entries = rows<Entry>("SELECT index_id, key, row FROM index_entries")
      .filter((entry) => !dropped.has(entry.index_id));
    const tableOfRow = new Map<number, TableNumber>();
    for (const { index_id, row } of entries) {
      if (index_id % 4 === 0) tableOfRow.set(row, index_id / 4 as TableNumber);
    }
    const expected = rows<Document>("SELECT row, json FROM documents").flatMap(({ row, json }) => {
      const table = tableOfRow.get(row);
      assert.ok(table !== undefined, `document ${json} stands in no by_id index`);
      const document = parseDocument(json);
      return indexesOf(catalog, table).map((index) =>
        JSON.stringify([index.id, indexKeyOf(index, document), row])
      );
    });
    const filling = new Set(
      catalog.indexes.filter((index) => !isFilled(index)).map(({ id }) => id as number),
    );
    const stored = entries.filter(({ index_id }) => !filling.has(index_id))
      .map(({ index_id, key, row }) => JSON.stringify([index_id, bytesToKey(key), row]));
    assert.deepEqual(new Set(stored), new Set(expected));
    assert.equal(stored.length, expected.length);
  } finally {
    database.close();
  }
}

/** Those that must be complete. */
function indexesOf(catalog: CatalogData, table: TableNumber): readonly DatabaseIndex[] {
  const declared = [...systemIndexes, ...catalog.indexes]
    .filter(isDatabaseIndex)
    .filter((index) => index.table === table && isFilled(index));
  return [...builtInIndexes(table), ...declared];
}
