/**
 * SQLite's write-ahead log, as the writer manages it: when it is flushed, and when its pages are copied
 * into the database so that it can begin again from its start.
 */
import { dirname } from "node:path";
import { log } from "../logger.ts";
import { databaseCopyPath } from "./data_folder.ts";
import { PersistenceError, persistenceError } from "./persistence_error.ts";
import { busyTimeoutMs, type Database } from "./sqlite.ts";
import { syncFolderSync } from "./sync_folder.ts";

/**
 * Pages in the log at which it is copied, 16 MiB. SQLite finds a page in up to 4062 pages of log with one
 * look-up and needs one more for each further 4096, so more makes every read slower; fewer makes pages
 * that change often be copied more often.
 */
const checkpointPages = 4000;

/** How long a checkpoint waits for snapshots of earlier commits to end before it gives up for this time. */
const checkpointWaitMs = 20;

/**
 * How long it waits once the log is this large, 64 MiB: reads that each take longer than the wait above and
 * follow one another without a gap would let it grow for ever. Longer than a query may run in user code.
 */
const overduePages = 4 * checkpointPages;
const overdueWaitMs = 2000;

/** Pages at which a log that cannot begin again is worth a warning, 256 MiB. */
const warningPages = 65_536;

export class WriteAheadLog {
  readonly #database: Database;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #flushes: boolean;
  readonly #size;
  readonly #checkpoint;
  /** Pages at which the next checkpoint is tried; further up after one that snapshots were in the way of. */
  #nextCheckpointPages = checkpointPages;
  #warned = false;

  /**
   * Everything that the log holds is on disk afterwards; a predecessor may have been killed before it had
   * flushed. `database` must have run a transaction, or there is no log yet.
   * @param flushes False: nothing waits for the disk.
   */
  constructor(database: Database, flushes = true) {
    this.#database = database;
    this.#flushes = flushes;
    this.#path = `${database.path}-wal`;
    try {
      this.#file = Deno.openSync(this.#path, { read: true, write: true });
      if (flushes) {
        this.#file.syncDataSync();
        syncFolderSync(dirname(this.#path));
      }
    } catch (error) {
      throw persistenceError("open", this.#path, error);
    }
    this.#size = database.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#checkpoint = database.prepare("PRAGMA wal_checkpoint(RESTART)");
  }

  /**
   * Resolves when everything committed before the call is on disk.
   * @throws PersistenceError also when the file has been deleted: nobody would find in it what is flushed to it.
   */
  async sync(): Promise<void> {
    let links: number | null;
    try {
      if (this.#flushes) await this.#file.syncData();
      links = this.#file.statSync().nlink;
    } catch (error) {
      throw persistenceError("flush", this.#path, error);
    }
    if (links !== 0) return;
    throw new PersistenceError(
      "Removed",
      `${this.#path} was deleted while the server was using it. Restore a backup into a new data folder.`,
    );
  }

  /**
   * Copies the log into the database if it has grown enough. A snapshot that is open meanwhile keeps the
   * log from beginning again; the next attempt is made after it has grown by the same amount once more.
   */
  checkpointIfDue(): void {
    const [, pages] = this.#size.row() as [busy: number, pages: number, copied: number];
    if (pages < this.#nextCheckpointPages) return;
    // A backup reads for longer than writers could wait.
    const isOverdue = pages >= overduePages && !exists(databaseCopyPath(this.#database.path));
    const waitMs = isOverdue ? overdueWaitMs : checkpointWaitMs;
    this.#database.exec(`PRAGMA busy_timeout = ${waitMs}`);
    const [busy] = this.#checkpoint.row() as [busy: number];
    this.#database.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    this.#nextCheckpointPages = (busy ? pages : 0) + checkpointPages;
    if (!busy) {
      this.#warned = false;
    } else if (pages > warningPages && !this.#warned) {
      this.#warned = true;
      log("warn", "The write-ahead log keeps growing because a read does not end", { pages });
    }
  }

  /** Copies what open snapshots permit, so that the next start finds little to recover. */
  close(): void {
    this.#database.exec(`PRAGMA busy_timeout = ${checkpointWaitMs}`);
    this.#database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").row();
    this.#file.close();
  }
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
