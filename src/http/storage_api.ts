/** Uploads and downloads of stored files (http-api 4). The URL itself is the permission. */
import { appComponent, type ComponentId } from "../database/component.ts";
import { checkUploadToken } from "../database/storage_urls.ts";
import type { Environment } from "../environment.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import type { FileDocument, FileStorage } from "../file_storage/file_storage.ts";
import { idTableNumber } from "../values/document_id.ts";
import type { ApiRequest } from "./api_request.ts";
import { isMediaType, isSha256 } from "../file_storage/file_description.ts";
import { parseByteRange } from "./byte_range.ts";
import { json } from "./responses.ts";
import type { ApiHandlers } from "./routes.ts";

const readBytes = 64 * 1024;

export interface StorageApiOptions {
  readonly secret: string;
  readonly environment: Environment;
}

export function storageApi(files: FileStorage, { secret, environment }: StorageApiOptions) {
  return {
    async uploadFile(request) {
      const component = checkToken(request.parameter("token"));
      const { headers } = request.raw;
      const contentType = parseContentType(headers.get("content-type"));
      const sha256 = parseDigest(headers.get("digest"));
      try {
        const chunks = request.services.bodies.chunks(request.raw, request.sender);
        return json({ storageId: await files.add(chunks, { contentType, sha256 }, component) });
      } catch (error) {
        if (!(error instanceof DeveloperError)) throw error;
        throw new RequestError("badRequest", error.code, error.message, { cause: error });
      }
    },

    async downloadFile(request) {
      const key = request.path.slice("/api/storage/".length);
      const component = parseComponentId(request.parameter("component"));
      const file = files.findByKey(key, component);
      if (file === undefined) {
        throw new RequestError(
          "badRequest",
          "InvalidStoragePath",
          `Invalid storage path: "${key}". Storage paths are UUIDs.`,
        );
      }
      if (file === null) throw notFound(key);
      return await download(files, file, request);
    },
  } satisfies Partial<ApiHandlers>;

  /** The component that the token is for. */
  function checkToken(token: string | null): ComponentId {
    if (token === null) {
      throw new RequestError(
        "badRequest",
        "BadQueryArgs",
        "The query parameter `token` is missing",
      );
    }
    const checked = checkUploadToken(secret, token, environment.nowMs());
    switch (checked.kind) {
      case "valid":
        return checked.component;
      case "undecodable":
        throw tokenError("StorageTokenInvalid", "The upload token cannot be decoded");
      case "forged":
        throw tokenError("InvalidStorageToken", "The upload token is not from this deployment");
      case "expired":
        throw tokenError("StorageTokenExpired", "The upload URL has expired; generate a new one");
    }
  }
}

/** @throws RequestError for what can be no component's id. */
function parseComponentId(text: string | null): ComponentId {
  if (text === null || text === "") return appComponent;
  if (idTableNumber(text) !== undefined) return text as ComponentId;
  throw new RequestError("badRequest", "InvalidComponentId", `"${text}" is no id of a component.`);
}

async function download(
  files: FileStorage,
  file: FileDocument,
  { raw: { method, headers } }: ApiRequest,
): Promise<Response> {
  const { size, sha256, contentType } = file;
  const tag = `"${sha256}"`;
  const common = new Headers({
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=2592000",
    etag: tag,
    // What was uploaded as a picture must not be taken for a page.
    "x-content-type-options": "nosniff",
  });
  if (contentType !== null) common.set("content-type", contentType);
  // A page in an uploaded file must not act as the origin that serves the API.
  if (canHoldPage(contentType)) common.set("content-security-policy", "sandbox allow-scripts");
  if (listsTag(headers.get("if-none-match"), tag)) {
    return new Response(null, { status: 304, headers: common });
  }
  const isCurrent = [null, tag].includes(headers.get("if-range"));
  const range = parseByteRange(isCurrent ? headers.get("range") : null, size);
  if (range.kind === "unsatisfiable") {
    return new Response(null, { status: 416, headers: { "content-range": `bytes */${size}` } });
  }
  const { start, end } = range.kind === "part" ? range : { start: 0, end: size };
  common.set("content-length", String(end - start));
  if (range.kind === "part") common.set("content-range", `bytes ${start}-${end - 1}/${size}`);
  else common.set("digest", `sha-256=${sha256}`);
  const isEmpty = method === "HEAD" || start === end;
  const open = isEmpty ? null : await files.open(file, start);
  if (!isEmpty && open === null) throw notFound(file.key);
  const body = open && readRange(open, end - start);
  return new Response(body, { status: range.kind === "part" ? 206 : 200, headers: common });
}

/** The next `length` bytes of a file, which is closed when they have been read or nobody wants them. */
function readRange(file: Deno.FsFile, length: number): ReadableStream<Uint8Array> {
  let left = length;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const buffer = new Uint8Array(Math.min(left, readBytes));
      const count = await file.read(buffer);
      if (count === null) {
        file.close();
        throw new Error("A stored file is shorter than its document says");
      }
      left -= count;
      controller.enqueue(buffer.subarray(0, count));
      if (left > 0) return;
      file.close();
      controller.close();
    },
    cancel: () => file.close(),
  });
}

/** Kept as it is when it is a media type (http-api 47). */
function parseContentType(header: string | null): string | null {
  if (header === null || isMediaType(header)) return header;
  throw badHeader(`Content-Type ${JSON.stringify(header)} is no media type`);
}

/** The digest of `Digest: sha-256=BASE64`, in base64. */
function parseDigest(header: string | null): string | null {
  if (header === null) return null;
  const digest = /^sha-256=(.*)$/i.exec(header.trim())?.[1];
  if (digest === undefined || !isSha256(digest)) throw badHeader("Digest must be sha-256=BASE64");
  return digest;
}

function listsTag(header: string | null, tag: string): boolean {
  if (header === null) return false;
  return header.trim() === "*" ||
    header.split(",").some((item) => item.trim().replace(/^W\//, "") === tag);
}

/** A browser shows HTML, XML (SVG among it), and what is wrapped as parts of one body. */
function canHoldPage(contentType: string | null): boolean {
  return /^[^;]*(html|xml|multipart)/i.test(contentType ?? "");
}

function notFound(key: string): RequestError {
  return new RequestError("notFound", "FileNotFound", `File ${key} not found`);
}

function badHeader(message: string): RequestError {
  return new RequestError("badRequest", "BadHeader", message);
}

function tokenError(code: string, message: string): RequestError {
  return new RequestError("unauthenticated", code, message);
}
