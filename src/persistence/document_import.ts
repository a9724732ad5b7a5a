/**
 * What the end of an import changes, in one commit: tables are emptied, renumbered and created, and documents that
 * were prepared in a file come in (deploy-protocol 10). The file keeps memory bounded; it is read by the writer.
 */
import { assert } from "../assert.ts";
import type { CatalogData, TableDefinition, TableNumber } from "../database/catalog.ts";
import type { Component } from "../database/component.ts";
import type { DocumentWrite, SchemaViolation, TableCreation } from "../database/write_set.ts";
import { catalogAfter } from "./catalog_change.ts";

export interface DocumentImport {
  /** Of the catalog that everything else was prepared for. */
  readonly catalogVersion: number;
  /** Unmounted ones, of which there is nothing yet. Their system tables come before everything else. */
  readonly createComponents: readonly Component[];
  /** Tables whose documents all go, under the numbers they have now; `_storage` may be among them. */
  readonly emptyTables: readonly TableNumber[];
  /** Tables that must hold nothing. */
  readonly requireEmpty: readonly TableNumber[];
  /** New numbers of tables that hold nothing, or nothing any more. */
  readonly renumber: readonly { readonly from: TableNumber; readonly to: TableNumber }[];
  readonly createTables: readonly TableCreation[];
  /** What a document contradicts of the schema of an unfinished push. */
  readonly pendingSchemaViolation?: SchemaViolation;
}

/** One line of the file. */
export interface ImportedDocument {
  readonly write: DocumentWrite;
  /** Where it came from, for people. */
  readonly source: string;
}

/** The catalog that an import leads to. Transactions under way begin again. */
export function importedCatalog(before: CatalogData, change: DocumentImport): CatalogData {
  const catalog = catalogAfter(before, { setComponents: change.createComponents });
  const numbers = new Map(change.renumber.map(({ from, to }) => [from, to]));
  const renumbered = <T extends { number: TableNumber }>(table: T): T => ({
    ...table,
    number: numbers.get(table.number) ?? table.number,
  });
  const tables: TableDefinition[] = [...catalog.tables.map(renumbered), ...change.createTables];
  assert(
    new Set(tables.map(({ number }) => number)).size === tables.length,
    "each table has a number of its own",
  );
  return {
    ...catalog,
    version: catalog.version + 1,
    structureVersion: catalog.structureVersion + 1,
    tables,
    indexes: catalog.indexes.map((index) => ({
      ...index,
      table: numbers.get(index.table) ?? index.table,
    })),
  };
}

const chunkBytes = 256 * 1024;

/** The documents of a file, one after the other. */
export function* readImportedDocuments(path: string): Generator<ImportedDocument> {
  using file = Deno.openSync(path);
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(chunkBytes);
  let rest = "";
  for (;;) {
    const count = file.readSync(buffer);
    if (count === null) break;
    const lines = (rest + decoder.decode(buffer.subarray(0, count), { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as ImportedDocument;
  }
  assert(rest === "", "every line ends");
}
