/**
 * The persistence layer's files in the data folder, and the lock that keeps a second server out of it:
 *
 *     hull.sqlite3, hull.sqlite3-wal, hull.sqlite3-shm    the database
 *     hull.sqlite3-backup                                 a copy of it, while it is backed up
 *     hull.lock                                           locked while a server uses the folder
 *
 * Nobody but SQLite may open `hull.sqlite3`: closing any other handle to it drops SQLite's own locks in
 * that process (a rule of POSIX).
 */
import { dirname, join, resolve } from "node:path";
import { errorMessage } from "../errors.ts";
import { PersistenceError, persistenceError } from "./persistence_error.ts";

export function databasePath(dataFolder: string): string {
  return join(dataFolder, "hull.sqlite3");
}

/** Bytes of the database and of its write-ahead log; a file that is not there has none. */
export function databaseBytes(dataFolder: string): { database: number; log: number } {
  const path = databasePath(dataFolder);
  return { database: bytesOf(path), log: bytesOf(`${path}-wal`) };
}

/** Looking at a file's size does not open it. */
function bytesOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

/** Where a copy of the database lies while it is backed up; see database_copy.ts. */
export function databaseCopyPath(database: string): string {
  return `${database}-backup`;
}

export function lockPath(dataFolder: string): string {
  return join(dataFolder, "hull.lock");
}

/** Makes the folder unless it is there, for its owner alone: it holds everybody's data. */
export function makeDataFolder(dataFolder: string): void {
  Deno.mkdirSync(dirname(resolve(dataFolder)), { recursive: true });
  Deno.mkdirSync(dataFolder, { recursive: true, mode: 0o700 });
}

/**
 * Creates the folder if need be and takes its lock until `close`. The operating system drops the lock
 * with the process, however that ends, so it never outlives its owner.
 * @throws PersistenceError of code InUse when another server has it.
 */
export function lockDataFolder(dataFolder: string): { close(): void } {
  if (Deno.build.os === "linux" && /^\/(dev|proc|sys)\//.test(dataFolder)) {
    throw new PersistenceError(
      "NotWritable",
      `The data folder ${dataFolder} cannot be used: functions may read nothing below /dev, /proc and /sys. ` +
        "Choose another one with --data; a link to a folder there will do, too.",
    );
  }
  const path = lockPath(dataFolder);
  let file: Deno.FsFile;
  try {
    makeDataFolder(dataFolder);
    file = Deno.openSync(path, { read: true, write: true, create: true });
  } catch (error) {
    const known = persistenceError("open", path, error);
    if (known.code === "DiskFull") throw known;
    throw new PersistenceError(
      "NotWritable",
      `The data folder ${dataFolder} cannot be used: ${
        errorMessage(error)
      }. Choose another one with --data, or ` +
        "let the user that runs Hull write there.",
      { cause: error },
    );
  }
  if (!file.tryLockSync(true)) {
    const owner = ownerOf(file);
    file.close();
    throw new PersistenceError(
      "InUse",
      `The data folder ${dataFolder} is in use by another Hull server${owner}. ` +
        "Stop that server, or choose another data folder.",
    );
  }
  file.truncateSync();
  file.writeSync(new TextEncoder().encode(String(Deno.pid)));
  return file;
}

function ownerOf(file: Deno.FsFile): string {
  const buffer = new Uint8Array(32);
  const length = file.readSync(buffer) ?? 0;
  const pid = new TextDecoder().decode(buffer.subarray(0, length));
  return /^\d+$/.test(pid) ? ` (process ${pid})` : "";
}
