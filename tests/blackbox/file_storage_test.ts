/** Stored files on a real server: uploads, downloads, and what functions do with them. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";

const files = `
import { v } from "convex/values";
import { action, mutation, query } from "./_generated/server";

const id = v.id("_storage");

export const uploadUrl = mutation(async (ctx) => await ctx.storage.generateUploadUrl());
export const uploadUrlFromAction = action(async (ctx) => await ctx.storage.generateUploadUrl());
export const url = query({ args: { id }, handler: (ctx, { id }) => ctx.storage.getUrl(id) });
export const remove = mutation({ args: { id }, handler: (ctx, { id }) => ctx.storage.delete(id) });
export const metadata = query({ args: { id }, handler: (ctx, { id }) => ctx.db.system.get(id) });

export const store = action({
  args: { text: v.string(), type: v.optional(v.string()), sha256: v.optional(v.string()) },
  handler: async (ctx, { text, type, sha256 }) => {
    const blob = new Blob([text], type === undefined ? {} : { type });
    return await ctx.storage.store(blob, sha256 === undefined ? {} : { sha256 });
  },
});

export const load = action({
  args: { id },
  handler: async (ctx, { id }) => {
    const blob = await ctx.storage.get(id);
    return blob === null ? null : { text: await blob.text(), type: blob.type, size: blob.size };
  },
});

export const removeFromAction = action({
  args: { id },
  handler: async (ctx, { id }) => {
    const url = await ctx.storage.getUrl(id);
    await ctx.storage.delete(id);
    return [url, await ctx.storage.getUrl(id)];
  },
});
`;

const { test } = appServer({ files: { "convex/files.ts": files } });

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("base64");

async function upload(
  url: string,
  body: BodyInit,
  headers: Record<string, string> = {},
): Promise<{ status: number; storageId: string; code?: string }> {
  const response = await fetch(url, { method: "POST", body, headers });
  return { status: response.status, ...await response.json() };
}

async function read(url: string, headers: Record<string, string> = {}, method = "GET") {
  const response = await fetch(url, { headers, method });
  const { status } = response;
  return { status, headers: response.headers, text: await response.text() };
}

test("http-api 94, 95, 96: an uploaded file is served with its type, digest and caching rules", async ({ clients, server }) => {
  const http = clients.http();
  const target: string = await http.mutation(api.files.uploadUrl);
  assert.ok(target.startsWith(`${server.url}/api/storage/upload?token=`), target);
  const body = "hello wörld";
  const { status, storageId } = await upload(target, body, { "content-type": "text/x-own; a=b" });
  assert.equal(status, 200);
  const url: string = await http.query(api.files.url, { id: storageId });
  assert.match(url, new RegExp(`^${server.url}/api/storage/[0-9a-f-]{36}$`));
  const { headers, text } = await read(url, { origin: "https://app.example" });
  assert.equal(text, body);
  assert.partialDeepStrictEqual(Object.fromEntries(headers), {
    "content-type": "text/x-own; a=b",
    "content-length": String(new TextEncoder().encode(body).length),
    digest: `sha-256=${sha256(body)}`,
    "cache-control": "private, max-age=2592000",
    "accept-ranges": "bytes",
    "access-control-allow-origin": "https://app.example",
  });
  const document = await http.query(api.files.metadata, { id: storageId });
  assert.partialDeepStrictEqual(document, {
    _id: storageId,
    sha256: sha256(body),
    size: 12,
    contentType: "text/x-own; a=b",
  });
  const head = await read(url, {}, "HEAD");
  assert.deepEqual([head.status, head.text, head.headers.get("content-length")], [200, "", "12"]);
});

test("http-api 100: ranges and conditions", async ({ clients }) => {
  const http = clients.http();
  const { storageId } = await upload(await http.mutation(api.files.uploadUrl), "0123456789");
  const url: string = await http.query(api.files.url, { id: storageId });
  const part = await read(url, { range: "bytes=2-5" });
  assert.deepEqual([part.status, part.text], [206, "2345"]);
  assert.equal(part.headers.get("content-range"), "bytes 2-5/10");
  assert.equal(part.headers.get("digest"), null);
  assert.equal((await read(url, { range: "bytes=-3" })).text, "789");
  assert.equal(
    (await read(url, { range: "bytes=8-100" })).headers.get("content-range"),
    "bytes 8-9/10",
  );
  const two = await read(url, { range: "bytes=0-1,3-4" });
  assert.deepEqual([two.status, two.text], [416, ""]);
  assert.equal((await read(url, { range: "bytes=10-" })).status, 416);
  assert.equal((await read(url, { range: "lines=1" })).status, 200);
  const etag = (await read(url)).headers.get("etag")!;
  assert.equal((await read(url, { "if-none-match": etag })).status, 304);
  assert.equal((await read(url, { range: "bytes=0-1", "if-range": '"other"' })).status, 200);
  assert.equal((await read(url, { range: "bytes=0-1", "if-range": etag })).status, 206);
});

test("http-api 97, 101, semantics 112, 113: digests are checked, empty files are files, a missing type stays missing", async ({ clients }) => {
  const http = clients.http();
  const target: string = await http.mutation(api.files.uploadUrl);
  const right = await upload(target, "abc", { digest: `sha-256=${sha256("abc")}` });
  assert.equal(right.status, 200);
  const wrong = await upload(target, "abc", { digest: `sha-256=${sha256("abd")}` });
  assert.deepEqual([wrong.status, wrong.code], [400, "Sha256Mismatch"]);
  assert.equal((await upload(target, "abc", { digest: "md5=x" })).code, "BadHeader");
  assert.equal((await upload(target, "abc", { "content-type": "nonsense" })).code, "BadHeader");
  const empty = await upload(target, new Uint8Array(0));
  const url: string = await http.query(api.files.url, { id: empty.storageId });
  const { status, text, headers } = await read(url, { range: "bytes=0-3" });
  assert.deepEqual([status, text, headers.get("content-type")], [200, "", null]);
  const document = await http.query(api.files.metadata, { id: empty.storageId });
  assert.equal(document.contentType, null);
});

test("http-api 98, 99: tokens and paths that are none", async ({ server }) => {
  const code = async (path: string, method = "GET") => {
    const response = await fetch(`${server.url}/api/storage/${path}`, { method });
    return [response.status, (await response.json()).code];
  };
  assert.deepEqual(await code("upload", "POST"), [400, "BadQueryArgs"]);
  assert.deepEqual(await code("upload?token=garbage", "POST"), [401, "StorageTokenInvalid"]);
  const forged = btoa("x".repeat(38)).replaceAll("=", "");
  assert.deepEqual(await code(`upload?token=${forged}`, "POST"), [401, "InvalidStorageToken"]);
  assert.deepEqual(await code("not-a-uuid"), [400, "InvalidStoragePath"]);
  assert.deepEqual(await code(crypto.randomUUID()), [404, "FileNotFound"]);
});

test("http-api 102: a file larger than any other body is uploaded and served", async ({ clients }) => {
  const http = clients.http();
  const bytes = new Uint8Array(24 * 1024 * 1024);
  for (let i = 0; i < bytes.length; i += 4096) bytes[i] = i / 4096;
  const { storageId } = await upload(await http.mutation(api.files.uploadUrl), bytes);
  const response = await fetch(await http.query(api.files.url, { id: storageId }));
  assert.equal(sha256(await response.bytes()), sha256(bytes));
});

test("function-abi §9: actions store, read and delete files", async ({ clients }) => {
  const http = clients.http();
  const id = await http.action(api.files.store, { text: "from an action", type: "text/plain" });
  const url: string = await http.query(api.files.url, { id });
  assert.equal((await read(url)).text, "from an action");
  assert.deepEqual(await http.action(api.files.load, { id }), {
    text: "from an action",
    type: "text/plain",
    size: 14,
  });
  await http.action(api.files.store, { text: "x", sha256: sha256("x") });
  await assert.rejects(
    http.action(api.files.store, { text: "x", sha256: sha256("y") }),
    /Sha256 mismatch\. Expected: .* Actual: /,
  );
  const badType = http.action(api.files.store, { text: "x", type: "nonsense" });
  await assert.rejects(badType, /"nonsense" is no media type/);
  const badDigest = http.action(api.files.store, { text: "x", sha256: "abc" });
  await assert.rejects(badDigest, /"abc" is not the base64 form of 32 bytes/);
  assert.deepEqual(await http.action(api.files.removeFromAction, { id }), [url, null]);
  assert.equal((await read(url)).status, 404);
  assert.equal(await http.action(api.files.load, { id }), null);
  await assert.rejects(http.action(api.files.removeFromAction, { id }), /storage id .* not found/);
  const target: string = await http.action(api.files.uploadUrlFromAction);
  assert.equal((await upload(target, "x")).status, 200);
});

test("semantics §14, 114: a deleted file is gone from its URL, from disk and from live queries", async ({ clients, server }) => {
  const http = clients.http();
  const { storageId } = await upload(await http.mutation(api.files.uploadUrl), "short-lived");
  const watched = watch(clients.live(), api.files.url, { id: storageId });
  const url: string = await watched.until((url) => url !== null, "the URL");
  const onDisk = `${server.dataFolder}/files/${url.split("/").at(-1)}`;
  assert.equal(await Deno.readTextFile(onDisk), "short-lived");
  await http.mutation(api.files.remove, { id: storageId });
  await watched.until((url) => url === null, "the deletion");
  assert.equal((await read(url)).status, 404);
  await assert.rejects(http.mutation(api.files.remove, { id: storageId }), /not found/);
});

test("a page in an uploaded file cannot act for the server's origin", async ({ clients }) => {
  const http = clients.http();
  const target: string = await http.mutation(api.files.uploadUrl);
  const page = await upload(target, "<script></script>", { "content-type": "text/html" });
  const { headers } = await read(await http.query(api.files.url, { id: page.storageId }));
  assert.match(headers.get("content-security-policy")!, /^sandbox/);
  assert.equal(headers.get("x-content-type-options"), "nosniff");
});
