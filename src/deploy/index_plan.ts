/**
 * What has to happen to indexes so that the catalog becomes what a new schema says (semantics 7.2), and the
 * difference as the CLI prints it. Pure: made anew from the catalog at each step of a push.
 */
import type { CatalogData, IndexDefinition, IndexId } from "../database/catalog.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import type { ParsedSchema, ParsedTable } from "./schema_definition.ts";

export interface IndexPlan {
  /** Missing tables and indexes, to be created when the push starts. */
  readonly createTables: readonly string[];
  readonly createIndexes: NonNullable<CatalogChange["createIndexes"]>;
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

interface DeclaredIndex {
  readonly table: string;
  readonly name: string;
  readonly fields: readonly string[];
  readonly staged: boolean;
}

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
    const createIndexes: DeclaredIndex[] = [];
    const wanted = new Set<IndexDefinition>();
    const fill: IndexDefinition[] = [];
    const enable: IndexDefinition[] = [];
    const stage: IndexDefinition[] = [];
    const diff = otherIndexDiff(this.active, next);
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

  #find(declared: DeclaredIndex): IndexDefinition | undefined {
    const table = this.#numbers.get(declared.table);
    return this.catalog.indexes.find((index) =>
      index.table === table && identity(this.#declaration(index)) === identity(declared)
    );
  }

  #declaration(index: IndexDefinition): DeclaredIndex {
    const { table, name, fields, state } = index;
    return { table: this.#names.get(table) ?? "", name, fields, staged: state !== "ready" };
  }
}

/** Whether an index is staged is no part of what it is. */
function identity({ table, name, fields }: DeclaredIndex): string {
  return JSON.stringify([table, name, fields]);
}

function declaredIndexes(schema: ParsedSchema | null): DeclaredIndex[] {
  const declare = (table: ParsedTable, indexes: ParsedTable["indexes"], staged: boolean) =>
    indexes.map(({ indexDescriptor, fields }) => ({
      table: table.tableName,
      name: indexDescriptor,
      fields,
      staged,
    }));
  return (schema?.tables ?? []).flatMap((table) => [
    ...declare(table, table.indexes, false),
    ...declare(table, table.stagedDbIndexes, true),
  ]);
}

function configOf({ table, name, fields, staged }: DeclaredIndex): IndexConfig {
  const allFields = [...fields, "_creationTime"];
  return { name: `${table}.${name}`, type: "database", fields: allFields, staged };
}

/** Search and vector indexes exist in schemas only, so one schema is compared with the other. */
function otherIndexDiff(active: ParsedSchema | null, next: ParsedSchema | null): IndexDiff {
  const diff: IndexDiff = {
    added_indexes: [],
    removed_indexes: [],
    enabled_indexes: [],
    disabled_indexes: [],
  };
  const before = new Map(otherIndexes(active).map((index) => [JSON.stringify(index), index]));
  const after = new Map(otherIndexes(next).map((index) => [JSON.stringify(index), index]));
  for (const [key, index] of after) if (!before.has(key)) diff.added_indexes.push(index);
  for (const [key, index] of before) if (!after.has(key)) diff.removed_indexes.push(index);
  return diff;
}

/** The search and vector indexes of a schema. */
export function otherIndexes(schema: ParsedSchema | null): IndexConfig[] {
  return (schema?.tables ?? []).flatMap((table) => {
    const name = (index: { indexDescriptor: string }) =>
      `${table.tableName}.${index.indexDescriptor}`;
    const search = (indexes: ParsedTable["searchIndexes"], staged: boolean): IndexConfig[] =>
      indexes.map((index) => ({
        name: name(index),
        type: "search",
        searchField: index.searchField,
        filterFields: index.filterFields,
        staged,
      }));
    const vector = (indexes: ParsedTable["vectorIndexes"], staged: boolean): IndexConfig[] =>
      indexes.map((index) => ({
        name: name(index),
        type: "vector",
        vectorField: index.vectorField,
        dimensions: index.dimensions,
        filterFields: index.filterFields,
        staged,
      }));
    return [
      ...search(table.searchIndexes, false),
      ...search(table.stagedSearchIndexes, true),
      ...vector(table.vectorIndexes, false),
      ...vector(table.stagedVectorIndexes, true),
    ];
  });
}
