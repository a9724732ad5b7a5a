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
import { systemTables, type TableNumber } from "./catalog.ts";
import { appComponent, type ComponentId } from "./component.ts";

const uploadTokenLifetimeMs = 60 * 60 * 1000;
const issuedAtBytes = 6;
const signatureBytes = 32;

/** The API as clients see it, and the secret of the deployment's files. */
export interface FileOrigin {
  readonly origin: string;
  readonly secret: string;
}

/** The URL that serves a file, given its document id and the component that it belongs to. */
export function fileUrl(
  { origin, secret }: FileOrigin,
  documentId: string,
  component: ComponentId = appComponent,
): string {
  const url = `${origin}/api/storage/${fileKey(secret, documentId)}`;
  return component === appComponent ? url : `${url}?component=${component}`;
}

/** The UUID in a file's URL. */
export function fileKey(secret: string, documentId: string): string {
  const cipher = createCipheriv("aes-128-ecb", blockKey(secret), null).setAutoPadding(false);
  const hex = cipher.update(decodeId(documentId).internalId).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${
    hex.slice(20)
  }`;
}

/**
 * The inverse of `fileKey`; undefined when `key` is no UUID. Whether the file exists is another question.
 * @param table number of the `_storage` table that it would be in.
 */
export function parseFileKey(
  secret: string,
  key: string,
  table: TableNumber = systemTables._storage,
): string | undefined {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(key)) return undefined;
  const decipher = createDecipheriv("aes-128-ecb", blockKey(secret), null).setAutoPadding(false);
  const internalId = decipher.update(Buffer.from(key.replaceAll("-", ""), "hex"));
  return encodeId(table, new Uint8Array(internalId));
}

/**
 * The document id of a file that a function names, by that id or by the UUID of its URL. Whether it exists
 * is another question.
 * @param storageTable number of the `_storage` table of the function's component.
 * @throws DeveloperError when `text` is neither (function-abi 9).
 */
export function storageDocumentId(
  secret: string,
  text: string,
  storageTable: TableNumber = systemTables._storage,
): string {
  const documentId = parseFileKey(secret, text, storageTable);
  if (documentId !== undefined) return documentId;
  const table = idTableNumber(text);
  if (table === storageTable) return text;
  throw new DeveloperError(
    "InvalidStorageId",
    table === undefined
      ? `Invalid storage ID: "${text}". Storage ID should be an Id of '_storage' table, or a UUID string.`
      : "Invalid storage ID. Storage ID cannot be an ID on any table other than '_storage'.",
  );
}

/** A URL to upload one or more files of a component to, good for an hour from `nowMs`. */
export function uploadUrl(
  { origin, secret }: FileOrigin,
  nowMs: number,
  component: ComponentId = appComponent,
): string {
  const issuedAt = Buffer.alloc(issuedAtBytes);
  issuedAt.writeUIntBE(Math.floor(nowMs), 0, issuedAtBytes);
  const claim = Buffer.concat([issuedAt, Buffer.from(component)]);
  const token = Buffer.concat([claim, uploadSignature(secret, claim)]).toString("base64url");
  return `${origin}/api/storage/upload?token=${token}`;
}

export type UploadToken =
  /** It opens the upload route now, for files of this component. */
  | { readonly kind: "valid"; readonly component: ComponentId }
  | { readonly kind: "expired" | "forged" | "undecodable" };

/** What a token is worth now. */
export function checkUploadToken(secret: string, token: string, nowMs: number): UploadToken {
  const bytes = Buffer.from(token, "base64url");
  const claimBytes = bytes.length - signatureBytes;
  if (claimBytes < issuedAtBytes || bytes.toString("base64url") !== token) {
    return { kind: "undecodable" };
  }
  const claim = bytes.subarray(0, claimBytes);
  const signature = bytes.subarray(claimBytes);
  if (!timingSafeEqual(signature, uploadSignature(secret, claim))) return { kind: "forged" };
  const ageMs = nowMs - claim.readUIntBE(0, issuedAtBytes);
  if (ageMs > uploadTokenLifetimeMs) return { kind: "expired" };
  return { kind: "valid", component: claim.toString("utf8", issuedAtBytes) as ComponentId };
}

function blockKey(secret: string): Buffer {
  return createHmac("sha256", secret).update("file key").digest().subarray(0, 16);
}

function uploadSignature(secret: string, claim: Uint8Array): Buffer {
  return createHmac("sha256", secret).update("upload token").update(claim).digest();
}
