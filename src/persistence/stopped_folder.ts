/** Data folders that no server uses, as the commands that work on them find them. */
import { databasePath, lockDataFolder } from "./data_folder.ts";
import { layoutVersion, mustGetLayout } from "./migrations.ts";
import { PersistenceError, persistenceError } from "./persistence_error.ts";
import { Database } from "./sqlite.ts";

/**
 * Takes the lock of a data folder whose database this version can read as it is, until `close`.
 * @throws PersistenceError when there is no database, a server uses it, or its layout is another one.
 */
export function lockStopped(dataFolder: string): { close(): void } {
  mustHaveDatabase(dataFolder);
  const lock = lockDataFolder(dataFolder);
  try {
    mustHaveCurrentLayout(dataFolder);
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

function mustHaveDatabase(dataFolder: string): void {
  const path = databasePath(dataFolder);
  try {
    Deno.statSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw persistenceError("open", path, error);
    throw new PersistenceError(
      "NotADatabase",
      `There is no server's data in ${dataFolder}. Name its folder with --data.`,
      { cause: error },
    );
  }
}

function mustHaveCurrentLayout(dataFolder: string): void {
  const database = new Database(databasePath(dataFolder), { readOnly: true, cacheKiB: 256 });
  try {
    const layout = mustGetLayout(database);
    if (layout === layoutVersion) return;
    throw new PersistenceError(
      "TooOld",
      `${database.path} was written by an earlier version of Hull (layout ${layout}; this version has ` +
        `${layoutVersion}). Start a server on it once, which upgrades it, or use that version.`,
    );
  } finally {
    database.close();
  }
}
