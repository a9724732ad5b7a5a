/** Receives the stored files of an import. */
import { Buffer } from "node:buffer";
import type { TableDefinition } from "../database/catalog.ts";
import type { ValueObject } from "../values/value.ts";
import { checkedId } from "./document_stage.ts";
import { importError } from "./import_error.ts";
import type { SourceDocument, SourceTable } from "./import_source.ts";

/** Bytes that were received for the file with this id. */
export interface StagedFile {
  readonly id: string;
  readonly path: string;
}

export interface FileStageParts {
  /** The stored files there are: digest by id. */
  readonly storedFiles: ReadonlyMap<string, string>;
  readonly receiveFile: (
    chunks: AsyncIterable<Uint8Array>,
  ) => Promise<{ path: string; size: number; sha256: string }>;
}

export class FileStage {
  readonly #parts: FileStageParts;
  /** What was received, also when the next one is refused. */
  readonly files: StagedFile[] = [];

  constructor(parts: FileStageParts) {
    this.#parts = parts;
  }

  /**
   * Receives the bytes of a file; the result is what `_storage` keeps of it.
   * @throws RequestError when they are missing, or others than the document says.
   */
  async stage(
    table: TableDefinition,
    { fields, source }: SourceDocument,
    fileBytes: NonNullable<SourceTable["fileBytes"]>,
  ): Promise<SourceDocument> {
    const { _id, _creationTime, contentType = null, sha256: announced } = fields;
    const id = checkedId(table, _id ?? null, source);
    if (contentType !== null && typeof contentType !== "string") {
      throw importError("InvalidStorageDocument", "contentType must be a text", source);
    }
    const bytes = fileBytes(id);
    if (bytes === undefined) {
      throw importError("FileMissing", `the import does not hold the file ${id}`, source);
    }
    const { path, size, sha256 } = await this.#parts.receiveFile(bytes);
    this.files.push({ id, path });
    if (typeof announced === "string" && !isDigest(announced, sha256)) {
      throw importError(
        "Sha256Mismatch",
        `the file ${id} is not the one that was exported`,
        source,
      );
    }
    const stored = this.#parts.storedFiles.get(id);
    if (stored !== undefined && stored !== sha256) {
      const message = `there is another file under the id ${id}, and a file never changes`;
      throw importError("ImportConflict", message, source);
    }
    const described: ValueObject = { _id: id, sha256, size, contentType };
    if (_creationTime !== undefined) described._creationTime = _creationTime;
    return { fields: described, source };
  }
}

/** Base64 as in exports, or hexadecimal. */
function isDigest(announced: string, base64: string): boolean {
  return announced === base64 ||
    announced.toLowerCase() === Buffer.from(base64, "base64").toString("hex");
}
