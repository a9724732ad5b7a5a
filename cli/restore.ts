/** `hull restore`: makes a data folder from a backup. */
import { encryptionKeyPath } from "../src/persistence/encryption_key_file.ts";
import { restore } from "../src/maintenance/restore.ts";
import { withProgress } from "./terminal.ts";

export async function restoreFile(path: string, dataFolder: string): Promise<number> {
  const { readable } = await Deno.open(path);
  const { hull, timestamp } = await withProgress(
    "Restoring",
    () => restore(readable, dataFolder),
  );
  const newest = new Date(timestamp / 1000).toISOString();
  console.log(
    `Restored ${dataFolder}: written by Hull ${hull}, newest commit ${newest}. ` +
      "The server makes a new admin key at its start, unless HULL_ADMIN_KEY gives one. For the environment " +
      `variables it needs the key of the server they come from: as ${
        encryptionKeyPath(dataFolder)
      }, or in HULL_ENCRYPTION_KEY.`,
  );
  return 0;
}
