/** Backing up, restoring and checking a data folder, with real servers and the real command line. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { checkDataFolder } from "../../src/maintenance/check.ts";
import { deployedModules } from "../../src/maintenance/data_folder_files.ts";
import { databasePath } from "../../src/persistence/data_folder.ts";
import { openSnapshotReader } from "../../src/persistence/snapshot_reader.ts";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

const app = {
  "convex/schema.ts": `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  messages: defineTable({ author: v.string(), body: v.any() }).index("by_author", ["author"]),
  counters: defineTable({ value: v.number() }),
});
`,
  "convex/messages.ts": `
import { v } from "convex/values";
import { action, mutation, query } from "./_generated/server";
export const send = mutation({
  args: { author: v.string(), body: v.any() },
  handler: async (ctx, args) => await ctx.db.insert("messages", args),
});
export const by = query({
  args: { author: v.string() },
  handler: async (ctx, { author }) =>
    (await ctx.db.query("messages").withIndex("by_author", (q) => q.eq("author", author)).collect())
      .map(({ body }) => body),
});
// Two documents that are always equal.
export const count = mutation({
  args: {},
  handler: async (ctx) => {
    const pair = await ctx.db.query("counters").take(2);
    for (const { _id, value } of pair) await ctx.db.patch(_id, { value: value + 1 });
    if (pair.length === 0) for (const value of [1, 1]) await ctx.db.insert("counters", { value });
  },
});
export const counters = query(async (ctx) => (await ctx.db.query("counters").take(2)).map(({ value }) => value));
export const greeting = query(async () => process.env.GREETING ?? null);
export const store = action({
  args: { text: v.string() },
  handler: async (ctx, { text }) => {
    const id = await ctx.storage.store(new Blob([text]));
    return { id, url: await ctx.storage.getUrl(id) };
  },
});
export const remove = mutation({
  args: { id: v.id("_storage") },
  handler: async (ctx, { id }) => await ctx.storage.delete(id),
});
`,
};

const options = { sanitizeOps: false, sanitizeResources: false };

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hull-backup-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The command's output; fails unless it ends with `code`. */
async function hull(code: number, ...args: string[]): Promise<string> {
  const result = await runCommand(args);
  assert.equal(result.code, code, result.output);
  return result.output;
}

async function pathOf(url: string | null): Promise<string> {
  return new URL(url!).pathname;
}

Deno.test(
  "I12: a backup of a server under load is one point in time, and a restored server serves it",
  options,
  () =>
    inFolder(async (folder) => {
      const source = await makeApp({ files: app });
      const backup = `${folder}/backup.tar`;
      const restored = `${folder}/restored`;
      let kept = "";
      let encryptionKey = "";
      {
        await using server = await ServerProcess.start();
        await server.deploy(source);
        await server.command("env", "set", "GREETING", "hello");
        const clients = new Clients(server);
        const http = clients.http();
        await http.mutation(api.messages.send, { author: "Ada", body: { nested: [1, 2n] } });
        kept = await pathOf((await http.action(api.messages.store, { text: "kept" })).url);
        const { id } = await http.action(api.messages.store, { text: "removed meanwhile" });
        await http.mutation(api.messages.count, {});

        let isRunning = true;
        const writing = (async () => {
          await http.mutation(api.messages.remove, { id });
          while (isRunning) await http.mutation(api.messages.count, {});
        })();
        const { code, output } = await server.command("backup", backup);
        isRunning = false;
        await writing;
        assert.equal(code, 0, output);
        assert.match(output, /Wrote .*backup\.tar: \d+ bytes/);
        assert.equal((await Deno.stat(backup)).mode! & 0o777, 0o600);
        const again = await server.command("backup", backup);
        assert.match(again.output, /exists\. Choose another name/);
        assert.match(
          await hull(0, "backup", `${folder}/other.tar`, "--data", server.dataFolder),
          /Wrote .*other\.tar/,
        );
        await Deno.remove(`${folder}/other.tar`);
        const anonymous = await fetch(`${server.url}/api/hull/backup`);
        assert.equal(anonymous.status, 403);
        await anonymous.body?.cancel();
        await clients.close();
        encryptionKey = await Deno.readTextFile(`${server.dataFolder}/encryption_key`);
        assert.equal((await Deno.stat(`${server.dataFolder}/encryption_key`)).mode! & 0o777, 0o600);
        const written = new TextDecoder("latin1").decode(await Deno.readFile(backup));
        for (const secret of ["hello", "GREETING=", encryptionKey.trim(), server.adminKey]) {
          assert.ok(!written.includes(secret), `the backup holds ${secret}`);
        }
      }
      await Deno.remove(source, { recursive: true });
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["backup.tar"]);

      assert.match(await hull(0, "restore", backup, "--data", restored), /Restored .*Hull 0\./);
      assert.match(await hull(0, "check", "--data", restored), /is sound/);
      assert.match(await hull(1, "restore", backup, "--data", restored), /is not empty/);
      assert.match(
        await hull(1, "serve", "--port", "0", "--data", restored),
        /encrypted under another key.*encryption_key.*HULL_ENCRYPTION_KEY.*--discard-env/,
      );
      await Deno.writeTextFile(`${restored}/encryption_key`, encryptionKey);
      await using server = await ServerProcess.start({ dataFolder: restored });
      const clients = new Clients(server);
      const http = clients.http();
      assert.deepEqual(await http.query(api.messages.by, { author: "Ada" }), [{ nested: [1, 2n] }]);
      const [first, second] = await http.query(api.messages.counters) as [number, number];
      assert.ok(first > 0 && first === second, `${first} and ${second}`);
      assert.equal(await http.query(api.messages.greeting), "hello");
      assert.equal(await (await fetch(server.url + kept)).text(), "kept");
      await clients.close();
    }),
);

Deno.test(
  "a backup that breaks off leaves no file, and the server says why",
  options,
  () =>
    inFolder(async (folder) => {
      const source = await makeApp({ files: app });
      await using server = await ServerProcess.start({ dataFolder: `${folder}/data` });
      await server.deploy(source);
      await Deno.remove(source, { recursive: true });
      const clients = new Clients(server);
      const { id, url } = await clients.http().action(api.messages.store, { text: "lost" });
      await Deno.remove(`${folder}/data/files/${(await pathOf(url)).split("/").at(-1)}`);
      const { code, output } = await server.command("backup", `${folder}/backup.tar`);
      assert.equal(code, 1);
      assert.match(output, /^✖ The answer of \S+ broke off/m);
      await server.firstLine(/A backup broke off.*which belongs to the data, cannot be read/);
      assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["data"]);
      await clients.http().mutation(api.messages.remove, { id });
      assert.equal((await server.command("backup", `${folder}/backup.tar`)).code, 0);
      await clients.close();
    }),
);

Deno.test(
  "a backup of an earlier layout is restored, and a start upgrades it",
  options,
  () =>
    inFolder(async (folder) => {
      const data = `${folder}/data`;
      await writeOldBackup(`${folder}/1.tar`);
      await hull(0, "restore", `${folder}/1.tar`, "--data", data);
      assert.match(await hull(1, "check", "--data", data), /earlier version of Hull \(layout 1/);
      assert.match(await hull(1, "backup", `${folder}/2.tar`, "--data", data), /earlier version/);
      await using server = await ServerProcess.start({ dataFolder: data });
      const clients = new Clients(server);
      const http = clients.http();
      const ada = { author: "Ada" };
      await http.mutation(api.messages.send, { ...ada, body: "now" });
      assert.deepEqual(
        await http.query(api.messages.by, ada),
        ["first", { nested: [1, 2.5, null] }, "third", "now"],
      );
      assert.equal(await http.query(api.messages.greeting), "hello from layout 1");
      const file = await fetch(`${server.url}/api/storage/1545c24e-8cc9-72f7-6ba1-fdeaccd2fc7e`);
      assert.equal(await file.text(), "stored by layout 1");
      await clients.close();
    }),
);

async function writeOldBackup(path: string): Promise<void> {
  const { readable } = await Deno.open("tests/fixtures/layouts/1.tar.gz");
  const file = await Deno.open(path, { write: true, create: true });
  await readable.pipeThrough(new DecompressionStream("gzip")).pipeTo(file.writable);
}

Deno.test(
  "hull restore refuses what is damaged, cut off, newer or no backup, and leaves nothing",
  options,
  () =>
    inFolder(async (folder) => {
      const path = `${folder}/backup.tar`;
      await writeOldBackup(path);
      const good = await Deno.readFile(path);
      const flipped = good.slice();
      flipped[300_000]! ^= 1;
      const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
      const replaced = (from: string, to: string) =>
        Uint8Array.from(text(good).replace(from, to), (character) => character.charCodeAt(0));
      const cases: [string, Uint8Array, RegExp][] = [
        ["damaged", flipped, /is damaged: its checksums do not match/],
        ["cut", good.subarray(0, 400_000), /ends too early/],
        ["cut at an entry", good.subarray(0, 1024), /ends too early/],
        ["newer", replaced('"layout":1', '"layout":9'), /written by a newer version of Hull/],
        ["text", new TextEncoder().encode("hello ".repeat(1000)), /is no tar archive/],
        ["empty", new Uint8Array(), /ends too early/],
      ];
      for (const [name, bytes, message] of cases) {
        await Deno.writeFile(path, bytes);
        const data = `${folder}/${name}`;
        const output = await hull(1, "restore", path, "--data", data);
        assert.match(output, message, name);
        assert.deepEqual([...Deno.readDirSync(data)], [], name);
      }
    }),
);

Deno.test("hull check names everything that is wrong", options, () =>
  inFolder(async (folder) => {
    const source = await makeApp({ files: app });
    const dataFolder = `${folder}/data`;
    const server = await ServerProcess.start({ dataFolder });
    await server.deploy(source);
    const clients = new Clients(server);
    for (const body of ["one", "two"]) {
      await clients.http().mutation(api.messages.send, { author: "Ada", body });
    }
    const [first, second] = await Promise.all(
      ["a", "b"].map((text) => clients.http().action(api.messages.store, { text })),
    );
    await clients.close();
    await server.stop();
    await Deno.remove(source, { recursive: true });

    const problems = async () => {
      const found: string[] = [];
      await checkDataFolder(dataFolder, (problem) => found.push(problem));
      return found.sort();
    };
    assert.deepEqual(await problems(), []);
    const file = async (url: string | null) =>
      `${dataFolder}/files/${(await pathOf(url)).split("/").at(-1)}`;
    await Deno.remove(await file(first!.url));
    await Deno.writeTextFile(await file(second!.url), "c");
    const reader = openSnapshotReader(databasePath(dataFolder));
    const [module] = deployedModules(reader);
    reader.close();
    await Deno.remove(`${dataFolder}/modules/${module!.file}`);
    await Deno.writeTextFile(`${dataFolder}/modules/${module!.sourceFile}`, '{"source":"other"}');
    const database = new DatabaseSync(`${dataFolder}/hull.sqlite3`);
    database.exec(`
      UPDATE documents SET json = replace(json, '"Ada"', '42') WHERE json LIKE '%"one"%';
      DELETE FROM index_entries WHERE row = (SELECT row FROM documents WHERE json LIKE '%"two"%')
        AND index_id % 4 = 1;
      INSERT INTO index_entries VALUES (77, x'00', 1);
      INSERT INTO documents VALUES (1000, 'no json'), (1001, '{}');
      INSERT INTO index_entries SELECT index_id, x'ff', 1000 FROM index_entries
        WHERE index_id % 4 = 0 AND row = (SELECT row FROM documents WHERE json LIKE '%"two"%');
      INSERT INTO records VALUES ('broken', '{');
    `);
    database.close();
    const expected = [
      /^Document \w+: it does not match the schema of messages: /,
      /^Document \w+: the index messages\.by_author does not have it\.$/,
      /^Document \w+: the index messages\.by_creation_time does not have it\.$/,
      /^Module \S+: its file is not what was pushed\. Push the app again\.$/,
      /^Stored file \w+: files\/\S+ cannot be read /,
      /^Stored file \w+: the content of files\/\S+ is not what was stored\.$/,
      /^A document of messages \(row 1000\) cannot be read: /,
      /^1 documents belong to no table: /,
      /^The file modules\/\S+ of the deployment is missing\. /,
      /^The index 77, which belongs to no table, has 1 entries that stand for nothing\.$/,
      /^The index messages\.by_id has 1 entries that stand for nothing\.$/,
      /^The index messages\.by_author has 1 entries that stand for nothing\.$/,
      /^The record broken cannot be read: /,
    ];
    const found = await problems();
    for (const pattern of expected) {
      const position = found.findIndex((problem) => pattern.test(problem));
      assert.ok(position >= 0, `${pattern} in\n${found.join("\n")}`);
      found.splice(position, 1);
    }
    assert.deepEqual(found, []);
    const output = await hull(1, "check", "--data", dataFolder);
    assert.match(output, /has 13 problems\./);
  }));
