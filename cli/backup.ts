/** `hull backup`: one file with everything that a server has, as of one moment. */
import { backUpStopped } from "../src/maintenance/backup.ts";
import { readBackup } from "../src/maintenance/backup_format.ts";
import { PersistenceError } from "../src/persistence/persistence_error.ts";
import type { ApiClient } from "./api_client.ts";
import { connectLocally } from "./connection.ts";
import { mustBeNew, writeNewFile } from "./new_file.ts";
import { version } from "./version.ts";

/** `source`: a server, or a data folder on this machine, whose server may run or not. */
export async function backup(path: string, source: ApiClient | string): Promise<number> {
  await mustBeNew(path);
  const chunks = typeof source === "string" ? await openFolder(source) : await download(source);
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

async function download(client: ApiClient): Promise<AsyncIterable<Uint8Array>> {
  return (await client.download("/api/hull/backup")).body;
}

/** A folder that a server uses is open to nobody else; that server is asked then. */
async function openFolder(dataFolder: string): Promise<AsyncIterable<Uint8Array>> {
  try {
    return backUpStopped(dataFolder, version);
  } catch (error) {
    const isInUse = error instanceof PersistenceError && error.code === "InUse";
    const client = isInUse ? await connectLocally(dataFolder) : undefined;
    if (client === undefined) throw error;
    return await download(client);
  }
}

/** Under its name there is never anything but a complete backup that was read again without a fault. */
async function mustBeReadable(path: string): Promise<void> {
  const { readable } = await Deno.open(path);
  await readBackup(readable, async ({ body }) => {
    for await (const _ of body);
  });
}
