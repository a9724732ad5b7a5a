/**
 * Keeps the entries of vector indexes up to date, inside the transactions of the writer.
 *
 * An entry never changes: a document with a new vector, or new values to filter by, gets a new entry with a
 * higher number. So a reader that knows all entries up to a number learns of everything newer by that number
 * alone, and of what is gone when it looks an entry up.
 */
import { Buffer } from "node:buffer";
import type { CatalogData, IndexId, TableNumber, VectorIndex } from "../database/catalog.ts";
import { type VectorEntry, vectorEntryOf } from "../database/vector_entry.ts";
import type { DocumentWrite } from "../database/write_set.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";
import type { Database } from "./sqlite.ts";

export class VectorWriter {
  readonly #statements: ReturnType<typeof prepareStatements>;
  /** Never goes back while the server runs, also not after a transaction that failed. */
  #lastEntry: number;
  #catalog: CatalogData | undefined;
  #indexes = new Map<TableNumber, readonly VectorIndex[]>();

  constructor(database: Database) {
    this.#statements = prepareStatements(database);
    this.#lastEntry = this.#statements.lastEntry.value() as number;
  }

  /** Follows a write of the document in `row`. */
  write(catalog: CatalogData, { table, id, json }: DocumentWrite, row: number): void {
    const indexes = this.#indexesOf(catalog, table);
    if (indexes.length === 0) return;
    const document = json === null ? null : parseDocument(json);
    for (const index of indexes) {
      const entry = document && vectorEntryOf(index, document);
      this.#replace(index.id, row, id, entry);
    }
  }

  /** Enters a document that existed before the index did, unless a write has entered it already. */
  backfill(index: VectorIndex, row: number, document: ValueObject): void {
    if (this.#statements.find.row(index.id, row) !== undefined) return;
    const entry = vectorEntryOf(index, document);
    if (entry !== null) this.#add(index.id, row, document._id as string, entry);
  }

  /** Deletes up to `limit` entries of a dropped index and returns how many. */
  purge(index: IndexId, limit: number): number {
    return this.#statements.purge.change(index, limit);
  }

  #replace(index: IndexId, row: number, id: string, entry: VectorEntry | null): void {
    const current = this.#statements.find.row(index, row);
    if (current !== undefined) {
      const [filters, vector] = current as [Uint8Array, Uint8Array];
      if (entry !== null && isSame(filters, entry.filters) && isSame(vector, bytesOf(entry))) {
        return;
      }
      this.#statements.remove.run(index, row);
    }
    if (entry !== null) this.#add(index, row, id, entry);
  }

  #add(index: IndexId, row: number, id: string, entry: VectorEntry): void {
    const { filters } = entry;
    this.#statements.add.run(++this.#lastEntry, index, row, id, filters, bytesOf(entry));
  }

  #indexesOf(catalog: CatalogData, table: TableNumber): readonly VectorIndex[] {
    if (catalog !== this.#catalog) {
      const indexes = catalog.indexes.filter((index) => index.kind === "vector");
      this.#indexes = Map.groupBy(indexes, (index) => index.table);
      this.#catalog = catalog;
    }
    return this.#indexes.get(table) ?? [];
  }
}

function bytesOf({ vector }: VectorEntry): Uint8Array {
  return new Uint8Array(vector.buffer);
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function prepareStatements(database: Database) {
  return {
    lastEntry: database.prepare("SELECT ifnull(max(entry), 0) FROM vectors"),
    find: database.prepare("SELECT filters, vector FROM vectors WHERE index_id = ? AND row = ?"),
    add: database.prepare("INSERT INTO vectors VALUES (?, ?, ?, ?, ?, ?)"),
    remove: database.prepare("DELETE FROM vectors WHERE index_id = ? AND row = ?"),
    purge: database.prepare(`
      DELETE FROM vectors WHERE entry IN (SELECT entry FROM vectors WHERE index_id = ? LIMIT ?)`),
  };
}
