/** `hull backup`: one file with everything that a server has, as of one moment. */
import { backUpStopped } from "../src/maintenance/backup.ts";
import { readBackup } from "../src/maintenance/backup_format.ts";
import { PersistenceError } from "../src/persistence/persistence_error.ts";
import type { ApiClient } from "./api_client.ts";
import { mustBeNew, writeNewFile } from "./new_file.ts";
import { version } from "./version.ts";

/** `source`: a running server, or the data folder of a stopped one. */
export async function backup(path: string, source: ApiClient | string): Promise<number> {
  await mustBeNew(path);
  const chunks = typeof source === "string"
    ? openFolder(source)
    : (await source.download("/api/hull/backup")).body;
  const bytes = await writeNewFile(path, chunks, {
    label: "Backing up",
    verify: mustBeReadable,
  });
  console.log(
    `Wrote ${path}: ${bytes} bytes, checked. It holds your data; environment variables in it are encrypted with ` +
      "HULL_ENCRYPTION_KEY or the file encryption_key of the data folder. Keep that key, too, in another place.",
  );
  return 0;
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
async function mustBeReadable(path: string): Promise<void> {
  const { readable } = await Deno.open(path);
  await readBackup(readable, async ({ body }) => {
    for await (const _ of body);
  });
}
