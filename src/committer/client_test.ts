/** The committer on its thread, over SQLite. */
import assert from "node:assert/strict";
import { checkDatabase } from "../../tests/support/database_check.ts";
import { documentWrite } from "../../tests/support/document_writes.ts";
import {
  byIdIndexId,
  type CatalogData,
  firstUserTableNumber as table,
} from "../database/catalog.ts";
import { databasePath } from "../persistence/data_folder.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import { openSnapshotReader } from "../persistence/snapshot_reader.ts";
import { lowestKey } from "../values/index_key.ts";
import { startCommitter } from "./client.ts";
import type { CommitRequest, CommitterClient } from "./protocol.ts";

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
    checkDatabase(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function insert(committer: CommitterClient, catalog: CatalogData, id: string): CommitRequest {
  return {
    snapshot: committer.appliedTimestamp,
    structureVersion: catalog.structureVersion,
    reads: [],
    writes: { documents: [documentWrite(catalog, table, { after: { _id: id } })], tables: [] },
    dependsOn: [],
  };
}

Deno.test("committer thread: commits are visible when decided and there after reopening", async () => {
  await withFolder(async (folder) => {
    let committer = await startCommitter(folder);
    const { catalog } = await committer.changeCatalog({ createTables: ["items"] });
    const reader = openSnapshotReader(databasePath(folder));
    const count = () => {
      const snapshot = reader.open();
      const documents = snapshot.count(byIdIndexId(table), { lower: lowestKey, upper: null });
      snapshot.close();
      return documents;
    };
    const applied: number[] = [];
    committer.onApplied((commits) => applied.push(...commits.map(({ timestamp }) => timestamp)));
    const ids = Array.from({ length: 100 }, (_, i) => `item${i}`);
    const timestamps = await Promise.all(ids.map(async (id, i) => {
      const outcome = await committer.commit(insert(committer, catalog, id));
      assert.ok(outcome.kind === "committed");
      assert.ok(count() > i);
      await committer.durable(outcome.timestamp);
      return outcome.timestamp;
    }));
    assert.deepEqual(timestamps, applied);
    assert.equal(committer.durableTimestamp, committer.appliedTimestamp);
    reader.close();
    await committer.close();

    committer = await startCommitter(folder);
    assert.equal(committer.appliedTimestamp, timestamps.at(-1));
    assert.equal(committer.durableTimestamp, timestamps.at(-1));
    await committer.close();
  });
});

Deno.test("committer thread: a data folder has one server at a time", async () => {
  await withFolder(async (folder) => {
    const committer = await startCommitter(folder);
    await assert.rejects(startCommitter(folder), (error) => {
      assert.ok(error instanceof PersistenceError && error.code === "InUse");
      assert.match(
        error.message,
        new RegExp(`in use by another Hull server \\(process ${Deno.pid}\\)`),
      );
      return true;
    });
    await committer.close();
    await (await startCommitter(folder)).close();
  });
});
