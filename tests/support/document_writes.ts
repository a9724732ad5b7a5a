/** Write sets as an isolate would make them, from plain documents. */
import {
  Catalog,
  type CatalogData,
  type IndexId,
  isDatabaseIndex,
  type TableNumber,
} from "../../src/database/catalog.ts";
import { hasSameEntry } from "../../src/database/search/search_entry.ts";
import type { DocumentWrite, IndexPoint } from "../../src/database/write_set.ts";
import { indexKeyOf } from "../../src/values/index_key.ts";
import { encodeValue, type Value } from "../../src/values/value.ts";

/** `_creationTime` is 1 unless it is given. */
export type TestDocument = { readonly _id: string } & Readonly<Record<string, Value>>;

export interface Revisions {
  readonly before?: TestDocument;
  readonly after?: TestDocument;
  /** Storage row of `before`, if known. */
  readonly row?: number;
}

/** The write that turns `before` into `after`; without `before` an insert, without `after` a delete. */
export function documentWrite(
  data: CatalogData,
  table: TableNumber,
  revisions: Revisions,
): DocumentWrite {
  const { before, after, row } = revisions;
  const old = indexPoints(data, table, before);
  const current = indexPoints(data, table, after);
  const isIn = (points: readonly IndexPoint[], [index, key]: IndexPoint) =>
    points.some((other) => other[0] === index && other[1] === key);
  return {
    table,
    id: (after ?? before)!._id,
    row: row ?? null,
    json: after === undefined ? null : encodeValue(withCreationTime(after)).json,
    existed: before !== undefined,
    removedKeys: old.filter((point) => !isIn(current, point)),
    addedKeys: current.filter((point) => !isIn(old, point)),
    keptKeys: current.filter((point) => isIn(old, point)),
    changedSearchIndexes: changedSearchIndexes(data, table, revisions),
  };
}

function changedSearchIndexes(
  data: CatalogData,
  table: TableNumber,
  { before, after }: Revisions,
): IndexId[] {
  return new Catalog(data).indexesOf(table).filter((index) => index.kind === "search")
    .filter((index) => !before || !after || !hasSameEntry(index, before, after))
    .map(({ id }) => id);
}

/** Every index key of a document. */
export function indexPoints(
  data: CatalogData,
  table: TableNumber,
  document: TestDocument | undefined,
): IndexPoint[] {
  if (document === undefined) return [];
  return new Catalog(data).indexesOf(table).filter(isDatabaseIndex)
    .map((index) => [index.id, indexKeyOf(index, withCreationTime(document))] as const);
}

function withCreationTime(document: TestDocument): Record<string, Value> {
  return { _creationTime: 1, ...document };
}
