/**
 * Keeps what the newest state no longer shows, for as long as somebody may want to read at an older timestamp.
 *
 * Inserts cost next to nothing: rows are numbered in commit order, so that the last row of each commit says
 * which documents were there. Changed and deleted documents leave their old text behind, and each index key
 * that came or went leaves a mark. history_reader.ts puts them together again.
 */
import type { Timestamp } from "../database/timestamp.ts";
import type { DocumentWrite } from "../database/write_set.ts";
import { keyToBytes } from "../values/index_key.ts";
import type { Database } from "./sqlite.ts";

/** What one step of pruning removes from each table: a few milliseconds. */
const prunedMax = 500;
/** Pruning waits until this much is too old, so that it is one step for many commits; in microseconds. */
const pruneDelay = 1_000_000;

export class HistoryWriter {
  readonly #database: Database;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #ageMax: number;

  /** `ageMax`: how long a state can be read after the next commit, in microseconds. */
  constructor(database: Database, ageMax: number) {
    this.#database = database;
    this.#statements = prepareStatements(database);
    this.#ageMax = ageMax;
  }

  /** The last row that was ever given to a document. */
  get lastRow(): number {
    return this.#statements.lastRow.value() as number;
  }

  /** To be called when a transaction has inserted documents. */
  inserted(timestamp: Timestamp, lastRow: number): void {
    this.#statements.addRows.run(timestamp, lastRow);
  }

  /** To be called before the document in `row` gets another text or none. */
  changing(timestamp: Timestamp, row: number, { removedKeys, addedKeys }: DocumentWrite): void {
    this.#statements.addRevision.run(timestamp, row);
    for (const [index, key] of removedKeys) {
      this.#statements.addEntry.run(timestamp, index, keyToBytes(key), row, 1);
    }
    for (const [index, key] of addedKeys) {
      this.#statements.addEntry.run(timestamp, index, keyToBytes(key), row, 0);
    }
  }

  /** Nothing before `timestamp` can be read any more: an index was made, and nobody knows its older keys. */
  begin(timestamp: Timestamp): void {
    this.#statements.setStart.run(timestamp);
  }

  /** Removes some of what is too old; true when nothing is left to do. */
  prune(newest: Timestamp): boolean {
    const before = newest - this.#ageMax as Timestamp;
    const oldest = this.#statements.oldest.value() as Timestamp | null;
    if (oldest === null || oldest > before - pruneDelay) return true;
    this.#database.transaction(() => {
      this.#statements.setStart.run(before);
      this.#statements.pruneRevisions.run(prunedMax, before);
      this.#statements.pruneEntries.run(prunedMax, before);
      this.#statements.pruneRows.run(before, prunedMax);
    });
    return false;
  }
}

function prepareStatements(database: Database) {
  const prepare = (sql: string) => database.prepare(sql);
  const first = (table: string, order: string, offset: number) =>
    `SELECT timestamp FROM (
       SELECT timestamp FROM ${table} ORDER BY ${order} LIMIT 1 OFFSET ${offset})`;
  // Changes are numbered in commit order, so the oldest ones come first.
  const prune = (table: string) => `
    DELETE FROM ${table}
    WHERE change IN (SELECT change FROM ${table} ORDER BY change LIMIT ?) AND timestamp <= ?`;
  return {
    lastRow: prepare("SELECT last_row FROM history_rows ORDER BY timestamp DESC LIMIT 1"),
    addRows: prepare("INSERT INTO history_rows VALUES (?, ?)"),
    addRevision: prepare(`
      INSERT INTO history_revisions (timestamp, row, json)
      SELECT ?, row, json FROM documents WHERE row = ?`),
    addEntry: prepare(`
      INSERT INTO history_entries (timestamp, index_id, key, row, existed) VALUES (?, ?, ?, ?, ?)`),
    setStart: prepare("UPDATE state SET history_start = max(history_start, ?)"),
    // Of the rows, the newest one that is too old says what was there when history begins.
    oldest: prepare(`
      SELECT min(timestamp) FROM (
        ${first("history_revisions", "change", 0)}
        UNION ALL ${first("history_entries", "change", 0)}
        UNION ALL ${first("history_rows", "timestamp", 1)})`),
    pruneRevisions: prepare(prune("history_revisions")),
    pruneEntries: prepare(prune("history_entries")),
    pruneRows: prepare(`
      DELETE FROM history_rows WHERE timestamp IN (
        SELECT timestamp FROM history_rows
        WHERE timestamp < (SELECT max(timestamp) FROM history_rows WHERE timestamp <= ?)
        ORDER BY timestamp LIMIT ?)`),
  };
}
