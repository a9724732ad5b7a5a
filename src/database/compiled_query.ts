/** A query's source resolved against tables and indexes: what to scan (function-abi 5.2). */
import { DeveloperError } from "../errors.ts";
import { lowestKey, prefixInterval } from "../values/index_key.ts";
import {
  builtInIndexes,
  type DatabaseIndex,
  type IndexDefinition,
  isDatabaseIndex,
  isSystemTable,
  type SearchIndex,
  type TableDefinition,
} from "./catalog.ts";
import { compileIndexRange } from "./index_range.ts";
import type { LayeredSnapshot } from "./layered_snapshot.ts";
import type { QuerySource } from "./query.ts";
import type { KeyInterval } from "./read_set.ts";
import { compileSearch, type SearchQuery } from "./search/search_query.ts";
import type { Order } from "./snapshot.ts";

/** Who reads: index ranges read by user code count towards a limit, those of the server itself do not. */
export type Reader = "user" | "server";

export type CompiledQuery = CompiledRange | CompiledSearch;

export interface CompiledRange {
  readonly index: DatabaseIndex;
  readonly interval: KeyInterval;
  readonly order: Order;
}

export interface CompiledSearch {
  readonly index: SearchIndex;
  readonly search: SearchQuery;
  /** Of the keys that `SearchScan` gives to results. */
  readonly interval: KeyInterval;
  /** Of the same keys; better matches have lower ones. */
  readonly order: "asc";
}

/** The table that a query reads. */
export function queriedTable(source: QuerySource): string {
  return source.type === "FullTableScan" ? source.tableName : splitIndexName(source.indexName)[0];
}

/**
 * What the source scans of its table; undefined for a plain scan of a table that does not exist.
 * @throws DeveloperError when the index cannot serve it.
 */
export function compileQuery(
  source: QuerySource,
  table: TableDefinition | undefined,
  view: LayeredSnapshot,
  reader: Reader,
): CompiledQuery | undefined {
  switch (source.type) {
    case "FullTableScan": {
      if (table === undefined) return undefined;
      const [, index] = builtInIndexes(table.number);
      return { index, interval: prefixInterval(lowestKey), order: source.order ?? "asc" };
    }
    case "IndexRange": {
      const { indexName } = source;
      const index = mustFindIndex(table, indexName, view, reader);
      if (!isDatabaseIndex(index)) {
        throw new DeveloperError(
          "IndexNotADatabaseIndexError",
          `Index ${indexName} is not a database index`,
        );
      }
      const interval = compileIndexRange(index, indexName, source.range);
      return { index, interval, order: source.order ?? "asc" };
    }
    case "Search": {
      const { indexName } = source;
      const index = mustFindIndex(table, indexName, view, reader);
      if (index.kind !== "search") {
        throw new DeveloperError(
          "IndexNotASearchIndexError",
          `Index ${indexName} is not a search index`,
        );
      }
      const search = compileSearch(index, source);
      return { index, search, interval: prefixInterval(lowestKey), order: "asc" };
    }
  }
}

/** The parts of `table.index`. */
function splitIndexName(indexName: string): [table: string, index: string] {
  const dot = indexName.indexOf(".");
  return dot < 0 ? [indexName, ""] : [indexName.slice(0, dot), indexName.slice(dot + 1)];
}

function mustFindIndex(
  table: TableDefinition | undefined,
  indexName: string,
  view: LayeredSnapshot,
  reader: Reader,
): IndexDefinition {
  const index = table && findIndex(table, indexName, view, reader);
  if (index === undefined) {
    throw new DeveloperError("IndexNotFoundError", `Index ${indexName} not found.`);
  }
  checkReadable(index, indexName);
  return index;
}

function findIndex(
  table: TableDefinition,
  indexName: string,
  view: LayeredSnapshot,
  reader: Reader,
): IndexDefinition | undefined {
  const [, name] = splitIndexName(indexName);
  const indexes = view.indexesOf(table.number);
  // Of a system table, user code knows only the two indexes that every table has; they come first.
  const known = isSystemTable(table.name) && reader === "user" ? indexes.slice(0, 2) : indexes;
  const named = known.filter((index) => index.name === name);
  // While an index is rebuilt, the old and the new one have the same name.
  return named.find(({ state }) => state === "ready") ?? named[0];
}

/** @throws DeveloperError unless queries may use the index. */
export function checkReadable({ state }: IndexDefinition, indexName: string): void {
  switch (state) {
    case "ready":
      return;
    case "staged":
    case "stagedBackfilling":
      throw new DeveloperError(
        "IndexStagedError",
        `Index ${indexName} is currently staged and not available to query until it is enabled.`,
      );
    case "backfilling":
    case "backfilled":
      throw new DeveloperError(
        "IndexBackfillingError",
        `Index ${indexName} is currently backfilling and not available to query yet.`,
      );
  }
}
