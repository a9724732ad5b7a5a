/**
 * A disk that runs full under a running server, and a data folder that disappears. The disk is a small tmpfs;
 * mounting one needs no rights in a namespace of one's own, in which this file runs itself once more.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";
import { eventually } from "../support/waiting.ts";

const insideVariable = "HULL_TEST_NAMESPACE";
const isInside = Deno.env.get(insideVariable) === "1";
const namespace = ["--map-root-user", "--mount"];
const options = { sanitizeOps: false, sanitizeResources: false };

const app = {
  "convex/items.ts": `
import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
export const add = mutation({
  args: { text: v.string() },
  handler: async (ctx, { text }) => void await ctx.db.insert("items", { text }),
});
export const count = query(async (ctx) => (await ctx.db.query("items").collect()).length);
export const uploadUrl = mutation(async (ctx) => await ctx.storage.generateUploadUrl());
`,
};

async function canMount(): Promise<boolean> {
  const script = 'mount -t tmpfs tmpfs "$0"';
  const folder = await Deno.makeTempDir();
  try {
    const { success } = await new Deno.Command("unshare", {
      args: [...namespace, "sh", "-c", script, folder],
      stdout: "null",
      stderr: "null",
    }).output();
    return success;
  } catch {
    return false;
  } finally {
    await Deno.remove(folder);
  }
}

Deno.test({
  name: "a full disk (needs Linux and unprivileged namespaces)",
  ...options,
  ignore: isInside || !await canMount(),
  async fn() {
    const { success, stdout } = await new Deno.Command("unshare", {
      args: [
        ...namespace,
        Deno.execPath(),
        "test",
        "-A",
        "--no-check",
        fileURLToPath(import.meta.url),
      ],
      env: { [insideVariable]: "1", NO_COLOR: "1" },
      stderr: "inherit",
    }).output();
    assert.ok(success, new TextDecoder().decode(stdout));
  },
});

Deno.test({
  name: "full disk: writes fail clearly, reads and subscriptions go on, and it recovers by itself",
  ...options,
  ignore: !isInside,
  async fn() {
    const disk = await Deno.makeTempDir();
    const mount = await new Deno.Command("mount", {
      args: ["-t", "tmpfs", "-o", "size=48m", "tmpfs", disk],
    }).output();
    assert.ok(mount.success);
    const folder = await makeApp({ files: app });
    {
      await using server = await ServerProcess.start({ dataFolder: `${disk}/data` });
      await server.deploy(folder);
      const clients = new Clients(server);
      const http = clients.http();
      const counted = watch(clients.live(), api.items.count, {});
      const url = await http.mutation(api.items.uploadUrl, {});
      await http.mutation(api.items.add, { text: "before" });
      await counted.until((count) => count === 1, "the first item");

      await fill(`${disk}/ballast`);
      const text = "x".repeat(500_000);
      let added = 0;
      const failure = await (async () => {
        // The log has some room left in the blocks that it already has.
        for (; added < 100; added++) await http.mutation(api.items.add, { text });
      })().catch((error: Error) => error);
      assert.ok(failure instanceof Error, "the disk is full");
      assert.match(failure.message, /DiskFull.*disk is full.*Free some space/s);
      assert.equal(await http.query(api.items.count, {}), 1 + added);
      await counted.until((count) => count === 1 + added, "what was acknowledged");
      const upload = await fetch(url, { method: "POST", body: text });
      assert.equal(upload.status, 503);
      assert.match(await upload.text(), /"code":"DiskFull"/);

      // Files that the push no longer needs are removed about now, which makes room once more.
      let ballast = 0;
      const backup = await eventually(async () => {
        await fill(`${disk}/ballast${++ballast}`);
        const result = await server.command("backup", `${folder}/backup${ballast}.tar`);
        return result.code === 0 ? undefined : result;
      }, "a backup that has no room");
      assert.match(backup.output, /disk is full/);

      const large = await makeApp({
        files: { ...app, "convex/more.ts": `export const text = ${JSON.stringify(text)};` },
      });
      await assert.rejects(server.deploy(large), /disk is full.*Free some space/s);
      assert.equal(await http.query(api.items.count, {}), 1 + added, "the old code answers");

      for (let n = 1; n <= ballast; n++) await Deno.remove(`${disk}/ballast${n}`);
      await Deno.remove(`${disk}/ballast`);
      await http.mutation(api.items.add, { text });
      await counted.until((count) => count === 2 + added, "the first item after that");
      assert.equal((await fetch(url, { method: "POST", body: text })).status, 200);
      await server.deploy(large);
      assert.equal(await http.query(api.items.count, {}), 2 + added);
      assert.ok(server.isRunning);
      await clients.close();
      await Deno.remove(large, { recursive: true });
    }
    await Deno.remove(folder, { recursive: true });
    await new Deno.Command("umount", { args: [disk] }).output();
    await Deno.remove(disk);
  },
});

async function fill(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, create: true });
  for (let size = 2 ** 20; size >= 4096;) {
    try {
      await file.write(new Uint8Array(size));
    } catch {
      size /= 2;
    }
  }
}

Deno.test({
  name: "a data folder that is deleted stops the server before it acknowledges anything more",
  ...options,
  ignore: isInside || Deno.build.os === "windows",
  async fn() {
    const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
    const folder = await makeApp({ files: app });
    const server = await ServerProcess.start({ dataFolder });
    await server.deploy(folder);
    const http = new Clients(server).http();
    await http.mutation(api.items.add, { text: "kept" });
    await Deno.remove(dataFolder, { recursive: true });
    await assert.rejects(http.mutation(api.items.add, { text: "lost" }));
    await server.firstLine(/was deleted while the server was using it/);
    await eventually(async () => server.isRunning ? undefined : true, "its end");
    await server.kill();
    await Deno.remove(folder, { recursive: true });
  },
});
