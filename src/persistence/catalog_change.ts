/** The catalog that follows from another one by a change: pure, so every writer makes the same one. */
import { assert } from "../assert.ts";
import {
  Catalog,
  type CatalogData,
  componentOf,
  declaredIndexId,
  firstUserIndexOrdinal,
  type IndexDefinition,
  type IndexSpec,
  type IndexState,
  qualifiedName,
  type Schemas,
  schemasOf,
  systemTables,
  type TableDefinition,
  type TableNumber,
} from "../database/catalog.ts";
import { appComponent, type Component, type ComponentId } from "../database/component.ts";
import type { TableCreation } from "../database/write_set.ts";
import type { CatalogChange, TablesChange } from "./persistence.ts";

/** A catalog, and the ordinal that the next declared index gets: ids of indexes are never used again. */
export interface CatalogState {
  readonly catalog: CatalogData;
  readonly nextIndexOrdinal: number;
}

export const emptyCatalogState: CatalogState = {
  catalog: {
    version: 1,
    structureVersion: 1,
    tables: [],
    indexes: [],
    activeSchema: null,
    pendingSchema: null,
  },
  nextIndexOrdinal: firstUserIndexOrdinal,
};

/** Adds tables that a transaction created. */
export function withTables(catalog: CatalogData, created: readonly TableCreation[]): CatalogData {
  if (created.length === 0) return catalog;
  return { ...catalog, version: catalog.version + 1, tables: [...catalog.tables, ...created] };
}

/** The tables that `change` makes, with the numbers they get: those of new components, and declared ones. */
export function newTables(catalog: CatalogData, change: CatalogChange): TableCreation[] {
  const existing = new Set(catalog.tables.map(qualifiedName));
  const wanted = [
    ...newComponents(catalog, change).flatMap(({ id: component }) =>
      Object.keys(systemTables).map((name) => ({ name, component }))
    ),
    ...tablesChanges(change).flatMap(({ component, createTables = [] }) =>
      createTables.map((name) => component === appComponent ? { name } : { name, component })
    ),
  ];
  const missing = new Map(
    wanted.map((table) => [qualifiedName(table), table] as const)
      .filter(([name]) => !existing.has(name)),
  );
  const first = new Catalog(catalog).nextTableNumber;
  return [...missing.values()].map((table, i) => ({ ...table, number: first + i as TableNumber }));
}

/** The tables that go with their components. */
export function goneTables(
  catalog: CatalogData,
  { removeComponents = [] }: CatalogChange,
): TableDefinition[] {
  return catalog.tables.filter((table) => removeComponents.includes(componentOf(table)));
}

/** What a catalog becomes, but for the ids of new indexes. */
export function catalogAfter(catalog: CatalogData, change: CatalogChange): CatalogData {
  return changedCatalog({ catalog, nextIndexOrdinal: firstUserIndexOrdinal }, change).catalog;
}

/** Everything of `change` but its records. The same state when that is nothing. */
export function changedCatalog(state: CatalogState, change: CatalogChange): CatalogState {
  const before = state.catalog;
  const { setComponents = [], removeComponents = [], setIndexState = [] } = change;
  const changes = tablesChanges(change);
  const removed = new Set(removeComponents);
  const tables = [
    ...before.tables.filter((table) => !removed.has(componentOf(table))),
    ...newTables(before, change),
  ];
  const gone = new Set(change.dropIndexes);
  const newStates = new Map(setIndexState.map(({ id, state }) => [id, state]));
  const created = createdIndexes(state, change, tables);
  // That an index got filled means nothing to transactions under way: they need not start again.
  const structureChanges = created.length + gone.size + setComponents.length + removed.size > 0 ||
    before.indexes.some((index) => isReadabilityChange(index.state, newStates.get(index.id))) ||
    changes.some(setsSchema);
  const isSame = !structureChanges && newStates.size === 0 &&
    tables.length === before.tables.length;
  if (isSame) return state;

  const kept = before.indexes.filter(({ id }) => !gone.has(id))
    .map((index) => ({ ...index, state: newStates.get(index.id) ?? index.state }));
  return {
    catalog: {
      version: before.version + 1,
      structureVersion: before.structureVersion + (structureChanges ? 1 : 0),
      ...changedComponents(before, change),
      tables,
      indexes: [...kept, ...created],
      ...changedSchemas(before, change),
    },
    nextIndexOrdinal: state.nextIndexOrdinal + created.length,
  };
}
/** What changes for the tables of the app and of each component. */
function tablesChanges(
  change: CatalogChange,
): readonly (TablesChange & { readonly component: ComponentId })[] {
  return [{ ...change, component: appComponent }, ...change.components ?? []];
}

function newComponents(
  { components = [] }: CatalogData,
  { setComponents = [] }: CatalogChange,
): Component[] {
  return setComponents.filter(({ id }) => !components.some((component) => component.id === id));
}

function changedComponents(
  before: CatalogData,
  change: CatalogChange,
): Pick<CatalogData, "components"> {
  const { setComponents = [], removeComponents = [] } = change;
  const changed = new Map(setComponents.map((component) => [component.id, component]));
  const components = [
    ...(before.components ?? []).map((component) => changed.get(component.id) ?? component),
    ...newComponents(before, change),
  ].filter(({ id }) => !removeComponents.includes(id));
  return components.length === 0 ? {} : { components };
}

function createdIndexes(
  { catalog, nextIndexOrdinal }: CatalogState,
  change: CatalogChange,
  tables: readonly TableDefinition[],
): IndexDefinition[] {
  const numbers = new Map(tables.map((table) => [qualifiedName(table), table.number]));
  const empty = new Set(newComponents(catalog, change).map(({ id }) => id));
  return tablesChanges(change)
    .flatMap(({ component, createIndexes = [] }) =>
      createIndexes.map((index) => ({ index, component }))
    )
    .map(({ index, component }, i) => {
      const name = qualifiedName({ name: index.table, component });
      const table = numbers.get(name);
      assert(
        table !== undefined,
        `the table ${name} of the new index ${index.name} does not exist`,
      );
      const state = initialState(index.staged, empty.has(component));
      const id = declaredIndexId(nextIndexOrdinal + i);
      return { ...specOf(index), id, table, name: index.name, state };
    });
}

function initialState(staged: boolean, isFilled: boolean): IndexState {
  if (isFilled) return staged ? "staged" : "ready";
  return staged ? "stagedBackfilling" : "backfilling";
}

function setsSchema({ activeSchema, pendingSchema }: TablesChange): boolean {
  return activeSchema !== undefined || pendingSchema !== undefined;
}

function changedSchemas(
  before: CatalogData,
  change: CatalogChange,
): Pick<CatalogData, "componentSchemas"> & Schemas {
  const schemas = new Map<ComponentId, Schemas>(
    Object.entries(before.componentSchemas ?? {}) as [ComponentId, Schemas][],
  );
  for (const { component, ...part } of change.components ?? []) {
    schemas.set(component, changedPair(schemasOf(before, component), part));
  }
  for (const id of change.removeComponents ?? []) schemas.delete(id);
  return {
    ...schemas.size > 0 && { componentSchemas: Object.fromEntries(schemas) },
    ...changedPair(before, change),
  };
}

function changedPair(before: Schemas, change: TablesChange): Schemas {
  const { activeSchema = before.activeSchema, pendingSchema = before.pendingSchema } = change;
  return { activeSchema, pendingSchema };
}

function isReadabilityChange(from: IndexState, to: IndexState | undefined): boolean {
  return to !== undefined && (from === "ready") !== (to === "ready");
}

function specOf(index: IndexSpec): IndexSpec {
  switch (index.kind) {
    case "database":
      return { kind: index.kind, fields: index.fields };
    case "search": {
      const { kind, searchField, filterFields } = index;
      return { kind, searchField, filterFields };
    }
    case "vector": {
      const { kind, vectorField, dimensions, filterFields } = index;
      return { kind, vectorField, dimensions, filterFields };
    }
  }
}
