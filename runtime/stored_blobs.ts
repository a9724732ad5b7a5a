/** Files of actions as Blobs, on their way to the server and back in pieces, so that neither side holds a second one. */
import { filePieceBytesMax, type HostOperation } from "../src/isolate/protocol.ts";

type Perform = (
  operation: HostOperation,
  fields: Readonly<Record<string, unknown>>,
  body?: Uint8Array,
) => Promise<{ readonly body: Uint8Array; readonly fields: Readonly<Record<string, unknown>> }>;

const decoder = new TextDecoder();
let lastUpload = 0;

/** Stores files one after the other, and reads them, for one action. */
export class StoredBlobs {
  readonly #perform: Perform;
  /** Ends with the large file that is being stored. */
  #lastUpload: Promise<unknown> = Promise.resolve();

  constructor(perform: Perform) {
    this.#perform = perform;
  }

  /** Stores a Blob and resolves with its storage id (function-abi 9). */
  async store(blob: unknown, options: { sha256?: string } = {}): Promise<string> {
    if (!(blob instanceof Blob)) {
      throw new Error(
        "store() expects a Blob. If you are trying to store a Request, `await request.blob()` will give you the correct input.",
      );
    }
    const fields = {
      ...blob.type !== "" && { contentType: blob.type },
      ...options.sha256 !== undefined && { sha256: options.sha256 },
    };
    if (blob.size <= filePieceBytesMax) return await this.#storePiece(blob, fields);
    const stored = this.#lastUpload.then(() => this.#storeInPieces(blob, fields));
    this.#lastUpload = stored.catch(ignore);
    return await stored;
  }

  /** A stored file (function-abi 9); null when there is none. */
  async get(storageId: unknown): Promise<Blob | null> {
    if (typeof storageId !== "string") {
      throw new Error(`storage.get requires a string storageId but received ${storageId}`);
    }
    const first = await this.#perform("storageGet", { storageId });
    if (first.fields.found !== true) return null;
    const { contentType, size = first.body.byteLength } = first.fields;
    // Blobs of Blobs: a Blob of bytes would copy all of them once more.
    const pieces = [pieceOf(first.body)];
    for (let start = first.body.byteLength; start < Number(size);) {
      const { fields, body } = await this.#perform("storageGet", { storageId, start });
      if (fields.found !== true) {
        throw new Error(`The file ${storageId} was deleted while it was read`);
      }
      pieces.push(pieceOf(body));
      start += body.byteLength;
    }
    return new Blob(pieces, { type: typeof contentType === "string" ? contentType : "" });
  }

  async #storeInPieces(blob: Blob, fields: Readonly<Record<string, unknown>>): Promise<string> {
    const upload = ++lastUpload;
    let start = 0;
    for (; blob.size - start > filePieceBytesMax; start += filePieceBytesMax) {
      const piece = await blob.slice(start, start + filePieceBytesMax).arrayBuffer();
      await this.#perform("storageStorePiece", { ...fields, upload }, new Uint8Array(piece));
    }
    return await this.#storePiece(blob.slice(start), { ...fields, upload });
  }

  async #storePiece(blob: Blob, fields: Readonly<Record<string, unknown>>): Promise<string> {
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return JSON.parse(decoder.decode((await this.#perform("storageStore", fields, bytes)).body));
  }
}

function pieceOf(body: Uint8Array): Blob {
  return new Blob([body as Uint8Array<ArrayBuffer>]);
}

/** Whoever stores that file is told; the next one does not depend on it. */
function ignore(): void {}
