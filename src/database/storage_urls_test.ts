import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeId } from "../values/document_id.ts";
import { systemTables } from "./catalog.ts";
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
  const url = fileUrl(origin, secret, fileId);
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
  const token = new URL(uploadUrl(origin, secret, now)).searchParams.get("token")!;
  assert.equal(checkUploadToken(secret, token, now), "valid");
  assert.equal(checkUploadToken(secret, token, now + hourMs - 1000), "valid");
  assert.equal(checkUploadToken(secret, token, now + hourMs + 1000), "expired");
  assert.equal(checkUploadToken("cd".repeat(32), token, now), "forged");
  assert.equal(
    checkUploadToken(secret, token.slice(0, -1) + (token.endsWith("A") ? "E" : "A"), now),
    "forged",
  );
  assert.equal(checkUploadToken(secret, "garbage", now), "undecodable");
  assert.equal(checkUploadToken(secret, "", now), "undecodable");
});
