import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { checkDatabase } from "../../tests/support/database_check.ts";
import { documentWrite } from "../../tests/support/document_writes.ts";
import { byIdIndexId, firstUserTableNumber as table } from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { lowestKey } from "../values/index_key.ts";
import { databasePath } from "./data_folder.ts";
import type { PersistenceWriter, Snapshot } from "./persistence.ts";
import { openSnapshotReader } from "./snapshot_reader.ts";
import { openWriter } from "./writer.ts";

const pageBytes = 4096;
const everything = { lower: lowestKey, upper: null };

function next(writer: PersistenceWriter): Timestamp {
  return writer.lastTimestamp + 1 as Timestamp;
}

let inserted = 0;

/** Writes about `pages` pages in as many commits as there are megabytes, with house-keeping after each. */
function write(writer: PersistenceWriter, pages: number): void {
  for (let written = 0; written < pages * pageBytes; written += 2 ** 20) {
    const after = { _id: `item${inserted++}`, value: "x".repeat(2 ** 20) };
    const writes = { documents: [documentWrite(writer.catalog, table, { after })], tables: [] };
    writer.apply([{ timestamp: next(writer), writes }]);
    writer.maintain();
  }
}

function count(snapshot: Snapshot): number {
  return snapshot.count(byIdIndexId(table), everything);
}

async function withWriter(
  body: (writer: PersistenceWriter, folder: string) => void,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const writer = openWriter(folder);
  try {
    writer.applyCatalogChange({ createTables: ["items"] }, next(writer));
    body(writer, folder);
    await writer.sync();
    writer.close();
    checkDatabase(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function logPages(folder: string): number {
  const database = new DatabaseSync(databasePath(folder));
  const { log } = database.prepare("PRAGMA wal_checkpoint(NOOP)").get()!;
  database.close();
  return log as number;
}

Deno.test("write-ahead log: it begins again when it has grown, so it does not grow for ever", async () => {
  await withWriter((writer, folder) => {
    for (let round = 0; round < 6; round++) {
      write(writer, 2000);
      assert.ok(logPages(folder) < 5000, `${logPages(folder)} pages`);
    }
  });
});

Deno.test("write-ahead log: a long snapshot keeps it, and it begins again afterwards", async () => {
  await withWriter((writer, folder) => {
    write(writer, 100);
    const reader = openSnapshotReader(databasePath(folder));
    const snapshot = reader.open();
    const before = count(snapshot);
    write(writer, 9000);
    assert.equal(count(snapshot), before);
    assert.ok(logPages(folder) > 8000, "nothing of it could be dropped");
    snapshot.close();
    write(writer, 5000);
    assert.ok(logPages(folder) < 5000, `${logPages(folder)} pages`);
    const later = reader.open();
    assert.ok(count(later) > before);
    reader.close();
  });
});

Deno.test("write-ahead log: it stays bounded under readers that follow one another without a gap", async () => {
  const readersModule = new URL("./snapshot_reader.ts", import.meta.url).href;
  const folder = await Deno.makeTempDir();
  const writer = openWriter(folder);
  writer.applyCatalogChange({ createTables: ["items"] }, next(writer));
  // Each snapshot lasts twice as long as the time between their beginnings.
  const program = `
    import { openSnapshotReader } from ${JSON.stringify(readersModule)};
    const path = ${JSON.stringify(databasePath(folder))};
    const readers = [openSnapshotReader(path), openSnapshotReader(path)];
    const pause = new Int32Array(new SharedArrayBuffer(4));
    let open = readers[0].open();
    self.postMessage("reading");
    for (let turn = 1;; turn++) {
      const next = readers[turn % 2].open();
      Atomics.wait(pause, 0, 0, 60);
      open.close();
      open = next;
    }`;
  const url = URL.createObjectURL(new Blob([program], { type: "text/typescript" }));
  const worker = new Worker(url, { type: "module" });
  await new Promise((resolve) => worker.onmessage = resolve);
  // On a busy machine it may miss its first chance to begin again.
  let largest = 0;
  for (let round = 0; round < 100 && logPages(folder) >= largest; round++) {
    largest = logPages(folder);
    write(writer, 1000);
  }
  const hasBegunAgain = logPages(folder) < largest;
  worker.terminate();
  URL.revokeObjectURL(url);
  assert.ok(hasBegunAgain, `${largest} pages`);
  await writer.sync();
  writer.close();
  checkDatabase(folder);
  await Deno.remove(folder, { recursive: true });
});
