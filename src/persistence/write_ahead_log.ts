/**
 * SQLite's write-ahead log, as the writer manages it: when it is flushed, and when its pages are copied
 * into the database so that it can begin again from its start.
 */
import { dirname } from "node:path";
import { log } from "../logger.ts";
import { persistenceError } from "./persistence_error.ts";
import { busyTimeoutMs, type Database } from "./sqlite.ts";

/**
 * Pages in the log at which it is copied, 16 MiB. SQLite finds a page in up to 4062 pages of log with one
 * look-up and needs one more for each further 4096, so more makes every read slower; fewer makes pages
 * that change often be copied more often.
 */
const checkpointPages = 4000;

/** How long a checkpoint waits for snapshots of earlier commits to end before it gives up for this time. */
const checkpointWaitMs = 20;

/** Pages at which a log that cannot begin again is worth a warning, 256 MiB. */
const warningPages = 65_536;

export class WriteAheadLog {
  readonly #database: Database;
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #size;
  readonly #checkpoint;
  /** Pages at which the next checkpoint is tried; further up after one that snapshots were in the way of. */
  #nextCheckpointPages = checkpointPages;
  #warned = false;

  /**
   * Everything that the log holds is on disk afterwards; a predecessor may have been killed before it had
   * flushed. `database` must have run a transaction, or there is no log yet.
   */
  constructor(database: Database) {
    this.#database = database;
    this.#path = `${database.path}-wal`;
    try {
      this.#file = Deno.openSync(this.#path, { read: true, write: true });
      this.#file.syncDataSync();
      syncFolder(dirname(this.#path));
    } catch (error) {
      throw persistenceError("open", this.#path, error);
    }
    this.#size = database.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#checkpoint = database.prepare("PRAGMA wal_checkpoint(RESTART)");
  }

  /** Resolves when everything committed before the call is on disk. */
  async sync(): Promise<void> {
    try {
      await this.#file.syncData();
    } catch (error) {
      throw persistenceError("flush", this.#path, error);
    }
  }

  /**
   * Copies the log into the database if it has grown enough. A snapshot that is open meanwhile keeps the
   * log from beginning again; the next attempt is made after it has grown by the same amount once more.
   */
  checkpointIfDue(): void {
    const [, pages] = this.#size.row() as [busy: number, pages: number, copied: number];
    if (pages < this.#nextCheckpointPages) return;
    this.#database.exec(`PRAGMA busy_timeout = ${checkpointWaitMs}`);
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

/** Makes the names of new files in a folder durable. Windows has no handles of folders, and no need of this. */
function syncFolder(path: string): void {
  if (Deno.build.os === "windows") return;
  using folder = Deno.openSync(path);
  folder.syncSync();
}
