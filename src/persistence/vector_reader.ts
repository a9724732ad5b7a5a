/** Reads the entries of vector indexes (see vector_writer.ts) on a connection of its own. */
import type { IndexId } from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { Database, type Row } from "./sqlite.ts";

/** Vectors are read once, on the way to memory, so few pages are worth keeping. */
const cacheKiB = 2048;

/** Entries fetched at a time; 2.4 MB of vectors of 1536 dimensions. */
const pageEntries = 400;

export interface StoredVector {
  readonly entry: number;
  /** See `VectorEntry`. */
  readonly filters: Uint8Array;
  readonly vector: Float32Array;
}

export class VectorReader {
  readonly #database: Database;
  readonly #statements: ReturnType<typeof prepareStatements>;

  /**
   * Opens the database file, which a writer must have created.
   * @throws PersistenceError
   */
  constructor(path: string) {
    this.#database = new Database(path, { readOnly: true, cacheKiB });
    this.#statements = prepareStatements(this.#database);
  }

  /** Runs `body` on one snapshot: the newest, as of `timestamp`. All other methods are for use in it. */
  read<Result>(body: (timestamp: Timestamp) => Result): Result {
    return this.#database.transaction(() => body(this.#statements.timestamp.value() as Timestamp));
  }

  /** The highest number of any entry, of whatever index; 0 without one. */
  newestEntry(): number {
    return this.#statements.newest.value() as number;
  }

  hasEntries(index: IndexId): boolean {
    return this.#statements.any.row(index) !== undefined;
  }

  /** Every entry of an index. */
  *all(index: IndexId): Iterable<StoredVector> {
    let after = 0;
    for (;;) {
      const rows = this.#statements.all.rows(index, after, pageEntries);
      for (const row of rows) yield storedVector(row);
      if (rows.length < pageEntries) return;
      after = rows.at(-1)![3] as number;
    }
  }

  /** The entries of an index with higher numbers than `after`. */
  *added(index: IndexId, after: number): Iterable<StoredVector> {
    for (;;) {
      const rows = this.#statements.added.rows(after, index, pageEntries);
      for (const row of rows) yield storedVector(row);
      if (rows.length < pageEntries) return;
      after = rows.at(-1)![0] as number;
    }
  }

  /** The document of an entry and its vector; undefined when the entry is gone. */
  get(entry: number): { readonly id: string; readonly vector: Float32Array } | undefined {
    const row = this.#statements.get.row(entry);
    return row && { id: row[0] as string, vector: floats(row[1] as Uint8Array) };
  }

  close(): void {
    this.#database.close();
  }
}

function storedVector([entry, filters, vector]: Row): StoredVector {
  return {
    entry: entry as number,
    filters: filters as Uint8Array,
    vector: floats(vector as Uint8Array),
  };
}

function floats(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
}

function prepareStatements(database: Database) {
  return {
    timestamp: database.prepare("SELECT timestamp FROM state"),
    newest: database.prepare("SELECT ifnull(max(entry), 0) FROM vectors"),
    any: database.prepare("SELECT 1 FROM vectors WHERE index_id = ? LIMIT 1"),
    all: database.prepare(`
      SELECT entry, filters, vector, row FROM vectors WHERE index_id = ? AND row > ?
      ORDER BY row LIMIT ?`),
    // The plus sign keeps the planner from walking through the whole index: what is new is little.
    added: database.prepare(`
      SELECT entry, filters, vector FROM vectors WHERE entry > ? AND +index_id = ?
      ORDER BY entry LIMIT ?`),
    get: database.prepare("SELECT document_id, vector FROM vectors WHERE entry = ?"),
  };
}
