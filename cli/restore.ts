/** `hull restore`: makes a data folder from a backup. */
import { restore } from "../src/maintenance/restore.ts";

export async function restoreFile(path: string, dataFolder: string): Promise<number> {
  const { readable } = await Deno.open(path);
  const { hull, timestamp } = await restore(readable, dataFolder);
  const newest = new Date(timestamp / 1000).toISOString();
  console.log(
    `Restored ${dataFolder}: written by Hull ${hull}, newest commit ${newest}. ` +
      "The server makes a new admin key at its start, unless HULL_ADMIN_KEY gives one.",
  );
  return 0;
}
