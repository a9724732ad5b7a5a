/**
 * Which tables an import empties, creates and renumbers. Ids hold the number of their table, so the tables of an
 * import have to get the numbers that they had where it comes from.
 */
import {
  Catalog,
  type CatalogData,
  componentOf,
  firstUserTableNumber,
  isSystemTable,
  qualifiedName,
  systemTables,
  type TableDefinition,
  type TableNumber,
} from "../database/catalog.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import type { DocumentImport } from "../persistence/document_import.ts";
import { importError } from "./import_error.ts";

export type ImportMode = "requireEmpty" | "append" | "replace" | "replaceAll";

/** A table of the import, `_storage` included, and the number in its ids, if they say one. */
export interface PlannedTable {
  readonly component: ComponentId;
  readonly name: string;
  readonly number: number | undefined;
}

export interface ImportPlan {
  readonly change: Omit<
    DocumentImport,
    "catalogVersion" | "createComponents" | "pendingSchemaViolation"
  >;
  /** The tables of the import, in its order. */
  readonly tables: readonly TableDefinition[];
}

export interface PlanOptions {
  readonly mode: ImportMode;
  /** How many documents a table holds now. */
  readonly count: (table: TableNumber) => number;
}

/** @throws RequestError when the import cannot be brought together with what is there. */
export function planImport(
  data: CatalogData,
  imported: readonly PlannedTable[],
  { mode, count }: PlanOptions,
): ImportPlan {
  const catalog = new Catalog(data);
  const files = { name: "_storage", number: systemTables._storage };
  const existing: readonly TableDefinition[] = [files, ...data.tables];
  const names = new Set(imported.map(qualifiedName));
  const isImported = (table: TableDefinition) => names.has(qualifiedName(table));
  const components = new Set(imported.map(({ component }) => component));
  const isReplaced = (table: TableDefinition) =>
    ["replace", "replaceAll"].includes(mode) && isImported(table) ||
    mode === "replaceAll" && components.has(componentOf(table)) && !isSystemTable(table.name);
  const emptyTables = existing.filter(isReplaced).map(({ number }) => number);
  const isKept = ({ number }: TableDefinition) =>
    !emptyTables.includes(number) && count(number) > 0;
  if (mode === "requireEmpty") checkEmpty(existing.filter(isImported), count);

  /** Who gets a number, by number. */
  const holders = new Map<number, PlannedTable>();
  const numbers = new Map<string, TableNumber>();
  for (const table of imported) {
    const current = catalog.tableNamed(table.component, table.name);
    const wanted = table.number ?? current?.number;
    if (wanted === undefined) continue;
    const isFixed = current?.number === systemTables._storage;
    if (current !== undefined && wanted !== current.number && (isFixed || isKept(current))) {
      throw conflict(table, wanted, `here it has number ${current.number}`);
    }
    if (wanted < firstUserTableNumber && !isFixed) {
      throw conflict(table, wanted, "which belongs to a system table");
    }
    const other = holders.get(wanted);
    if (other !== undefined) throw conflict(table, wanted, `so are those of ${shown(other)}`);
    holders.set(wanted, table);
    numbers.set(qualifiedName(table), wanted as TableNumber);
  }

  let next = Math.max(catalog.nextTableNumber, ...holders.keys().map((number) => number + 1));
  const takeNext = () => next++ as TableNumber;
  const requireEmpty = new Set<TableNumber>();
  const renumber: { from: TableNumber; to: TableNumber }[] = [];
  for (const table of existing) {
    const { number } = table;
    if (mode === "requireEmpty" && isImported(table)) requireEmpty.add(number);
    const isInTheWay = !isImported(table) && holders.has(number);
    // A table in the way makes room if no id refers to it, that is, if it holds nothing.
    if (isInTheWay && isKept(table)) {
      throw conflict(holders.get(number)!, number, `so are those of ${shown(table)} here`);
    }
    const to = isInTheWay ? takeNext() : numbers.get(qualifiedName(table)) ?? number;
    if (to === number) continue;
    renumber.push({ from: number, to });
    if (!emptyTables.includes(number)) requireEmpty.add(number);
  }
  const tables = imported.map(({ component, name, ...table }): TableDefinition => ({
    name,
    number: numbers.get(qualifiedName({ component, name })) ??
      catalog.tableNamed(component, name)?.number ?? table.number as TableNumber | undefined ??
      takeNext(),
    ...component !== appComponent && { component },
  }));
  const isNew = (table: TableDefinition) =>
    catalog.tableNamed(componentOf(table), table.name) === undefined;
  return {
    change: {
      emptyTables,
      requireEmpty: [...requireEmpty],
      renumber,
      createTables: tables.filter(isNew),
    },
    tables,
  };
}

function checkEmpty(
  tables: readonly TableDefinition[],
  count: (table: TableNumber) => number,
): void {
  const filled = tables.find(({ number }) => count(number) > 0);
  if (filled === undefined) return;
  throw importError(
    "TableExists",
    `Table ${filled.name} already exists. Please choose a new table name or use replace/append modes.`,
  );
}

function conflict(table: Omit<TableDefinition, "number">, number: number, problem: string) {
  return importError(
    "TableNumberConflict",
    `The ids of ${shown(table)} are those of table number ${number}, and ${problem}. ` +
      "Import into an empty deployment, or use --replace-all.",
  );
}

function shown(table: Omit<TableDefinition, "number">): string {
  return componentOf(table) === appComponent ? table.name : `${table.name} of a component`;
}
