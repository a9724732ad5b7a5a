/**
 * What has to happen to indexes so that the catalog becomes what a new schema says (semantics 7.2), and the
 * difference as the CLI prints it. Pure: made anew from the catalog at each step of a push.
 */
import type { CatalogData, IndexDefinition, IndexId, IndexSpec } from "../database/catalog.ts";
import type { NewIndex } from "../persistence/persistence.ts";
import type { ParsedSchema, ParsedTable } from "./schema_definition.ts";

export interface IndexPlan {
  /** Missing tables and indexes, to be created when the push starts. */
  readonly createTables: readonly string[];
  readonly createIndexes: readonly NewIndex[];
  /** Left behind by a push that was never finished, and not wanted by this one. */
  readonly dropAtStart: readonly IndexId[];
  /** Wanted, and not yet filled. */
  readonly fill: readonly IndexDefinition[];
  /** To be switched when the push finishes; what is staged does not wait until it is filled. */
  readonly enable: readonly IndexDefinition[];
  readonly stage: readonly IndexDefinition[];
  readonly drop: readonly IndexId[];
  readonly diff: IndexDiff;
}

/** As deploy-protocol 3.6 spells it. */
export interface IndexDiff {
  readonly added_indexes: IndexConfig[];
  readonly removed_indexes: IndexConfig[];
  readonly enabled_indexes: IndexConfig[];
  readonly disabled_indexes: IndexConfig[];
}

export type IndexConfig =
  & { readonly name: string; readonly staged: boolean }
  & (
    | { readonly type: "database"; readonly fields: readonly string[] }
    | {
      readonly type: "search";
      readonly searchField: string;
      readonly filterFields: readonly string[];
    }
    | {
      readonly type: "vector";
      readonly vectorField: string;
      readonly dimensions: number;
      readonly filterFields: readonly string[];
    }
  );

/** Compares `catalog` with the schema of a push; `active` is the one of the live deployment. */
export function planIndexes(
  catalog: CatalogData,
  active: ParsedSchema | null,
  next: ParsedSchema | null,
): IndexPlan {
  return new Planner(catalog, active).plan(next);
}

class Planner {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #names: ReadonlyMap<number, string>;
  readonly #stagedBefore: ReadonlySet<string>;

  constructor(readonly catalog: CatalogData, readonly active: ParsedSchema | null) {
    this.#numbers = new Map(catalog.tables.map((table) => [table.name, table.number]));
    this.#names = new Map(catalog.tables.map((table) => [table.number, table.name]));
    const staged = declaredIndexes(active).filter((index) => index.staged);
    this.#stagedBefore = new Set(staged.map(identity));
  }

  plan(next: ParsedSchema | null): IndexPlan {
    const createTables = (next?.tables ?? []).map((table) => table.tableName)
      .filter((name) => !this.#numbers.has(name));
    const createIndexes: NewIndex[] = [];
    const wanted = new Set<IndexDefinition>();
    const fill: IndexDefinition[] = [];
    const enable: IndexDefinition[] = [];
    const stage: IndexDefinition[] = [];
    const diff: IndexDiff = {
      added_indexes: [],
      removed_indexes: [],
      enabled_indexes: [],
      disabled_indexes: [],
    };
    for (const declared of declaredIndexes(next)) {
      const existing = this.#find(declared);
      if (existing === undefined) {
        createIndexes.push(declared);
        diff.added_indexes.push(configOf(declared));
        continue;
      }
      wanted.add(existing);
      const wasReady = existing.state === "ready";
      const wasStaged = !wasReady && this.#stagedBefore.has(identity(declared));
      if (existing.state === "backfilling") fill.push(existing);
      if (!wasReady && !declared.staged) enable.push(existing);
      if (declared.staged && (wasReady || existing.state === "backfilled")) stage.push(existing);
      if (wasReady && declared.staged) diff.disabled_indexes.push(configOf(declared));
      else if (wasStaged && !declared.staged) diff.enabled_indexes.push(configOf(declared));
      else if (!wasReady && !wasStaged) diff.added_indexes.push(configOf(declared));
    }
    const unwanted = this.catalog.indexes.filter((index) => !wanted.has(index));
    const isLeftover = (index: IndexDefinition) =>
      index.state !== "ready" && !this.#stagedBefore.has(identity(this.#declaration(index)));
    const drop = unwanted.filter((index) => !isLeftover(index));
    diff.removed_indexes.push(...drop.map((index) => configOf(this.#declaration(index))));
    return {
      createTables,
      createIndexes,
      dropAtStart: unwanted.filter(isLeftover).map((index) => index.id),
      fill,
      enable,
      stage,
      drop: drop.map((index) => index.id),
      diff,
    };
  }

  #find(declared: NewIndex): IndexDefinition | undefined {
    const table = this.#numbers.get(declared.table);
    return this.catalog.indexes.find((index) =>
      index.table === table && identity(this.#declaration(index)) === identity(declared)
    );
  }

  #declaration({ table, ...index }: IndexDefinition): NewIndex {
    return { ...index, table: this.#names.get(table) ?? "", staged: index.state !== "ready" };
  }
}

/** What an index is: not whether it is staged, nor the order of its filter fields. */
function identity({ table, name, ...spec }: NewIndex): string {
  return JSON.stringify([table, name, ...specParts(spec)]);
}

function specParts(spec: IndexSpec): unknown[] {
  switch (spec.kind) {
    case "database":
      return [spec.kind, spec.fields];
    case "search":
      return [spec.kind, spec.searchField, spec.filterFields.toSorted()];
    case "vector":
      return [spec.kind, spec.vectorField, spec.dimensions, spec.filterFields.toSorted()];
  }
}

function declaredIndexes(schema: ParsedSchema | null): NewIndex[] {
  return (schema?.tables ?? []).flatMap((table) => [
    ...databaseIndexes(table, table.indexes, false),
    ...databaseIndexes(table, table.stagedDbIndexes, true),
    ...searchIndexes(table, table.searchIndexes, false),
    ...searchIndexes(table, table.stagedSearchIndexes, true),
    ...vectorIndexes(table, table.vectorIndexes, false),
    ...vectorIndexes(table, table.stagedVectorIndexes, true),
  ]);
}

function databaseIndexes(
  { tableName: table }: ParsedTable,
  indexes: ParsedTable["indexes"],
  staged: boolean,
): NewIndex[] {
  return indexes.map(({ indexDescriptor: name, fields }) => ({
    kind: "database",
    table,
    name,
    fields,
    staged,
  }));
}

function searchIndexes(
  { tableName: table }: ParsedTable,
  indexes: ParsedTable["searchIndexes"],
  staged: boolean,
): NewIndex[] {
  return indexes.map(({ indexDescriptor: name, searchField, filterFields }) => ({
    kind: "search",
    table,
    name,
    searchField,
    filterFields,
    staged,
  }));
}

function vectorIndexes(
  { tableName: table }: ParsedTable,
  indexes: ParsedTable["vectorIndexes"],
  staged: boolean,
): NewIndex[] {
  return indexes.map(({ indexDescriptor: name, vectorField, dimensions, filterFields }) => ({
    kind: "vector",
    table,
    name,
    vectorField,
    dimensions,
    filterFields,
    staged,
  }));
}

function configOf(index: NewIndex): IndexConfig {
  const common = { name: `${index.table}.${index.name}`, staged: index.staged };
  switch (index.kind) {
    case "database":
      return { ...common, type: index.kind, fields: [...index.fields, "_creationTime"] };
    case "search": {
      const { kind: type, searchField, filterFields } = index;
      return { ...common, type, searchField, filterFields };
    }
    case "vector": {
      const { kind: type, vectorField, dimensions, filterFields } = index;
      return { ...common, type, vectorField, dimensions, filterFields };
    }
  }
}
