/** The catalog that follows from another one by a change: pure, so every writer makes the same one. */
import { assert } from "../assert.ts";
import {
  Catalog,
  type CatalogData,
  declaredIndexId,
  firstUserIndexOrdinal,
  type IndexDefinition,
  type IndexSpec,
  type IndexState,
  type TableNumber,
} from "../database/catalog.ts";
import type { TableCreation } from "../database/write_set.ts";
import type { CatalogChange } from "./persistence.ts";

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

/** The tables that `change` asks for and that do not exist yet, with the numbers they get. */
export function missingTables(catalog: CatalogData, change: CatalogChange): TableCreation[] {
  const existing = new Set(catalog.tables.map(({ name }) => name));
  const missing = new Set(change.createTables).difference(existing);
  const first = new Catalog(catalog).nextTableNumber;
  return [...missing].map((name, i) => ({ name, number: first + i as TableNumber }));
}

/** Everything of `change` but its records. The same state when that is nothing. */
export function changedCatalog(state: CatalogState, change: CatalogChange): CatalogState {
  const before = state.catalog;
  const tables = [...before.tables, ...missingTables(before, change)];
  const { createIndexes = [], setIndexState = [], dropIndexes = [] } = change;
  const newStates = new Map(setIndexState.map(({ id, state }) => [id, state]));
  // That an index got filled means nothing to transactions under way: they need not start again.
  const structureChanges = createIndexes.length + dropIndexes.length > 0 ||
    before.indexes.some((index) => isReadabilityChange(index.state, newStates.get(index.id))) ||
    change.activeSchema !== undefined || change.pendingSchema !== undefined;
  const changes = structureChanges || newStates.size > 0;
  if (!changes && tables.length === before.tables.length) return state;

  const created = createIndexes.map((index, i): IndexDefinition => {
    const { table, name } = index;
    const number = tables.find((candidate) => candidate.name === table)?.number;
    assert(number !== undefined, `the table ${table} of the new index ${name} does not exist`);
    const id = declaredIndexId(state.nextIndexOrdinal + i);
    const indexState = index.staged ? "stagedBackfilling" : "backfilling";
    return { ...specOf(index), id, table: number, name, state: indexState };
  });
  const kept = before.indexes.filter(({ id }) => !dropIndexes.includes(id))
    .map((index) => ({ ...index, state: newStates.get(index.id) ?? index.state }));
  return {
    catalog: {
      version: before.version + 1,
      structureVersion: before.structureVersion + (structureChanges ? 1 : 0),
      tables,
      indexes: [...kept, ...created],
      activeSchema: change.activeSchema === undefined ? before.activeSchema : change.activeSchema,
      pendingSchema: change.pendingSchema === undefined
        ? before.pendingSchema
        : change.pendingSchema,
    },
    nextIndexOrdinal: state.nextIndexOrdinal + created.length,
  };
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
