import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeId } from "../values/document_id.ts";
import { systemTables, type TableNumber } from "./catalog.ts";
import type { ComponentId } from "./component.ts";
import {
  checkUploadToken,
  fileKey,
  fileUrl,
  parseFileKey,
  storageDocumentId,
  uploadUrl,
} from "./storage_urls.ts";

const secret = "ab".repeat(32);
const origin = "http://127.0.0.1:3210";
const hourMs = 60 * 60 * 1000;

const fileId = encodeId(systemTables._storage, new Uint8Array(16).fill(9));

Deno.test("fileKey is a UUID that only the secret leads back from", () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (internalId) => {
    const id = encodeId(systemTables._storage, internalId);
    const key = fileKey(secret, id);
    assert.equal(parseFileKey(secret, key), id);
    assert.notEqual(parseFileKey("cd".repeat(32), key), id);
  }));
});

Deno.test("http-api rule 50: fileUrl has the cloud origin and the file's UUID", () => {
  const url = fileUrl({ origin, secret }, fileId);
  assert.match(url, /^http:\/\/127\.0\.0\.1:3210\/api\/storage\/[0-9a-f-]{36}$/);
});

Deno.test("http-api rule 51: parseFileKey refuses what is no UUID", () => {
  assert.equal(parseFileKey(secret, "upload"), undefined);
  assert.equal(parseFileKey(secret, fileId), undefined);
});

Deno.test("function-abi §9: storageDocumentId takes document ids and UUIDs of files, nothing else", () => {
  assert.equal(storageDocumentId(secret, fileId), fileId);
  assert.equal(storageDocumentId(secret, fileKey(secret, fileId)), fileId);
  assert.throws(() => storageDocumentId(secret, "x"), {
    code: "InvalidStorageId",
    message:
      `Invalid storage ID: "x". Storage ID should be an Id of '_storage' table, or a UUID string.`,
  });
  assert.throws(() => storageDocumentId(secret, encodeId(10_001, new Uint8Array(16))), {
    code: "InvalidStorageId",
    message: "Invalid storage ID. Storage ID cannot be an ID on any table other than '_storage'.",
  });
});

Deno.test("http-api rule 46, 49: an upload token is valid for one hour and cannot be made up", () => {
  const now = 1_795_348_954_730.5;
  const token = new URL(uploadUrl({ origin, secret }, now)).searchParams.get("token")!;
  assert.deepEqual(checkUploadToken(secret, token, now), { kind: "valid", component: "" });
  assert.equal(checkUploadToken(secret, token, now + hourMs - 1000).kind, "valid");
  assert.equal(checkUploadToken(secret, token, now + hourMs + 1000).kind, "expired");
  assert.equal(checkUploadToken("cd".repeat(32), token, now).kind, "forged");
  assert.equal(
    checkUploadToken(secret, token.slice(0, -1) + (token.endsWith("A") ? "E" : "A"), now).kind,
    "forged",
  );
  assert.equal(checkUploadToken(secret, "garbage", now).kind, "undecodable");
  assert.equal(checkUploadToken(secret, "", now).kind, "undecodable");
});

Deno.test("components 28: files, their URLs and upload tokens belong to a component", () => {
  const component = "c123" as ComponentId;
  const table = 10_042 as TableNumber;
  const internalId = new Uint8Array(16).fill(9);
  const id = encodeId(table, internalId);
  assert.equal(
    fileUrl({ origin, secret }, id, component),
    `${fileUrl({ origin, secret }, fileId)}?component=c123`,
  );
  assert.equal(parseFileKey(secret, fileKey(secret, id), table), id);
  assert.equal(storageDocumentId(secret, id, table), id);
  assert.throws(() => storageDocumentId(secret, id), { code: "InvalidStorageId" });
  assert.throws(() => storageDocumentId(secret, fileId, table), { code: "InvalidStorageId" });
  const url = uploadUrl({ origin, secret }, 1.7e12, component);
  const token = new URL(url).searchParams.get("token")!;
  assert.deepEqual(checkUploadToken(secret, token, 1.7e12), { kind: "valid", component });
});
