/** The committer's process is killed while it writes, over and over, on one data folder. */
import assert from "node:assert/strict";
import {
  byCreationTimeIndexId,
  byIdIndexId,
  firstUserTableNumber as table,
} from "../../src/database/catalog.ts";
import { databasePath } from "../../src/persistence/data_folder.ts";
import { openSnapshotReader } from "../../src/persistence/snapshot_reader.ts";
import { openWriter } from "../../src/persistence/writer.ts";
import { lowestKey } from "../../src/values/index_key.ts";
import { checkDatabase } from "../support/database_check.ts";
import { seededRandom } from "../support/random.ts";

const kills = Number(Deno.env.get("HULL_TEST_KILLS") ?? 5);
const everything = { lower: lowestKey, upper: null };

Deno.test("I3: every acknowledged write survives SIGKILL exactly once", async () => {
  const random = seededRandom();
  console.log(`seed ${random.seed}`);
  const folder = await Deno.makeTempDir();
  const acknowledged = new Set<number>();
  try {
    for (let kill = 0; kill < kills; kill++) {
      let from = 0;
      while (acknowledged.has(from)) from++;
      await writeAndKill(folder, from, 1 + random.integer(2000), acknowledged);
      verify(folder, acknowledged);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Lets a child write until it has acknowledged `enough` writes, then kills it. */
async function writeAndKill(
  folder: string,
  from: number,
  enough: number,
  acknowledged: Set<number>,
): Promise<void> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("./committer_child.ts", import.meta.url).href, folder, `${from}`],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let text = "";
  let lines = 0;
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    lines += chunk.split("\n").length - 1;
    if (lines >= enough) break;
  }
  child.kill("SIGKILL");
  await child.status;
  assert.ok(lines > 0, "the child has written something");
  // What follows the last line break is the beginning of a number.
  for (const line of text.split("\n").slice(0, -1)) acknowledged.add(Number(line));
}

function verify(folder: string, acknowledged: ReadonlySet<number>): void {
  openWriter(folder).close();
  checkDatabase(folder);
  const reader = openSnapshotReader(databasePath(folder));
  const snapshot = reader.open();
  const documents = snapshot.scan(byIdIndexId(table), everything, "asc", 1_000_000);
  const stored = documents.map(({ json }) => JSON.parse(json)._creationTime as number);
  assert.equal(new Set(stored).size, stored.length, "a write is there twice");
  assert.equal(snapshot.count(byCreationTimeIndexId(table), everything), stored.length);
  snapshot.close();
  const lost = acknowledged.difference(new Set(stored));
  assert.deepEqual([...lost], [], "acknowledged writes are lost");
  for (const number of acknowledged) {
    assert.equal(reader.getSessionRecord("client", number)?.result, `${number}`);
  }
  reader.close();
}
