/** A ZIP file on disk, of which the list of its files is in memory and nothing else. */
import { type FileEntry, Reader, ZipReader } from "@zip.js/zip.js";
import { errorMessage } from "../errors.ts";
import { importError } from "./import_error.ts";

export class ZipFile implements AsyncDisposable {
  readonly #file: Deno.FsFile;
  /** By name. */
  readonly #entries: ReadonlyMap<string, FileEntry>;

  private constructor(file: Deno.FsFile, entries: ReadonlyMap<string, FileEntry>) {
    this.#file = file;
    this.#entries = entries;
  }

  /** @throws RequestError when the file is no ZIP. */
  static async open(path: string): Promise<ZipFile> {
    const file = await Deno.open(path);
    try {
      const entries = new Map<string, FileEntry>();
      const reader = new ZipReader(new RandomAccess(file), { useWebWorkers: false });
      for await (const entry of reader.getEntriesGenerator()) {
        if (entry.directory) continue;
        if (entries.has(entry.filename)) {
          throw importError("InvalidZip", `the ZIP holds ${entry.filename} twice`);
        }
        entries.set(entry.filename, entry);
      }
      return new ZipFile(file, entries);
    } catch (error) {
      file.close();
      throw readable(error);
    }
  }

  get names(): Iterable<string> {
    return this.#entries.keys();
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** The bytes of a file, checked against their checksum at the end. */
  async *read(name: string): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const { readable: bytes, writable } = new TransformStream<Uint8Array<ArrayBuffer>>();
    const written = this.#entries.get(name)!
      .getData(writable, { useWebWorkers: false, checkSignature: true })
      .catch((error) => {
        throw importError("InvalidZip", errorMessage(error), name);
      });
    // It is awaited below; until then its rejection shows as one of the stream.
    written.catch(() => {});
    try {
      yield* bytes;
    } catch {
      // What is wrong, `written` says.
    } finally {
      await bytes.cancel().catch(() => {});
    }
    await written;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#file.close();
  }
}

class RandomAccess extends Reader<Deno.FsFile> {
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile) {
    super(file);
    this.#file = file;
  }

  override async init(): Promise<void> {
    await super.init?.();
    this.size = (await this.#file.stat()).size;
  }

  override async readUint8Array(offset: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    // Nobody moves the position between these: they are synchronous.
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    for (let read = 0; read < bytes.length;) {
      const count = this.#file.readSync(bytes.subarray(read));
      if (count === null) throw new Error("the file is shorter than it was");
      read += count;
    }
    return bytes;
  }
}

function readable(error: unknown): Error {
  if (error instanceof Error && error.name === "RequestError") return error;
  return importError("InvalidZip", `the file cannot be read as a ZIP: ${errorMessage(error)}`);
}
