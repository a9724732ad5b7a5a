import assert from "node:assert/strict";
import { setImmediate } from "node:timers";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import type { LogEntry } from "./log_entry.ts";
import { LogFiles } from "./log_files.ts";

const anyNumber = { entriesMax: Infinity, bytesMax: Infinity };
const kibibyte = "x".repeat(1024);

class Folder implements AsyncDisposable {
  readonly environment = new FakeEnvironment();
  #cursor = this.environment.nowMs();

  private constructor(readonly path: string) {}

  static async make(): Promise<Folder> {
    return new Folder(await Deno.makeTempDir({ prefix: "hull-logs-" }));
  }

  open(options: { bytesMax?: number; ageMaxMs?: number } = {}): Promise<LogFiles> {
    return LogFiles.open({
      dataFolder: this.path,
      environment: this.environment,
      bytesMax: 1024 * 1024,
      ageMaxMs: 1e13,
      ...options,
    });
  }

  append(files: LogFiles, name: string, text = ""): number {
    const cursor = this.#cursor++;
    const entry: LogEntry = {
      kind: "progress",
      functionKind: "action",
      identifier: name,
      logLines: [{ level: "LOG", messages: [text], isTruncated: false, timestamp: 0 }],
      timestampMs: 0,
      requestId: "r",
      executionId: "e",
    };
    files.append({ cursor, entry });
    return cursor;
  }

  /** Names of the segments, oldest first. */
  segments(): string[] {
    return [...Deno.readDirSync(`${this.path}/logs`)].map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

async function namesAfter(files: LogFiles, cursor = 0): Promise<string[]> {
  const entries = await files.after(cursor, anyNumber);
  return entries.map(({ entry }) => entry.identifier);
}

Deno.test("logFiles are read forwards and backwards, across segments and processes", async () => {
  await using folder = await Folder.make();
  const all: string[] = [];
  let middle = 0;
  for (let round = 0; round < 3; round++) {
    const files = await folder.open();
    for (let i = 0; i < 200; i++) {
      const cursor = folder.append(files, `${round}.${i}`, kibibyte);
      all.push(`${round}.${i}`);
      if (round === 1 && i === 100) middle = cursor;
    }
    await files.close();
  }
  assert.ok(folder.segments().length >= 3);
  const files = await folder.open();
  assert.deepEqual(await namesAfter(files), all);
  assert.equal((await namesAfter(files, middle))[0], "1.101");
  const first = await files.after(middle, { entriesMax: 3, bytesMax: Infinity });
  assert.deepEqual(first.map(({ cursor }) => cursor), [middle + 1, middle + 2, middle + 3]);
  assert.equal((await files.after(0, { entriesMax: 9, bytesMax: 1 })).length, 1);
  const before = await files.before(middle, { entriesMax: 250, bytesMax: Infinity });
  assert.deepEqual(before.map(({ entry }) => entry.identifier), all.slice(50, 300));
  assert.equal((await files.before(Infinity, { entriesMax: 9, bytesMax: 3000 })).length, 2);
  await files.close();
});

Deno.test("logFiles are written without anybody asking, a moment later", async () => {
  await using folder = await Folder.make();
  const files = await folder.open();
  folder.append(files, "a");
  assert.deepEqual(folder.segments(), []);
  await folder.environment.advance(250);
  // The write itself is not under virtual time.
  const text = async () => {
    const [name] = folder.segments();
    return name === undefined ? "" : await Deno.readTextFile(`${folder.path}/logs/${name}`);
  };
  while (!(await text()).endsWith("\n")) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(JSON.parse(await text()).identifier, "a");
  await files.close();
});

Deno.test("logFiles pass over what a crash or a failing disk has left", async () => {
  await using folder = await Folder.make();
  {
    const files = await folder.open();
    for (const name of ["a", "b", "c", "d"]) folder.append(files, name);
    await files.close();
  }
  const path = `${folder.path}/logs/${folder.segments()[0]}`;
  const lines = (await Deno.readTextFile(path)).split("\n");
  lines[1] = "\0".repeat(300);
  lines[2] = lines[2]!.slice(0, -20);
  await Deno.writeTextFile(path, `${lines.slice(0, 4).join("\n")}\n${lines[3]!.slice(0, 40)}`);
  await Deno.writeTextFile(`${folder.path}/logs/notes.txt`, "not a segment");
  const files = await folder.open();
  folder.append(files, "e");
  assert.deepEqual(await namesAfter(files), ["a", "d", "e"]);
  await files.close();
});

Deno.test("logFiles stay below their size and age; the oldest go first", async () => {
  await using folder = await Folder.make();
  const files = await folder.open({ bytesMax: 256 * 1024, ageMaxMs: 3_600_000 });
  for (let i = 0; i < 600; i++) {
    folder.append(files, String(i), kibibyte);
    if (i % 10 === 9) await files.after(Infinity, anyNumber);
  }
  const sizes = folder.segments().map((name) => Deno.statSync(`${folder.path}/logs/${name}`).size);
  const total = sizes.reduce((sum, size) => sum + size);
  assert.ok(total <= 256 * 1024 && total >= 128 * 1024, String(total));
  const kept = await namesAfter(files);
  assert.deepEqual(
    kept,
    Array.from({ length: kept.length }, (_, i) => String(600 - kept.length + i)),
  );
  await files.close();

  folder.environment.epochMs = Date.now() + 3 * 3_600_000;
  const later = await folder.open({ ageMaxMs: 3_600_000 });
  assert.deepEqual(folder.segments(), []);
  await later.close();
});

Deno.test("logFiles lose entries, not the process, while they cannot be written", async () => {
  await using folder = await Folder.make();
  const files = await folder.open();
  await Deno.remove(`${folder.path}/logs`);
  folder.append(files, "lost");
  assert.deepEqual(await namesAfter(files), []);
  await Deno.mkdir(`${folder.path}/logs`);
  folder.append(files, "kept");
  assert.deepEqual(await namesAfter(files), ["kept"]);
  await files.close();
});

Deno.test("logFiles do not leave a file for each attempt to write to a full disk", async () => {
  await using folder = await Folder.make();
  const files = await folder.open();
  const { write } = Deno.FsFile.prototype;
  Deno.FsFile.prototype.write = () => Promise.reject(new Error("no space left on device"));
  try {
    for (const name of ["a", "b", "c"]) {
      folder.append(files, name);
      assert.deepEqual(await namesAfter(files), []);
    }
    assert.deepEqual(folder.segments(), []);
  } finally {
    Deno.FsFile.prototype.write = write;
  }
  folder.append(files, "kept");
  assert.deepEqual(await namesAfter(files), ["kept"]);
  await files.close();
});

Deno.test("logFiles bound what waits for a slow disk", async () => {
  await using folder = await Folder.make();
  const files = await folder.open({ bytesMax: 1024 * 1024 * 1024 });
  // None is written before this turn ends.
  for (let i = 0; i < 40; i++) folder.append(files, String(i), "x".repeat(1024 * 1024));
  assert.equal((await namesAfter(files)).length, 32);
  folder.append(files, "next");
  assert.equal((await namesAfter(files)).at(-1), "next");
  await files.close();
});

Deno.test("logFiles are read while more is logged without a pause", async () => {
  await using folder = await Folder.make();
  const files = await folder.open();
  let goesOn = true;
  const feed = () => {
    folder.append(files, "more");
    if (goesOn) setImmediate(feed);
  };
  folder.append(files, "first");
  feed();
  for (let read = 0; read < 20; read++) {
    const [first] = await files.after(0, { entriesMax: 1, bytesMax: Infinity });
    assert.equal(first?.entry.identifier, "first");
  }
  goesOn = false;
  await new Promise((resolve) => setImmediate(resolve));
  await files.close();
});

Deno.test("logFiles say which folder cannot be used", async () => {
  await using folder = await Folder.make();
  await Deno.writeTextFile(`${folder.path}/logs`, "a file");
  await assert.rejects(folder.open(), /^PersistenceError: Cannot use .*\/logs: /);
});
