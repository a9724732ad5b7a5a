/**
 * Snapshots of the SQLite database. Each isolate has one reader, with a connection of its own.
 *
 * In WAL mode a read transaction sees the database as it was when the transaction read first, whatever is
 * committed meanwhile. So a snapshot is a read transaction whose first statement fetches the timestamp.
 */
import { assert } from "../assert.ts";
import { Catalog, type CatalogData, type IndexId } from "../database/catalog.ts";
import type { KeyInterval } from "../database/read_set.ts";
import type { SearchSnapshot } from "../database/search/search_snapshot.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { type IndexKey, keyToBytes } from "../values/index_key.ts";
import { FullTextReader } from "./full_text.ts";
import { PastSnapshots } from "./history_reader.ts";
import type {
  HistoryReader,
  Order,
  SessionRecord,
  Snapshot,
  StoredDocument,
} from "./persistence.ts";
import { Database, type Row } from "./sqlite.ts";

/** Enough for the inner pages of every index that a function touches; there is one cache an isolate. */
const cacheKiB = 4096;

/**
 * Opens the database file, which a writer must have created.
 * @throws PersistenceError
 */
export function openSnapshotReader(path: string): HistoryReader {
  return new SqliteSnapshotReader(new Database(path, { readOnly: true, cacheKiB }));
}

class SqliteSnapshotReader implements HistoryReader {
  readonly #database: Database;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #fullText: FullTextReader;
  readonly #past: PastSnapshots;
  #catalog: Catalog | undefined;
  #open = false;

  constructor(database: Database) {
    this.#database = database;
    this.#statements = prepareStatements(database);
    this.#fullText = new FullTextReader(database);
    this.#past = new PastSnapshots(database);
  }

  open(isolate = 0): Snapshot {
    assert(!this.#open, "the reader has an open snapshot");
    this.#database.begin();
    this.#open = true;
    try {
      const [timestamp, catalogVersion, sequence] = this.#statements.state.row(isolate)!;
      return new SqliteSnapshot(
        this.#statements,
        this.#fullText,
        timestamp as Timestamp,
        this.#catalogOf(catalogVersion as number),
        sequence as number | null ?? 0,
        () => this.#close(),
      );
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  openAt(timestamp: Timestamp, isolate = 0): Snapshot | undefined {
    const newest = this.open(isolate);
    assert(timestamp <= newest.timestamp, "the timestamp is visible");
    if (timestamp === newest.timestamp) return newest;
    const snapshot = this.#past.open(newest, timestamp);
    if (snapshot === undefined) newest.close();
    return snapshot;
  }

  /** The catalog of the open snapshot; parsed again only when its version has changed. */
  #catalogOf(version: number): Catalog {
    if (this.#catalog?.data.version !== version) {
      const json = this.#statements.catalog.value() as string;
      this.#catalog = new Catalog(JSON.parse(json) as CatalogData);
    }
    return this.#catalog;
  }

  #close(): void {
    this.#open = false;
    this.#database.commit();
  }

  getRecord(key: string): string | undefined {
    assert(!this.#open, "records are read between snapshots");
    return this.#statements.record.value(key) as string | undefined;
  }

  getSessionRecord(sessionId: string, requestId: number): SessionRecord | undefined {
    assert(!this.#open, "session records are read between snapshots");
    return sessionRecord(this.#statements.sessionRequest.row(sessionId, requestId));
  }

  close(): void {
    this.#database.close();
  }
}

class SqliteSnapshot implements Snapshot {
  readonly #statements: ReturnType<typeof prepareStatements>;
  #close: (() => void) | undefined;

  constructor(
    statements: ReturnType<typeof prepareStatements>,
    readonly search: SearchSnapshot,
    readonly timestamp: Timestamp,
    readonly catalog: Catalog,
    readonly decidedSequence: number,
    close: () => void,
  ) {
    this.#statements = statements;
    this.#close = close;
  }

  get(index: IndexId, key: IndexKey): StoredDocument | undefined {
    this.#assertOpen();
    const row = this.#statements.get.row(index, keyToBytes(key));
    return row && storedDocument(row);
  }

  scan(index: IndexId, interval: KeyInterval, order: Order, limit: number): StoredDocument[] {
    this.#assertOpen();
    const { bounded, unbounded } = this.#statements.scan[order];
    const lower = keyToBytes(interval.lower);
    const rows = interval.upper === null
      ? unbounded.rows(index, lower, limit)
      : bounded.rows(index, lower, keyToBytes(interval.upper), limit);
    return rows.map(storedDocument);
  }

  count(index: IndexId, interval: KeyInterval): number {
    this.#assertOpen();
    const { bounded, unbounded } = this.#statements.count;
    const lower = keyToBytes(interval.lower);
    const count = interval.upper === null
      ? unbounded.value(index, lower)
      : bounded.value(index, lower, keyToBytes(interval.upper));
    return count as number;
  }

  /** After `close` the connection may be reading at another timestamp already. */
  #assertOpen(): void {
    assert(this.#close !== undefined, "the snapshot is closed");
  }

  close(): void {
    this.#close?.();
    this.#close = undefined;
  }
}

function storedDocument(row: Row): StoredDocument {
  return { row: row[0] as number, json: row[1] as string };
}

/** From the columns of `selectSessionRequest`. */
export function sessionRecord(row: Row | undefined): SessionRecord | undefined {
  if (row === undefined) return undefined;
  const [timestamp, result, logLines] = row;
  return {
    timestamp: timestamp as Timestamp,
    result: result as string,
    logLines: logLines as string,
  };
}

export const selectRecord = "SELECT json FROM records WHERE key = ?";

export const selectSessionRequest = `
  SELECT timestamp, result, log_lines FROM session_requests
  WHERE session_id = ? AND request_id = ?`;

function prepareStatements(database: Database) {
  const above = "index_id = ? AND key >= ?";
  const between = `${above} AND key < ?`;
  // CROSS keeps the planner from ever beginning with the documents.
  const documents = "SELECT row, json FROM index_entries CROSS JOIN documents USING (row)";
  const scan = (order: "ASC" | "DESC") => ({
    bounded: database.prepare(`${documents} WHERE ${between} ORDER BY key ${order} LIMIT ?`),
    unbounded: database.prepare(`${documents} WHERE ${above} ORDER BY key ${order} LIMIT ?`),
  });
  const count = "SELECT count(*) FROM index_entries";
  return {
    state: database.prepare(`
      SELECT timestamp, catalog_version, (SELECT sequence FROM decided WHERE isolate = ?)
      FROM state`),
    catalog: database.prepare("SELECT json FROM catalog"),
    get: database.prepare(`${documents} WHERE index_id = ? AND key = ?`),
    scan: { asc: scan("ASC"), desc: scan("DESC") },
    count: {
      bounded: database.prepare(`${count} WHERE ${between}`),
      unbounded: database.prepare(`${count} WHERE ${above}`),
    },
    record: database.prepare(selectRecord),
    sessionRequest: database.prepare(selectSessionRequest),
  };
}
