/**
 * Whether a database contradicts itself: its pages, its catalog, its documents and their index entries.
 * Everything that an index should hold is computed again from the documents. Memory stays bounded.
 */
import { isDeepStrictEqual } from "node:util";
import {
  byIdIndexId,
  Catalog,
  componentOf,
  type IndexId,
  isDatabaseIndex,
  isFilled,
  qualifiedName,
  type SearchIndex,
  systemTables,
  type TableDefinition,
} from "../database/catalog.ts";
import { type VectorEntry, vectorEntryOf } from "../database/vector_entry.ts";
import { errorMessage } from "../errors.ts";
import { indexKeyOf, keyToBytes } from "../values/index_key.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";
import { FullTextCheck } from "./full_text_check.ts";
import { Database } from "./sqlite.ts";

/** Rows that are read at once. */
const pageLength = 500;
const cacheKiB = 8192;

/** Called with each thing that is wrong, in a sentence. */
export type Report = (problem: string) => void;

/**
 * Checks the newest state of a database file of the current layout, and does not change it.
 * @throws PersistenceError when it cannot be read at all.
 */
export function checkDatabase(path: string, report: Report): void {
  const database = new Database(path, { readOnly: true, cacheKiB });
  try {
    // One transaction: the whole check sees one state.
    database.transaction(() => new DatabaseCheck(database, report).run());
  } finally {
    database.close();
  }
}

class DatabaseCheck {
  readonly #database: Database;
  readonly #report: Report;
  readonly #statements: ReturnType<typeof prepareStatements>;
  readonly #catalog: Catalog;
  readonly #fullText: FullTextCheck;
  /** By index that must be complete: how many of its entries were found. */
  readonly #found = new Map<IndexId, number>();
  #documentCount = 0;

  constructor(database: Database, report: Report) {
    this.#database = database;
    this.#report = report;
    this.#statements = prepareStatements(database);
    this.#catalog = new Catalog(JSON.parse(this.#statements.catalog.value() as string));
    this.#fullText = new FullTextCheck(database, report);
  }

  get #tables(): readonly TableDefinition[] {
    const system = Object.entries(systemTables).map(([name, number]) => ({ name, number }));
    return [...system, ...this.#catalog.data.tables];
  }

  run(): void {
    this.#checkPages();
    this.#checkCatalog();
    this.#checkRecords();
    for (const table of this.#tables) {
      for (const index of this.#searchIndexesOf(table)) {
        this.#fullText.expect(index, `${table.name}.${index.name}`);
      }
      for (const [row, json] of this.#documentsOf(table)) this.#checkDocument(table, row, json);
    }
    this.#checkLostDocuments();
    this.#checkEntryCounts();
    this.#fullText.finish();
  }

  #searchIndexesOf({ number }: TableDefinition): SearchIndex[] {
    return this.#catalog.indexesOf(number).filter((index) => index.kind === "search");
  }

  #checkPages(): void {
    for (const [text] of this.#statements.integrity.rows()) {
      if (text !== "ok") this.#report(`SQLite finds the file damaged: ${text}.`);
    }
  }

  #checkCatalog(): void {
    const { version } = this.#catalog.data;
    const expected = this.#statements.catalogVersion.value();
    if (version === expected) return;
    this.#report(`The catalog has version ${version}, and version ${expected} is recorded.`);
  }

  #checkRecords(): void {
    for (const [key, json] of this.#statements.records.rows()) {
      try {
        JSON.parse(json as string);
      } catch (error) {
        this.#report(`The record ${key} cannot be read: ${errorMessage(error)}.`);
      }
    }
  }

  /** As its `by_id` index lists them: rows and texts. */
  *#documentsOf({ number }: TableDefinition): Generator<[row: number, json: string]> {
    for (let after = new Uint8Array();;) {
      const rows = this.#statements.documents.rows(byIdIndexId(number), after, pageLength);
      for (const [, row, json] of rows) yield [row as number, json as string];
      if (rows.length < pageLength) return;
      after = rows.at(-1)![0] as Uint8Array<ArrayBuffer>;
    }
  }

  #checkDocument(table: TableDefinition, row: number, json: string): void {
    this.#documentCount++;
    let document: ValueObject;
    try {
      document = parseDocument(json);
    } catch (error) {
      return this.#report(
        `A document of ${table.name} (row ${row}) cannot be read: ${errorMessage(error)}.`,
      );
    }
    const id = String(document._id);
    for (const index of this.#catalog.indexesOf(table.number).filter(isDatabaseIndex)) {
      const entry = this.#statements.entry.value(index.id, keyToBytes(indexKeyOf(index, document)));
      if (entry === row) this.#found.set(index.id, (this.#found.get(index.id) ?? 0) + 1);
      // One that is being filled may not have come to this document.
      else if (isFilled(index) || entry !== undefined) {
        const what = entry === undefined ? "does not have it" : "has another one under its key";
        this.#report(`Document ${id}: the index ${table.name}.${index.name} ${what}.`);
      }
    }
    this.#checkVectors(table, row, document);
    for (const index of this.#searchIndexesOf(table)) {
      this.#fullText.checkDocument(index, row, document);
    }
    this.#checkSchema(document, table);
  }

  #checkVectors(table: TableDefinition, row: number, document: ValueObject): void {
    for (const index of this.#catalog.indexesOf(table.number)) {
      if (index.kind !== "vector") continue;
      const stored = this.#statements.vector.row(index.id, row);
      const entry = vectorEntryOf(index, document);
      if (isDeepStrictEqual(stored, entry === null ? undefined : storedColumns(document, entry))) {
        if (entry !== null) this.#found.set(index.id, (this.#found.get(index.id) ?? 0) + 1);
      } else if (isFilled(index) || stored !== undefined) {
        this.#report(
          `Document ${document._id}: the index ${table.name}.${index.name} does not have its vector.`,
        );
      }
    }
  }

  #checkSchema({ _id, _creationTime, ...fields }: ValueObject, table: TableDefinition): void {
    const tableNames = this.#catalog.tableNames(componentOf(table));
    const problem = this.#catalog.documentValidator("active", table)?.check(fields, tableNames);
    if (problem) {
      this.#report(
        `Document ${_id}: it does not match the schema of ${qualifiedName(table)}: ${problem}`,
      );
    }
  }

  #checkLostDocuments(): void {
    const lost = this.#statements.documentCount.value() as number - this.#documentCount;
    if (lost !== 0) {
      this.#report(`${lost} documents belong to no table: no by_id index lists them.`);
    }
  }

  /** Every document has found its entries by now, so whatever else there is stands for nothing. */
  #checkEntryCounts(): void {
    const dropped = new Set(this.#statements.dropped.rows().map(([index]) => index as IndexId));
    for (const [index, count] of this.#statements.entryCounts.rows() as [IndexId, number][]) {
      if (dropped.has(index)) continue;
      const excess = count - (this.#found.get(index) ?? 0);
      if (excess === 0) continue;
      this.#report(
        `The index ${this.#nameOf(index)} has ${excess} entries that stand for nothing.`,
      );
    }
  }

  #nameOf(id: IndexId): string {
    for (const { number, name } of this.#tables) {
      const index = this.#catalog.indexesOf(number).find((index) => index.id === id);
      if (index !== undefined) return `${name}.${index.name}`;
    }
    return `${id}, which belongs to no table,`;
  }
}

/** What `VectorWriter` stores. */
function storedColumns({ _id }: ValueObject, { filters, vector }: VectorEntry): unknown[] {
  return [_id, filters, new Uint8Array(vector.buffer)];
}

function prepareStatements(database: Database) {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    integrity: prepare("PRAGMA integrity_check"),
    catalog: prepare("SELECT json FROM catalog"),
    catalogVersion: prepare("SELECT catalog_version FROM state"),
    records: prepare("SELECT key, json FROM records"),
    documentCount: prepare("SELECT count(*) FROM documents"),
    documents: prepare(`
      SELECT key, row, json FROM index_entries CROSS JOIN documents USING (row)
      WHERE index_id = ? AND key > ? ORDER BY key LIMIT ?`),
    entry: prepare("SELECT row FROM index_entries WHERE index_id = ? AND key = ?"),
    vector: prepare(`
      SELECT document_id, filters, vector FROM vectors WHERE index_id = ? AND row = ?`),
    entryCounts: prepare(`
      SELECT index_id, count(*) FROM index_entries GROUP BY index_id
      UNION ALL SELECT index_id, count(*) FROM vectors GROUP BY index_id`),
    dropped: prepare("SELECT index_id FROM dropped_indexes"),
  };
}
