/**
 * The bytes of stored files, in `<data>/files/`: one file each, named by the UUID of its URL. A name is
 * given once and its bytes never change.
 *
 *     incoming/RANDOM   bytes that arrive, or did when a server was killed; removed at the next start
 *     UUID              complete and on disk, before its document is committed
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Environment } from "../environment.ts";
import { onDisk } from "../persistence/on_disk.ts";
import { syncFolder } from "../persistence/sync_folder.ts";

/** Complete bytes that have no name yet. */
export interface ReceivedFile {
  readonly size: number;
  /** Base64. */
  readonly sha256: string;
  /** Where they lie until `keep` or `discard`. */
  readonly path: string;
}

export class FileStore {
  readonly #folder: string;
  readonly #incoming: string;
  readonly #environment: Environment;
  /** Names given by this run of the server, until `recover` is done; null from then on. */
  #ours: Set<string> | null = new Set();

  constructor(dataFolder: string, environment: Environment) {
    this.#folder = join(dataFolder, "files");
    this.#incoming = join(this.#folder, "incoming");
    this.#environment = environment;
  }

  /**
   * Removes what an earlier run of the server left unfinished, and every file of it that `isNeeded` does not
   * claim. What this run has written stays: new files may be on their way.
   */
  async recover(isNeeded: (key: string) => Promise<boolean>): Promise<void> {
    await Deno.mkdir(this.#incoming, { recursive: true });
    for (const folder of [this.#incoming, this.#folder]) {
      for await (const { name, isFile } of Deno.readDir(folder)) {
        if (!isFile || (folder === this.#folder && await isNeeded(name))) continue;
        if (!this.#ours?.has(name)) await removeIfThere(join(folder, name));
      }
    }
    this.#ours = null;
  }

  /** Writes a stream to disk; on return its bytes survive a crash. */
  async receive(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<ReceivedFile> {
    await Deno.mkdir(this.#incoming, { recursive: true });
    const name = Buffer.from(this.#environment.randomBytes(16)).toString("hex");
    const path = join(this.#incoming, name);
    this.#ours?.add(name);
    const file = await Deno.open(path, { write: true, createNew: true });
    const digest = createHash("sha256");
    let size = 0;
    try {
      for await (const chunk of chunks) {
        digest.update(chunk);
        size += chunk.byteLength;
        await onDisk(path, () => writeAll(file, chunk));
      }
      await onDisk(path, () => file.sync());
    } catch (error) {
      await Deno.remove(path);
      throw error;
    } finally {
      file.close();
    }
    return { size, sha256: digest.digest("base64"), path };
  }

  /** Gives the bytes at `path` their name and returns where they lie now; that survives a crash, too. */
  async keep(path: string, key: string): Promise<string> {
    const kept = this.#pathOf(key);
    this.#ours?.add(key);
    await Deno.rename(path, kept);
    await syncFolder(this.#folder);
    return kept;
  }

  /** Removes received bytes that are not needed, if they are still there. */
  async discard({ path }: Pick<ReceivedFile, "path">): Promise<void> {
    await removeIfThere(path);
  }

  /** Opens a file for reading, at `start`. */
  async open(key: string, start = 0): Promise<Deno.FsFile> {
    const file = await Deno.open(this.#pathOf(key), { read: true });
    if (start > 0) await file.seek(start, Deno.SeekMode.Start);
    return file;
  }

  /** Removes a file if it is there. Whoever is reading it reads on. */
  async remove(key: string): Promise<void> {
    await removeIfThere(this.#pathOf(key));
  }

  #pathOf(key: string): string {
    return join(this.#folder, key);
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

async function writeAll(file: Deno.FsFile, chunk: Uint8Array): Promise<void> {
  for (let written = 0; written < chunk.byteLength;) {
    written += await file.write(chunk.subarray(written));
  }
}
