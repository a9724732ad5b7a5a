/**
 * A copy of the database as of one commit, while others write to it.
 *
 * `VACUUM INTO` reads within one transaction, so the copy is a snapshot that writers neither wait for nor
 * disturb (SQLite's backup API would begin again whenever one of them commits). It blocks its thread, and so
 * it has one of its own. Until it is done the write-ahead log cannot begin again and grows by what is written.
 */
import { moduleUrl } from "../program_files.ts";
import { databaseCopyPath, databasePath } from "./data_folder.ts";
import { persistenceError } from "./persistence_error.ts";
import type { DatabaseCopied, DatabaseCopyStart } from "./database_copy_worker.ts";

/** One at a time. */
function copyPath(dataFolder: string): string {
  return databaseCopyPath(databasePath(dataFolder));
}

/**
 * Copies the database and resolves with the copy's path. Whatever an earlier copy has left is removed first.
 * @throws PersistenceError
 */
export async function copyDatabase(dataFolder: string): Promise<string> {
  removeDatabaseCopy(dataFolder);
  const to = copyPath(dataFolder);
  const worker = new Worker(moduleUrl("databaseCopy"), { type: "module" });
  try {
    worker.postMessage({ from: databasePath(dataFolder), to } satisfies DatabaseCopyStart);
    const { error } = await new Promise<DatabaseCopied>((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<DatabaseCopied>) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
    });
    if (error !== null) throw persistenceError("copy", databasePath(dataFolder), error);
    return to;
  } catch (error) {
    removeDatabaseCopy(dataFolder);
    throw error;
  } finally {
    worker.terminate();
  }
}

/** Removes the copy, and what SQLite may have left beside it. */
export function removeDatabaseCopy(dataFolder: string): void {
  for (const path of [copyPath(dataFolder), `${copyPath(dataFolder)}-journal`]) {
    try {
      Deno.removeSync(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw persistenceError("remove", path, error);
    }
  }
}
