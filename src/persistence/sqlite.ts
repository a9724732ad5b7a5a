/**
 * One SQLite connection: opened the way Hull needs it, statements that are prepared once, transactions,
 * and errors that name cause and remedy. Nothing else in Hull imports `node:sqlite`.
 */
import {
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from "node:sqlite";
import { PersistenceError, persistenceError } from "./persistence_error.ts";

/** Before this version a reset of the write-ahead log could corrupt the database. */
const sqliteVersionMin = [3, 51, 3] as const;

/** How long a statement waits for a lock of another process before it fails. */
export const busyTimeoutMs = 5000;

export interface OpenOptions {
  readonly readOnly: boolean;
  /** Memory for pages, in KiB; grows to this as pages are touched. */
  readonly cacheKiB: number;
  /** False: nothing waits for the disk, and a crash of the machine may leave a database that cannot be read. */
  readonly flushes?: boolean;
}

/** Values of one row, in the order of the columns. */
export type Row = readonly SQLOutputValue[];

/** Rows as arrays take a third less time than as objects. The type declarations do not know the method yet. */
interface ArrayStatement extends StatementSync {
  setReturnArrays(enabled: boolean): void;
}

export class Database {
  readonly path: string;
  readonly #connection: DatabaseSync;
  readonly #begin: Statement;
  readonly #commit: Statement;

  /** @throws PersistenceError */
  constructor(path: string, { readOnly, cacheKiB, flushes = true }: OpenOptions) {
    this.path = path;
    try {
      this.#connection = new DatabaseSync(path, { readOnly });
    } catch (error) {
      throw persistenceError("open", path, error);
    }
    try {
      this.#configure(readOnly, cacheKiB);
      if (!flushes) this.exec("PRAGMA synchronous = OFF");
    } catch (error) {
      this.close();
      throw persistenceError("open", path, error);
    }
    this.#begin = this.prepare(readOnly ? "BEGIN" : "BEGIN IMMEDIATE");
    this.#commit = this.prepare("COMMIT");
  }

  #configure(readOnly: boolean, cacheKiB: number): void {
    // The constructor's `timeout` is ignored by read-only connections.
    this.exec(`PRAGMA busy_timeout = ${busyTimeoutMs}`);
    checkSqliteVersion(String(this.prepare("SELECT sqlite_version()").value()));
    // Negative: in KiB. Memory-mapped reading is left off: after each commit by another connection
    // SQLite unmaps the whole file, which made a read after a write take 77 µs instead of 32.
    this.exec(`PRAGMA cache_size = -${cacheKiB}`);
    this.exec("PRAGMA trusted_schema = OFF");
    if (!readOnly) this.#enableWriteAheadLog();
  }

  #enableWriteAheadLog(): void {
    const mode = this.prepare("PRAGMA journal_mode = WAL").value();
    if (mode !== "wal") {
      throw new PersistenceError(
        "NotWritable",
        `Cannot open ${this.path}: its file system does not support SQLite's write-ahead log. ` +
          "Choose a data folder on a local disk.",
      );
    }
    // NORMAL never syncs at a commit. `SqliteWriter.sync` does, for many commits at once.
    this.exec("PRAGMA synchronous = NORMAL");
    // On macOS an ordinary flush stops at the drive's cache. What `sync` uses does not.
    this.exec("PRAGMA checkpoint_fullfsync = ON");
    // `SqliteWriter.maintain` decides when to copy the log into the database.
    this.exec("PRAGMA wal_autocheckpoint = 0");
    // After a long reader made the log grow, its next reset cuts it back to this size.
    this.exec(`PRAGMA journal_size_limit = ${64 * 1024 * 1024}`);
  }

  /** Runs SQL that returns nothing. */
  exec(sql: string): void {
    try {
      this.#connection.exec(sql);
    } catch (error) {
      throw persistenceError("use", this.path, error);
    }
  }

  prepare(sql: string): Statement {
    try {
      return new Statement(this.path, this.#connection.prepare(sql));
    } catch (error) {
      throw persistenceError("use", this.path, error);
    }
  }

  begin(): void {
    this.#begin.run();
  }

  commit(): void {
    this.#commit.run();
  }

  /** Runs `body` in one transaction; if it throws, nothing of it remains. */
  transaction<Result>(body: () => Result): Result {
    this.begin();
    let result: Result;
    try {
      result = body();
      this.commit();
    } catch (error) {
      // SQLite itself rolls back after some errors, a full disk for example.
      if (this.#connection.isTransaction) this.exec("ROLLBACK");
      throw error;
    }
    return result;
  }

  close(): void {
    this.#connection.close();
  }
}

/** A prepared statement; parameters are bound by position. */
export class Statement {
  readonly #path: string;
  readonly #statement: StatementSync;

  constructor(path: string, statement: StatementSync) {
    this.#path = path;
    this.#statement = statement;
    (statement as ArrayStatement).setReturnArrays(true);
  }

  run(...parameters: SQLInputValue[]): void {
    try {
      this.#statement.run(...parameters);
    } catch (error) {
      throw persistenceError("use", this.#path, error);
    }
  }

  /** The number of rows that changed. */
  change(...parameters: SQLInputValue[]): number {
    try {
      return Number(this.#statement.run(...parameters).changes);
    } catch (error) {
      throw persistenceError("use", this.#path, error);
    }
  }

  row(...parameters: SQLInputValue[]): Row | undefined {
    try {
      return this.#statement.get(...parameters) as Row | undefined;
    } catch (error) {
      throw persistenceError("use", this.#path, error);
    }
  }

  rows(...parameters: SQLInputValue[]): Row[] {
    try {
      return this.#statement.all(...parameters) as unknown as Row[];
    } catch (error) {
      throw persistenceError("use", this.#path, error);
    }
  }

  /** Row by row; the caller may stop early. */
  *iterate(...parameters: SQLInputValue[]): Generator<Row> {
    try {
      yield* this.#statement.iterate(...parameters) as Iterable<unknown> as Iterable<Row>;
    } catch (error) {
      throw persistenceError("use", this.#path, error);
    }
  }

  /** The first column of the first row. */
  value(...parameters: SQLInputValue[]): SQLOutputValue | undefined {
    return this.row(...parameters)?.[0];
  }
}

/** @throws PersistenceError when this SQLite can damage data. */
export function checkSqliteVersion(version: string): void {
  const numbers = version.split(".").map(Number);
  for (const [i, minimum] of sqliteVersionMin.entries()) {
    const number = numbers[i] ?? 0;
    if (number > minimum) return;
    if (number < minimum) {
      throw new PersistenceError(
        "UnsafeSqlite",
        `SQLite ${version} has a defect that can corrupt databases. Run Hull on a version of Deno ` +
          `with SQLite ${sqliteVersionMin.join(".")} or newer.`,
      );
    }
  }
}
