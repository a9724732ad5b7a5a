/** What an import commits, in a file: a line for each document, written in large pieces. */
import type { ImportedDocument } from "../persistence/document_import.ts";
import { persistenceError } from "../persistence/persistence_error.ts";

const bufferedBytes = 256 * 1024;

export class LineFile implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  #buffered: string[] = [];
  #length = 0;

  constructor(path: string) {
    this.#path = path;
    this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
  }

  add(document: ImportedDocument): void {
    const line = JSON.stringify(document) + "\n";
    this.#length += line.length;
    this.#buffered.push(line);
  }

  /** Time for `flush`. */
  get isFull(): boolean {
    return this.#length >= bufferedBytes;
  }

  /** @throws PersistenceError, for a full disk among others. */
  flush(): void {
    const bytes = new TextEncoder().encode(this.#buffered.join(""));
    try {
      for (let written = 0; written < bytes.byteLength;) {
        written += this.#file.writeSync(bytes.subarray(written));
      }
    } catch (error) {
      throw persistenceError("write", this.#path, error);
    }
    this.#buffered = [];
    this.#length = 0;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
