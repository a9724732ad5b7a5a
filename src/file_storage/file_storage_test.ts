import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { FakeEnvironment, settle } from "../../tests/support/fake_environment.ts";
import { openMemoryDatabase } from "../../tests/support/memory_database.ts";
import { appComponent } from "../database/component.ts";
import { fileKey } from "../database/storage_urls.ts";
import { MemoryPersistence } from "../persistence/memory.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import { RemovalHold } from "../persistence/removal_hold.ts";
import { FileStorage } from "./file_storage.ts";
import { FileStore } from "./file_store.ts";

const secret = "ab".repeat(32);
const plain = { contentType: null, sha256: null };
const bytes = (text: string) => [Buffer.from(text)];

class Setup {
  readonly environment = new FakeEnvironment();
  readonly files: FileStorage;
  readonly removals = new RemovalHold();
  readonly transactions;

  constructor(readonly folder: string, persistence: MemoryPersistence, startMs = 0) {
    this.environment.epochMs = startMs;
    const { committer, transactions } = openMemoryDatabase(this.environment, persistence);
    this.transactions = transactions;
    this.files = new FileStorage({
      store: new FileStore(folder, this.environment),
      transactions,
      committer,
      removals: this.removals,
      environment: this.environment,
      secret,
      origin: () => "http://x",
    });
  }

  /** Names in the folder of the files, and of those that were not finished. */
  onDisk(): string[] {
    const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name);
    const incoming = names(`${this.folder}/files/incoming`).map(() => "incoming");
    return [...names(`${this.folder}/files`).filter((name) => name !== "incoming"), ...incoming];
  }
}

async function withSetup(
  test: (setup: Setup, persistence: MemoryPersistence) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const persistence = new MemoryPersistence();
    await test(new Setup(folder, persistence), persistence);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("FileStorage add() keeps the bytes under the UUID of their URL", () =>
  withSetup(async (setup) => {
    const id = await setup.files.add(bytes("hello"), { ...plain, contentType: "text/plain" });
    const file = setup.files.find(id)!;
    assert.partialDeepStrictEqual(file, { size: 5, contentType: "text/plain" });
    assert.equal(Buffer.from((await setup.files.read(file, 0, 100))!).toString(), "hello");
    assert.equal(Buffer.from((await setup.files.read(file, 1, 3))!).toString(), "ell");
    assert.deepEqual(setup.onDisk(), [fileKey(secret, id)]);
    assert.deepEqual(setup.files.findByKey(file.key), file);
    assert.equal(setup.files.findByKey("x"), undefined);
  }));

Deno.test("FileStorage add() leaves nothing when the bytes break off or have another digest", () =>
  withSetup(async (setup) => {
    const brokenOff = (function* () {
      yield Buffer.from("hel");
      throw new Error("connection lost");
    })();
    await assert.rejects(setup.files.add(brokenOff, plain), /connection lost/);
    const sha256 = Buffer.alloc(32).toString("base64");
    await assert.rejects(setup.files.add(bytes("hello"), { ...plain, sha256 }), {
      code: "Sha256Mismatch",
    });
    assert.deepEqual(setup.onDisk(), []);
  }));

Deno.test("FileStorage add() leaves nothing when the document is refused, such as by a full disk", () =>
  withSetup(async (setup, persistence) => {
    persistence.faults.transaction = () => {
      throw new PersistenceError("DiskFull", "The disk is full.");
    };
    await assert.rejects(setup.files.add(bytes("hello"), plain), { code: "DiskFull" });
    assert.deepEqual(setup.onDisk(), []);
  }));

Deno.test("FileStorage open() finds nothing of a file that was deleted meanwhile", () =>
  withSetup(async (setup) => {
    const file = setup.files.find(await setup.files.add(bytes("hello"), plain))!;
    await setup.files.delete(setup.files.findByKey(file.key)!.key, appComponent);
    while (setup.onDisk().length > 0) await settle();
    assert.equal(await setup.files.open(file, 0), null);
  }));

Deno.test("FileStorage add(): the bytes are in place before the document is committed", () =>
  withSetup(async (setup, persistence) => {
    let onDiskAtCommit: string[] = [];
    persistence.faults.transaction = () => onDiskAtCommit = setup.onDisk();
    const id = await setup.files.add(bytes("hello"), plain);
    assert.deepEqual(onDiskAtCommit, [fileKey(secret, id)]);
  }));

Deno.test("whoever deletes the document, the bytes are removed when that is durable", () =>
  withSetup(async (setup, persistence) => {
    const id = await setup.files.add(bytes("hello"), plain);
    const { promise: disk, resolve: flush } = Promise.withResolvers<void>();
    persistence.faults.sync = () => disk;
    const deleted = setup.transactions.write(({ system }) => system.delete(id));
    await settle();
    assert.equal(setup.files.find(id), null);
    assert.deepEqual(setup.onDisk(), [fileKey(secret, id)]);
    flush();
    await deleted;
    while (setup.onDisk().length > 0) await settle();
  }));

Deno.test("while removals are held, as by a backup, the bytes of a deleted document stay", () =>
  withSetup(async (setup) => {
    const id = await setup.files.add(bytes("hello"), plain);
    const release = setup.removals.hold();
    await setup.transactions.write(({ system }) => system.delete(id));
    await settle();
    assert.deepEqual(setup.onDisk(), [fileKey(secret, id)]);
    release();
    while (setup.onDisk().length > 0) await settle();
  }));

Deno.test("recover() removes bytes that no document belongs to, and nothing else", () =>
  withSetup(async (setup, persistence) => {
    const id = await setup.files.add(bytes("kept"), plain);
    const { folder } = setup;
    await Deno.writeTextFile(`${folder}/files/${crypto.randomUUID()}`, "never committed");
    await Deno.writeTextFile(`${folder}/files/incoming/1`, "unfinished");
    const restarted = new Setup(folder, persistence, 1e12);
    await settle();
    const added = await restarted.files.add(bytes("of this run"), plain);
    await restarted.files.recover();
    const expected = [fileKey(secret, id), fileKey(secret, added)];
    assert.deepEqual(restarted.onDisk().sort(), expected.sort());
  }));
