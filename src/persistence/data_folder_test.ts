/** What SQLite persistence says about folders and files it cannot use, and how it guards its own. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { checkDatabase } from "../../tests/support/database_check.ts";
import { documentWrite } from "../../tests/support/document_writes.ts";
import { systemIndexes, systemTables } from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { databasePath, lockPath } from "./data_folder.ts";
import { layoutVersion } from "./migrations.ts";
import {
  leftNoTrace,
  PersistenceError,
  persistenceError,
  type PersistenceErrorCode,
} from "./persistence_error.ts";
import { openSnapshotReader } from "./snapshot_reader.ts";
import { checkSqliteVersion } from "./sqlite.ts";
import { openWriter } from "./writer.ts";

function withFolder(name: string, body: (folder: string) => void | Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await body(folder);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function throwsCode(body: () => unknown, code: PersistenceErrorCode, message: RegExp): void {
  assert.throws(body, (error) => {
    assert.ok(error instanceof PersistenceError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  });
}

withFolder("openWriter() creates the folder and opens it again", (folder) => {
  const nested = `${folder}/a/b`;
  openWriter(nested).close();
  openWriter(nested).close();
});

Deno.test({
  name: "openWriter() makes the folder for its owner alone, and leaves one that is there as it is",
  ignore: Deno.build.os === "windows",
  async fn() {
    const folder = await Deno.makeTempDir();
    const modeOf = (path: string) => Deno.statSync(path).mode! & 0o777;
    openWriter(`${folder}/parent/new`).close();
    assert.equal(modeOf(`${folder}/parent/new`), 0o700);
    assert.notEqual(modeOf(`${folder}/parent`), 0o700);
    Deno.mkdirSync(`${folder}/shared`);
    Deno.chmodSync(`${folder}/shared`, 0o750);
    openWriter(`${folder}/shared`).close();
    assert.equal(modeOf(`${folder}/shared`), 0o750);
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "openWriter() refuses folders that isolates may not read",
  ignore: Deno.build.os !== "linux",
  fn() {
    throwsCode(() => openWriter("/dev/shm/hull"), "NotWritable", /nothing below \/dev/);
  },
});

withFolder("openWriter() refuses a folder that is a file", (folder) => {
  Deno.writeTextFileSync(`${folder}/data`, "");
  throwsCode(
    () => openWriter(`${folder}/data`),
    "NotWritable",
    /cannot be used.*Choose another one with --data/,
  );
});

withFolder(
  "openWriter() refuses files that are no database of Hull, and leaves them alone",
  (folder) => {
    Deno.writeTextFileSync(databasePath(folder), "minutes of the last meeting\n".repeat(100));
    throwsCode(() => openWriter(folder), "NotADatabase", /not a SQLite database/);
    Deno.removeSync(databasePath(folder));

    const foreign = new DatabaseSync(databasePath(folder));
    foreign.exec("CREATE TABLE minutes (text TEXT)");
    foreign.close();
    throwsCode(() => openWriter(folder), "NotADatabase", /was not made by Hull/);
  },
);

withFolder("openWriter() refuses a layout from the future", (folder) => {
  openWriter(folder).close();
  const database = new DatabaseSync(databasePath(folder));
  database.exec(`PRAGMA user_version = ${layoutVersion + 1}`);
  database.close();
  throwsCode(() => openWriter(folder), "TooNew", /written by a newer version of Hull/);
});

withFolder("openWriter() brings the first layout up to date, with what it holds", (folder) => {
  const before = openWriter(folder);
  const index = { kind: "database" as const, table: "items", name: "by_n", fields: ["n"] };
  before.applyCatalogChange({
    createTables: ["items"],
    createIndexes: [{ ...index, staged: false }],
  }, before.lastTimestamp + 1 as never);
  const { indexes } = before.catalog;
  const job = { _id: "j", _creationTime: 1, completedTime: 2, state: { kind: "success" } };
  const documents = [
    documentWrite(before.catalog, systemTables._scheduled_functions, { after: job }),
  ];
  before.apply([{
    timestamp: before.lastTimestamp + 1 as never,
    writes: { documents, tables: [] },
  }]);
  before.close();
  const database = new DatabaseSync(databasePath(folder));
  const views = ["search_occurrences", "search_terms"];
  const histories = ["history_revisions", "history_entries", "history_rows"];
  const tables = ["search_tokens", "search_entries", "search_statistics", "vectors", ...histories];
  for (const later of [...views, ...tables]) database.exec(`DROP TABLE ${later}`);
  const byCompletedTime = systemIndexes.find(({ name }) => name === "by_completed_time")!.id;
  database.exec(`DELETE FROM index_entries WHERE index_id = ${byCompletedTime}`);
  database.exec("UPDATE catalog SET json = json_remove(json, '$.indexes[0].kind')");
  database.exec("ALTER TABLE state DROP COLUMN history_start");
  database.exec("PRAGMA user_version = 1");
  database.close();

  const after = openWriter(folder);
  assert.deepEqual(after.catalog.indexes, indexes);
  after.close();
  checkDatabase(folder);
});

withFolder("openWriter() reports a damaged database", (folder) => {
  const writer = openWriter(folder);
  writer.applyCatalogChange({ createTables: ["items"] }, writer.lastTimestamp + 1 as never);
  writer.close();
  const bytes = Deno.readFileSync(databasePath(folder));
  bytes.fill(0xff, 4096);
  Deno.writeFileSync(databasePath(folder), bytes);
  throwsCode(() => openWriter(folder), "Corrupt", /damaged/);
  // A failed open does not leave the folder locked: the next one fails for the same reason.
  throwsCode(() => openWriter(folder), "Corrupt", /damaged/);
});

withFolder("openWriter() keeps a second writer out and names the process", (folder) => {
  const writer = openWriter(folder);
  throwsCode(() => openWriter(folder), "InUse", new RegExp(`process ${Deno.pid}\\)`));
  writer.close();
  openWriter(folder).close();
});

withFolder("openWriter(): the lock of a killed server does not stay", async (folder) => {
  const module = new URL("./writer.ts", import.meta.url).href;
  const program = `
    const { openWriter } = await import(${JSON.stringify(module)});
    openWriter(${JSON.stringify(folder)});
    console.log("open");
    setInterval(() => {}, 1000);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program],
    stdout: "piped",
  }).spawn();
  const output = child.stdout.getReader();
  await output.read();
  throwsCode(() => openWriter(folder), "InUse", new RegExp(`process ${child.pid}\\)`));
  child.kill("SIGKILL");
  await child.status;
  await output.cancel();
  openWriter(folder).close();
  assert.equal(Deno.readTextFileSync(lockPath(folder)), String(Deno.pid));
});

withFolder("openSnapshotReader() needs a database that a writer has made", (folder) => {
  throwsCode(() => openSnapshotReader(databasePath(folder)), "NotWritable", /unable to open/);
});

withFolder(
  "openSnapshotReader() works in a thread that may only read the folder",
  async (folder) => {
    const writer = openWriter(folder);
    const module = new URL("./snapshot_reader.ts", import.meta.url).href;
    const program = `
    import { openSnapshotReader } from ${JSON.stringify(module)};
    const reader = openSnapshotReader(${JSON.stringify(databasePath(folder))});
    self.postMessage(reader.open().timestamp);`;
    const url = URL.createObjectURL(new Blob([program], { type: "text/typescript" }));
    const worker = new Worker(url, {
      type: "module",
      deno: { permissions: { read: [folder] } },
    });
    const timestamp = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = reject;
    });
    assert.equal(timestamp, 0);
    worker.terminate();
    URL.revokeObjectURL(url);
    writer.close();
  },
);

withFolder(
  "a database that another program has locked refuses writes, and takes them afterwards",
  (folder) => {
    const writer = openWriter(folder);
    const reader = openSnapshotReader(databasePath(folder));
    const other = new DatabaseSync(databasePath(folder));
    const change = () =>
      writer.applyCatalogChange({ createTables: ["items"] }, writer.lastTimestamp + 1 as Timestamp);
    other.exec("BEGIN IMMEDIATE");
    throwsCode(change, "Locked", /Close every other program/);
    reader.open().close();
    other.exec("ROLLBACK");
    other.close();
    change();
    reader.close();
    writer.close();
    checkDatabase(folder);
  },
);

Deno.test("checkSqliteVersion() refuses versions with the defect of WAL resets", () => {
  for (const version of ["3.51.3", "3.52.0", "4.0.0"]) checkSqliteVersion(version);
  for (const version of ["3.51.2", "3.50.9", "2.99.99"]) {
    throwsCode(() => checkSqliteVersion(version), "UnsafeSqlite", /3\.51\.3 or newer/);
  }
});

Deno.test("persistenceError() names cause and remedy, and whether the server may go on", () => {
  const cases: [text: string, PersistenceErrorCode, harmless: boolean][] = [
    ["database or disk is full", "DiskFull", true],
    ["database is locked", "Locked", true],
    ["UNIQUE constraint failed: documents.row", "Constraint", true],
    ["attempt to write a readonly database", "NotWritable", false],
    ["Read-only file system (os error 30)", "NotWritable", false],
    ["database disk image is malformed", "Corrupt", false],
    ["disk I/O error", "Failed", false],
  ];
  for (const [text, code, harmless] of cases) {
    const error = persistenceError("use", "/data/hull.sqlite3", new Error(text));
    assert.equal(error.code, code, text);
    assert.equal(leftNoTrace(error), harmless, text);
    assert.ok(error.message.startsWith(`Cannot use /data/hull.sqlite3: ${text}.`));
  }
  assert.ok(leftNoTrace(new TypeError("a defect of ours")));
});
