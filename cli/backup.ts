/** `hull backup`: one file with everything that a server has, as of one moment. */
import { basename, dirname, join } from "node:path";
import { backUpStopped } from "../src/maintenance/backup.ts";
import { readBackup } from "../src/maintenance/backup_format.ts";
import { PersistenceError } from "../src/persistence/persistence_error.ts";
import { syncFolder } from "../src/persistence/sync_folder.ts";
import type { ApiClient } from "./api_client.ts";
import { formatBytes, Progress } from "./terminal.ts";
import { version } from "./version.ts";

/** `source`: a running server, or the data folder of a stopped one. */
export async function backup(path: string, source: ApiClient | string): Promise<number> {
  await mustBeNew(path);
  const chunks = typeof source === "string" ? openFolder(source) : download(source);
  const bytes = await write(chunks, path);
  console.log(
    `Wrote ${path}: ${bytes} bytes, checked. It holds your data; environment variables in it are encrypted with ` +
      "HULL_ENCRYPTION_KEY or the file encryption_key of the data folder. Keep that key, too, in another place.",
  );
  return 0;
}

async function* download(client: ApiClient): AsyncGenerator<Uint8Array> {
  const chunks = await client.download("/api/hull/backup");
  try {
    yield* chunks;
  } catch (cause) {
    throw new Error("The download of the backup broke off. The server's log may say why.", {
      cause,
    });
  }
}

function openFolder(dataFolder: string): AsyncIterable<Uint8Array> {
  try {
    return backUpStopped(dataFolder, version);
  } catch (error) {
    if (!(error instanceof PersistenceError) || error.code !== "InUse") throw error;
    throw new Error(
      `${error.message} A running server is backed up with --url and --admin-key.`,
      { cause: error },
    );
  }
}

/** Under its name there is never anything but a complete backup that was read again without a fault. */
async function write(chunks: AsyncIterable<Uint8Array>, path: string): Promise<number> {
  const unfinished = join(dirname(path), `.${basename(path)}.unfinished`);
  try {
    const bytes = await writeFile(chunks, unfinished);
    const { readable } = await Deno.open(unfinished);
    await readBackup(readable, async ({ body }) => {
      for await (const _ of body);
    });
    await Deno.rename(unfinished, path);
    await syncFolder(dirname(path));
    return bytes;
  } catch (error) {
    await Deno.remove(unfinished).catch(() => {/* It may not have come to that. */});
    throw error;
  }
}

async function writeFile(chunks: AsyncIterable<Uint8Array>, path: string): Promise<number> {
  // Whoever may read it may read all data.
  using file = await Deno.open(path, { write: true, create: true, truncate: true, mode: 0o600 });
  using progress = new Progress("Backing up", formatBytes);
  let bytes = 0;
  for await (const chunk of chunks) {
    for (let written = 0; written < chunk.length;) {
      written += await file.write(chunk.subarray(written));
    }
    progress.update(bytes += chunk.length);
  }
  await file.sync();
  return bytes;
}

async function mustBeNew(path: string): Promise<void> {
  try {
    await Deno.lstat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  throw new Error(`${path} exists. Choose another name, so that no backup is overwritten.`);
}
