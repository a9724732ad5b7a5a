/**
 * The two capabilities of file storage over HTTP (http-api 46–53). Whoever knows a file's URL may
 * download it; whoever holds an upload token may upload for an hour.
 *
 * Apps show document ids to clients, so a file's URL must not be computable from its id: the key in the
 * URL is the id's 16 random bytes encrypted as one block of AES. That works in both directions without
 * anything being stored, and alike in an isolate and in the server.
 *
 * `secret` is 32 bytes in hex, made with the instance and never shown to user code.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from "node:crypto";
import { Buffer } from "node:buffer";
import { DeveloperError } from "../errors.ts";
import { decodeId, encodeId, idTableNumber } from "../values/document_id.ts";
import { systemTables } from "./catalog.ts";

const uploadTokenLifetimeMs = 60 * 60 * 1000;
const issuedAtBytes = 6;
const signatureBytes = 32;

/** The URL that serves a file, given its document id. */
export function fileUrl(origin: string, secret: string, documentId: string): string {
  return `${origin}/api/storage/${fileKey(secret, documentId)}`;
}

/** The UUID in a file's URL. */
export function fileKey(secret: string, documentId: string): string {
  const cipher = createCipheriv("aes-128-ecb", blockKey(secret), null).setAutoPadding(false);
  const hex = cipher.update(decodeId(documentId).internalId).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${
    hex.slice(20)
  }`;
}

/** The inverse of `fileKey`; undefined when `key` is no UUID. Whether the file exists is another question. */
export function parseFileKey(secret: string, key: string): string | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(key)) return undefined;
  const decipher = createDecipheriv("aes-128-ecb", blockKey(secret), null).setAutoPadding(false);
  const internalId = decipher.update(Buffer.from(key.replaceAll("-", ""), "hex"));
  return encodeId(systemTables._storage, new Uint8Array(internalId));
}

/**
 * The document id of a file that a function names, by that id or by the UUID of its URL. Whether it exists
 * is another question.
 * @throws DeveloperError when `text` is neither (function-abi 9).
 */
export function storageDocumentId(secret: string, text: string): string {
  const documentId = parseFileKey(secret, text);
  if (documentId !== undefined) return documentId;
  const table = idTableNumber(text);
  if (table === systemTables._storage) return text;
  throw new DeveloperError(
    "InvalidStorageId",
    table === undefined
      ? `Invalid storage ID: "${text}". Storage ID should be an Id of '_storage' table, or a UUID string.`
      : "Invalid storage ID. Storage ID cannot be an ID on any table other than '_storage'.",
  );
}

/** A URL to upload one or more files to, good for an hour from `nowMs`. */
export function uploadUrl(origin: string, secret: string, nowMs: number): string {
  const issuedAt = Buffer.alloc(issuedAtBytes);
  issuedAt.writeUIntBE(Math.floor(nowMs), 0, issuedAtBytes);
  const token = Buffer.concat([issuedAt, uploadSignature(secret, issuedAt)]).toString("base64url");
  return `${origin}/api/storage/upload?token=${token}`;
}

/** Whether a token opens the upload route now, and if not, why. */
export function checkUploadToken(
  secret: string,
  token: string,
  nowMs: number,
): "valid" | "expired" | "forged" | "undecodable" {
  const bytes = Buffer.from(token, "base64url");
  if (bytes.length !== issuedAtBytes + signatureBytes || bytes.toString("base64url") !== token) {
    return "undecodable";
  }
  const issuedAt = bytes.subarray(0, issuedAtBytes);
  const signature = bytes.subarray(issuedAtBytes);
  if (!timingSafeEqual(signature, uploadSignature(secret, issuedAt))) return "forged";
  const ageMs = nowMs - issuedAt.readUIntBE(0, issuedAtBytes);
  return ageMs > uploadTokenLifetimeMs ? "expired" : "valid";
}

function blockKey(secret: string): Buffer {
  return createHmac("sha256", secret).update("file key").digest().subarray(0, 16);
}

function uploadSignature(secret: string, issuedAt: Uint8Array): Buffer {
  return createHmac("sha256", secret).update("upload token").update(issuedAt).digest();
}
