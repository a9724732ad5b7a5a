/**
 * What has to happen to indexes so that the catalog becomes what a new schema says (semantics 7.2), and the
 * difference as the CLI prints it. Pure: made anew from the catalog at each step of a push.
 */
import {
  type CatalogData,
  componentOf,
  type IndexDefinition,
  type IndexId,
  type IndexSpec,
  isFilled,
} from "../database/catalog.ts";
import type { ComponentId } from "../database/component.ts";
import type { CatalogChange, NewIndex } from "../persistence/persistence.ts";
import type { ParsedSchema, ParsedTable } from "./schema_definition.ts";

export interface IndexPlan {
  /** Missing tables, and missing indexes that the new code may query: to be created when the push starts. */
  readonly createTables: readonly string[];
  readonly createIndexes: readonly NewIndex[];
  /** Left behind by a push that was never finished, and not wanted by this one. */
  readonly dropAtStart: readonly IndexId[];
  /** To be filled before the push may finish, which makes them ready. */
  readonly enable: readonly IndexDefinition[];
  /** What else the end of the push does. Nothing waits until staged indexes are filled. */
  readonly atFinish: Required<
    Pick<CatalogChange, "createIndexes" | "setIndexState" | "dropIndexes">
  >;
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

/** Compares the tables of the app or of a component, which may be new, with its schema in a push. */
export function planIndexes(
  catalog: CatalogData,
  component: ComponentId,
  next: ParsedSchema | null,
): IndexPlan {
  return new Planner(catalog, component).plan(next);
}

class Planner {
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #names: ReadonlyMap<number, string>;
  readonly #indexes: readonly IndexDefinition[];

  constructor(catalog: CatalogData, component: ComponentId) {
    const tables = catalog.tables.filter((table) => componentOf(table) === component);
    this.#numbers = new Map(tables.map((table) => [table.name, table.number]));
    const names = new Map<number, string>(tables.map((table) => [table.number, table.name]));
    this.#names = names;
    this.#indexes = catalog.indexes.filter(({ table }) => names.has(table));
  }

  plan(next: ParsedSchema | null): IndexPlan {
    const createTables = (next?.tables ?? []).map((table) => table.tableName)
      .filter((name) => !this.#numbers.has(name));
    const create: NewIndex[] = [];
    const wanted = new Set<IndexDefinition>();
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
        create.push(declared);
        diff.added_indexes.push(configOf(declared));
        continue;
      }
      wanted.add(existing);
      const isReady = existing.state === "ready";
      if (declared.staged && !isStaged(existing)) stage.push(existing);
      if (!declared.staged && !isReady) enable.push(existing);
      if (isUnfinished(existing)) diff.added_indexes.push(configOf(declared));
      else if (isReady && declared.staged) diff.disabled_indexes.push(configOf(declared));
      else if (!isReady && !declared.staged) diff.enabled_indexes.push(configOf(declared));
    }
    const unwanted = this.#indexes.filter((index) => !wanted.has(index));
    const drop = unwanted.filter((index) => !isUnfinished(index));
    diff.removed_indexes.push(...drop.map((index) => configOf(this.#declaration(index))));
    return {
      createTables,
      createIndexes: create.filter((index) => !index.staged),
      dropAtStart: unwanted.filter(isUnfinished).map((index) => index.id),
      enable,
      atFinish: {
        createIndexes: create.filter((index) => index.staged),
        setIndexState: [
          ...enable.map(({ id }) => ({ id, state: "ready" as const })),
          ...stage.map((index) => ({
            id: index.id,
            state: isFilled(index) ? "staged" as const : "stagedBackfilling" as const,
          })),
        ],
        dropIndexes: drop.map((index) => index.id),
      },
      diff,
    };
  }

  #find(declared: NewIndex): IndexDefinition | undefined {
    const table = this.#numbers.get(declared.table);
    return this.#indexes.find((index) =>
      index.table === table && identity(this.#declaration(index)) === identity(declared)
    );
  }

  #declaration({ table, ...index }: IndexDefinition): NewIndex {
    return { ...index, table: this.#names.get(table) ?? "", staged: isStaged(index) };
  }
}

function isStaged({ state }: Pick<IndexDefinition, "state">): boolean {
  return state === "staged" || state === "stagedBackfilling";
}

/** Whether it was made by a push that has not finished. */
export function isUnfinished({ state }: Pick<IndexDefinition, "state">): boolean {
  return state === "backfilling" || state === "backfilled";
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
