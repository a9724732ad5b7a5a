/**
 * A large file goes through the server without lying in its memory. HULL_TEST_UPLOAD_MIB=1024 runs it at the size that
 * is promised; a small one shows the same.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { Readable } from "node:stream";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";

const MiB = 1024 * 1024;
const sizeMiB = Number(Deno.env.get("HULL_TEST_UPLOAD_MIB") ?? 160);
const extraMiBMax = 100;
/** `ctx.storage.get` reads no larger ones. */
const blobMiB = 120;

const files = `
import { v } from "convex/values";
import { mutation, query } from "./_generated/server";
export const uploadUrl = mutation((ctx) => ctx.storage.generateUploadUrl());
export const url = query({ args: { id: v.id("_storage") }, handler: (ctx, { id }) => ctx.storage.getUrl(id) });
export const metadata = query({ args: { id: v.id("_storage") }, handler: (ctx, { id }) => ctx.db.system.get(id) });
`;

/** What a function stores, gets and stores again, in each runtime. */
const storing = `
const MiB = 1024 * 1024;
const make = () => new Blob(Array.from({ length: ${blobMiB} }, (_, n) => new Uint8Array(MiB).fill(n)));
async function both(ctx) {
  const id = await ctx.storage.store(make());
  return [id, await ctx.storage.store(await ctx.storage.get(id))];
}
`;
const inIsolate = `
import { action, httpAction } from "./_generated/server";
${storing}
export const store = action({ args: {}, handler: both });
export const respond = httpAction(async (ctx) => Response.json(await both(ctx)));
`;
const inNode = `"use node";
import { action } from "./_generated/server";
${storing}
export const store = action({ args: {}, handler: both });
`;
const router = `
import { httpRouter } from "convex/server";
import { respond } from "./isolate";
const http = httpRouter();
http.route({ path: "/store", method: "POST", handler: respond });
export default http;
`;

/** Like a browser's: of a length that is announced. */
function upload(url: string, pieces: Iterable<Uint8Array>, length: number): Promise<string> {
  const headers = { "content-length": length };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method: "POST", headers }, async (response) => {
      const text = (await response.toArray()).join("");
      resolve(JSON.parse(text).storageId);
    });
    outgoing.on("error", reject);
    Readable.from(pieces).pipe(outgoing);
  });
}

function* pieces(digest = createHash("sha256")): Generator<Uint8Array> {
  for (let i = 0; i < sizeMiB; i++) {
    const piece = new Uint8Array(MiB).fill(i);
    digest.update(piece);
    yield piece;
  }
}

Deno.test({
  name:
    "semantics §19: a large file needs less than 100 MiB of the server's memory on its way in and out",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const app = await makeApp({
      files: {
        "convex/files.ts": files,
        "convex/isolate.ts": inIsolate,
        "convex/node.ts": inNode,
        "convex/http.ts": router,
      },
    });
    await using server = await ServerProcess.start();
    await server.deploy(app);
    await Deno.remove(app, { recursive: true });
    const clients = new Clients(server);
    const http = clients.http();
    const memoryMiB = async (field: string) => {
      const status = await Deno.readTextFile(`/proc/${server.pid}/status`);
      return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)![1]) / 1024;
    };
    const target: string = await http.mutation(api.files.uploadUrl, {});
    await upload(target, [new Uint8Array(MiB)], MiB);
    const before = await memoryMiB("VmRSS");

    const digest = createHash("sha256");
    const id = await upload(target, pieces(digest), sizeMiB * MiB);
    const uploaded = await memoryMiB("VmHWM") - before;
    assert.ok(uploaded < extraMiBMax, `${uploaded} MiB more for the upload`);

    const url: string = await http.query(api.files.url, { id });
    const served = createHash("sha256");
    for await (const piece of (await fetch(url)).body!) served.update(piece);
    assert.equal(served.digest("hex"), digest.digest("hex"));
    const downloaded = await memoryMiB("VmHWM") - before;
    assert.ok(downloaded < extraMiBMax, `${downloaded} MiB more for upload and download`);

    const metadata = async (id: string) => await http.query(api.files.metadata, { id });
    const actions = {
      action: () => http.action(api.isolate.store, {}),
      "HTTP action": () => fetch(`${server.url}/store`, { method: "POST" }).then((r) => r.json()),
      "Node action": () => http.action(api.node.store, {}),
    };
    for (const [name, run] of Object.entries(actions)) {
      const [first, second] = await run();
      const [stored, again] = [await metadata(first), await metadata(second)];
      assert.deepEqual([stored.size, again.size], [blobMiB * MiB, blobMiB * MiB], name);
      assert.equal(stored.sha256, again.sha256, name);
    }
    const moved = await memoryMiB("VmHWM") - before;
    assert.ok(moved < extraMiBMax, `${moved} MiB more for what actions store and get`);
    await clients.close();
  },
});
