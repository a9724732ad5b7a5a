/**
 * Files that one action stores piece by piece, because they are large. Each piece is taken when the one before is on
 * its way to disk, so the server holds one.
 */
import { DeveloperError } from "../errors.ts";
import type { FileDescription } from "../file_storage/file_description.ts";
import type { FileToStore } from "./host_services.ts";

/** Files of one action that are on their way at a time; the function library sends one after the other. */
const uploadsMax = 4;

interface Upload {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>;
  /** The storage id, when all of it is stored. */
  readonly stored: Promise<string>;
}

export class FileUploads {
  readonly #storeFile: (file: FileToStore) => Promise<string>;
  readonly #uploads = new Map<number, Upload>();

  constructor(storeFile: (file: FileToStore) => Promise<string>) {
    this.#storeFile = storeFile;
  }

  /**
   * Takes the next piece of the action's upload `id`; the first one begins it. Rejects with what storing the file
   * fails with.
   */
  async write(id: number, description: FileDescription, piece: Uint8Array): Promise<void> {
    const upload = this.#uploads.get(id) ?? this.#begin(id, description);
    try {
      // A piece that cannot be taken does not tell why; the file does, if not at the same moment.
      const taken = upload.writer.write(piece).catch(() => failureOf(upload));
      await Promise.race([taken, failureOf(upload)]);
    } catch (error) {
      this.#uploads.delete(id);
      throw error;
    }
  }

  /** Stores what has been written and `lastPiece`. Resolves with the file's storage id. */
  async finish(id: number, description: FileDescription, lastPiece: Uint8Array): Promise<string> {
    await this.write(id, description, lastPiece);
    const { writer, stored } = this.#uploads.get(id)!;
    this.#uploads.delete(id);
    writer.close().catch(ignore);
    return await stored;
  }

  /** Gives up what is not finished: the action has ended. */
  close(): void {
    for (const { writer } of this.#uploads.values()) {
      writer.abort(new Error("The action ended before all of its file was there")).catch(ignore);
    }
    this.#uploads.clear();
  }

  #begin(id: number, description: FileDescription): Upload {
    if (this.#uploads.size >= uploadsMax) {
      throw new DeveloperError(
        "TooManyConcurrentUploads",
        `An action may store ${uploadsMax} large files at the same time.`,
      );
    }
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const stored = this.#storeFile({ ...description, chunks: readable });
    stored.catch(ignore);
    const upload = { writer: writable.getWriter(), stored };
    upload.writer.closed.catch(ignore);
    this.#uploads.set(id, upload);
    return upload;
  }
}

/** Never resolves: a file that is stored has had all its pieces. */
function failureOf({ stored }: Upload): Promise<never> {
  return stored.then(() => new Promise<never>(() => {}));
}

/** Who waits for the file is told of its failure; for others it is none. */
function ignore(): void {}
