/** The consistency check that ends every test which opened a database. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";

/** Fails if a database file in the data folder is damaged. */
export function checkDatabase(dataFolder: string): void {
  const files = [...Deno.readDirSync(dataFolder)].map(({ name }) => name)
    .filter((name) => /\.(sqlite3?|db)$/.test(name));
  assert.ok(files.length > 0, `no database in ${dataFolder}`);
  for (const file of files) {
    const database = new DatabaseSync(`${dataFolder}/${file}`);
    try {
      const rows = database.prepare("PRAGMA integrity_check").all();
      assert.deepEqual(rows.map((row) => ({ ...row })), [{ integrity_check: "ok" }], file);
    } finally {
      database.close();
    }
  }
}
