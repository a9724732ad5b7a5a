/**
 * Restores a backup into an empty data folder. Everything is unpacked into a folder inside it, and moved to
 * its place, the database last, when the whole backup has proved to be undamaged. Otherwise nothing remains.
 */
import { dirname, join } from "node:path";
import { lockDataFolder, lockPath, makeDataFolder } from "../persistence/data_folder.ts";
import { syncFolder } from "../persistence/sync_folder.ts";
import { BackupError, type BackupHeader, databaseName, readBackup } from "./backup_format.ts";
import type { TarEntry } from "./tar.ts";

/**
 * @throws BackupError when the backup is damaged or newer than this Hull, or the folder has something in it.
 */
export async function restore(
  backup: AsyncIterable<Uint8Array>,
  dataFolder: string,
): Promise<BackupHeader> {
  await mustBeEmpty(dataFolder);
  const unpacked = join(dataFolder, "restoring");
  const lock = lockDataFolder(dataFolder);
  try {
    const header = await readBackup(backup, (entry) => unpack(entry, unpacked));
    await putInPlace(unpacked, dataFolder);
    return header;
  } catch (error) {
    await removeIfThere(lockPath(dataFolder));
    throw error;
  } finally {
    await removeIfThere(unpacked);
    lock.close();
  }
}

async function mustBeEmpty(folder: string): Promise<void> {
  makeDataFolder(folder);
  for await (const { name } of Deno.readDir(folder)) {
    // A server that could not start leaves its lock behind.
    if (join(folder, name) === lockPath(folder)) continue;
    throw new BackupError(
      `The folder ${folder} is not empty. A backup overwrites nothing: name another folder, empty or new, with --data.`,
    );
  }
}

async function unpack({ name, body }: TarEntry, folder: string): Promise<void> {
  const path = join(folder, name);
  await Deno.mkdir(dirname(path), { recursive: true });
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  for await (const chunk of body) {
    for (let written = 0; written < chunk.length;) {
      written += await file.write(chunk.subarray(written));
    }
  }
  await file.sync();
}

/** A database is what makes the folder one of a server, so it comes when everything else is there. */
async function putInPlace(unpacked: string, dataFolder: string): Promise<void> {
  for (const name of ["modules", "files", databaseName]) {
    try {
      if (name !== databaseName) await syncFolder(join(unpacked, name));
      await Deno.rename(join(unpacked, name), join(dataFolder, name));
    } catch (error) {
      // Without an app there are no modules, and not every app has files.
      if (!(error instanceof Deno.errors.NotFound) || name === databaseName) throw error;
    }
  }
  await syncFolder(dataFolder);
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
