/**
 * Which tables an import empties, creates and renumbers. Ids hold the number of their table, so the tables of an
 * import have to get the numbers that they had where it comes from.
 */
import type { CatalogData, TableNumber } from "../database/catalog.ts";
import { Catalog, firstUserTableNumber, systemTables } from "../database/catalog.ts";
import type { DocumentImport } from "../persistence/document_import.ts";
import { importError } from "./import_error.ts";

export type ImportMode = "requireEmpty" | "append" | "replace" | "replaceAll";

/** A table of the import, and the number in its ids, if they say one. */
export interface PlannedTable {
  readonly name: string;
  readonly number: number | undefined;
}

export interface ImportPlan {
  readonly change: Omit<DocumentImport, "pendingSchemaViolation">;
  /** By name, of the tables of the import. */
  readonly numbers: ReadonlyMap<string, TableNumber>;
}

export interface PlanOptions {
  readonly mode: ImportMode;
  /** Whether stored files are part of the import. */
  readonly hasFiles: boolean;
  /** How many documents a table holds now. */
  readonly count: (table: TableNumber) => number;
}

/** @throws RequestError when the import cannot be brought together with what is there. */
export function planImport(
  catalog: CatalogData,
  imported: readonly PlannedTable[],
  { mode, hasFiles, count }: PlanOptions,
): ImportPlan {
  const { tables: existing } = catalog;
  const importedNames = new Set(imported.map(({ name }) => name));
  if (mode === "requireEmpty") checkEmpty(catalog, imported, { hasFiles, count });

  const isReplaced = (name: string) =>
    mode === "replaceAll" || (mode === "replace" && importedNames.has(name));
  const emptyTables = existing.filter(({ name }) => isReplaced(name)).map(({ number }) => number);
  if (hasFiles && (mode === "replace" || mode === "replaceAll")) {
    emptyTables.push(systemTables._storage);
  }
  const isEmptied = new Set(emptyTables);

  const numbers = new Map<string, TableNumber>();
  const holders = new Map<number, string>();
  for (const { name, number } of imported) {
    const current = existing.find((table) => table.name === name)?.number;
    const wanted = number ?? current;
    if (wanted === undefined) continue;
    const holder = holders.get(wanted);
    if (wanted < firstUserTableNumber || holder !== undefined) {
      const whose = holder === undefined ? "a system table" : holder;
      throw conflict(name, wanted, `is that of ${whose} in the import, too`);
    }
    const isKept = current !== undefined && !isEmptied.has(current) && count(current) > 0;
    if (isKept && wanted !== current) {
      throw conflict(name, wanted, `is not ${current} as it is here`);
    }
    holders.set(wanted, name);
    numbers.set(name, wanted as TableNumber);
  }

  // Tables that are in the way make room if nothing refers to them, that is, if they hold nothing.
  let next = Math.max(
    new Catalog(catalog).nextTableNumber,
    ...[...numbers.values()].map((number) => number + 1),
  );
  const takeNext = () => next++ as TableNumber;
  const requireEmpty = new Set<TableNumber>();
  const renumber: { from: TableNumber; to: TableNumber }[] = [];
  for (const { name, number } of existing) {
    let to = numbers.get(name) ?? number;
    if (!numbers.has(name) && holders.has(number)) {
      if (!isEmptied.has(number) && count(number) > 0) {
        throw conflict(holders.get(number)!, number, `is that of the table ${name} here`);
      }
      to = takeNext();
    }
    if (to === number) continue;
    renumber.push({ from: number, to });
    if (!isEmptied.has(number)) requireEmpty.add(number);
  }
  if (mode === "requireEmpty") {
    for (const { name, number } of existing) if (importedNames.has(name)) requireEmpty.add(number);
    if (hasFiles) requireEmpty.add(systemTables._storage);
  }
  const createTables = imported.filter(({ name }) => !existing.some((table) => table.name === name))
    .map(({ name }) => {
      const number = numbers.get(name) ?? takeNext();
      numbers.set(name, number);
      return { name, number };
    });
  return {
    change: {
      catalogVersion: catalog.version,
      emptyTables,
      requireEmpty: [...requireEmpty],
      renumber,
      createTables,
    },
    numbers,
  };
}

function checkEmpty(
  catalog: CatalogData,
  imported: readonly PlannedTable[],
  { hasFiles, count }: Pick<PlanOptions, "hasFiles" | "count">,
): void {
  const filled =
    catalog.tables.find(({ name, number }) =>
      imported.some((table) => table.name === name) && count(number) > 0
    )?.name ?? (hasFiles && count(systemTables._storage) > 0 ? "_storage" : undefined);
  if (filled === undefined) return;
  throw importError(
    "TableExists",
    `Table ${filled} already exists. Please choose a new table name or use replace/append modes.`,
  );
}

function conflict(name: string, number: number, problem: string) {
  return importError(
    "TableNumberConflict",
    `The ids of ${name} are those of table number ${number}, which ${problem}. ` +
      "Import into an empty deployment, or use --replace-all.",
  );
}
