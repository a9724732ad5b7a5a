/**
 * Tables, indexes and schemas as of one snapshot. Plain data that crosses process boundaries as JSON;
 * `Catalog` (below) adds look-ups.
 */
import { encodeKeyValue, type IndexKey } from "../values/index_key.ts";
import { parseValidator, type Validator } from "../values/validator.ts";
import { appComponent, type Component, type ComponentId } from "./component.ts";

export type TableNumber = number & { readonly brand: "TableNumber" };
export type IndexId = number & { readonly brand: "IndexId" };

/**
 * Pseudo-index whose keys are table names: reading "no such table" is a read of its name here, creating
 * the table is a write, and so the two conflict like any others.
 */
export const tableNamesIndex = 0 as IndexId;

export interface TableDefinition {
  /** No two tables of an app and its components have the same. */
  readonly number: TableNumber;
  readonly name: string;
  /** Absent: the app's. */
  readonly component?: ComponentId;
}

/** Whose table it is. */
export function componentOf({ component }: Pick<TableDefinition, "component">): ComponentId {
  return component ?? appComponent;
}

/** What an index holds of each document. */
export type IndexSpec = DatabaseIndexSpec | SearchIndexSpec | VectorIndexSpec;

export interface DatabaseIndexSpec {
  readonly kind: "database";
  /** Declared fields only; every key ends with `_creationTime` and `_id` (`by_id`: `_id` alone; `by_creation_time`: no declared fields). */
  readonly fields: readonly string[];
}

export interface SearchIndexSpec {
  readonly kind: "search";
  /** Where the text is; a document without a string there is in the index, but no text finds it. */
  readonly searchField: string;
  readonly filterFields: readonly string[];
}

export interface VectorIndexSpec {
  readonly kind: "vector";
  readonly vectorField: string;
  readonly dimensions: number;
  readonly filterFields: readonly string[];
}

interface IndexIdentity {
  /** One numbering for indexes of all kinds. */
  readonly id: IndexId;
  readonly table: TableNumber;
  /** `by_id` and `by_creation_time` exist for every table. */
  readonly name: string;
  readonly state: IndexState;
}

/**
 * Writes maintain an index in whatever state; only a `ready` one serves reads. Filling it with the documents that
 * were there before it takes from the left to the middle, the end of a push from there to the right and back:
 *
 *     backfilling ──────▶ backfilled ──▶ ready
 *     stagedBackfilling ──▶ staged ◀─────┘ │
 *                             └────────────▶
 */
export type IndexState = "backfilling" | "backfilled" | "ready" | "stagedBackfilling" | "staged";

/** Whether an index holds every document of its table. */
export function isFilled({ state }: { readonly state: IndexState }): boolean {
  return state !== "backfilling" && state !== "stagedBackfilling";
}

export interface DatabaseIndex extends IndexIdentity, DatabaseIndexSpec {
  /** It holds the documents of the tables with this name of the app and all components: see `systemIndexes`. */
  readonly isShared?: true;
}
export interface SearchIndex extends IndexIdentity, SearchIndexSpec {}
export interface VectorIndex extends IndexIdentity, VectorIndexSpec {}

export type IndexDefinition = DatabaseIndex | SearchIndex | VectorIndex;

/** Whether an index has keys in the order of values. */
export function isDatabaseIndex(index: IndexDefinition): index is DatabaseIndex {
  return index.kind === "database";
}

/** A schema as `defineSchema(...).export()` gives it, parsed (function-abi 21.4). */
export interface SchemaDefinition {
  readonly schemaValidation: boolean;
  readonly tables: readonly SchemaTable[];
}

export interface SchemaTable {
  readonly tableName: string;
  readonly indexes: readonly { indexDescriptor: string; fields: readonly string[] }[];
  readonly stagedDbIndexes?: readonly { indexDescriptor: string; fields: readonly string[] }[];
  readonly searchIndexes?: readonly unknown[];
  readonly vectorIndexes?: readonly unknown[];
  /** Validator JSON (function-abi 21.2), or null for any. */
  readonly documentType: unknown;
}

/** What is declared of the tables of the app, or of a component. */
export interface Schemas {
  /** Enforced on writes. */
  readonly activeSchema: SchemaDefinition | null;
  /** Of an unfinished push: checked, not enforced. */
  readonly pendingSchema: SchemaDefinition | null;
}

/** `activeSchema` and `pendingSchema` are the app's. */
export interface CatalogData extends Schemas {
  /** Grows with every change, table creation included. */
  readonly version: number;
  /** Grows when indexes or schemas change: a mutation that began before such a change must start again. */
  readonly structureVersion: number;
  /** Without the app; parents before their children. Absent in catalogs of versions that knew none. */
  readonly components?: readonly Component[];
  /** Those that have any. */
  readonly componentSchemas?: Readonly<Record<ComponentId, Schemas>>;
  /** The app's own but for its system tables, which are fixed; all tables of components. */
  readonly tables: readonly TableDefinition[];
  /** Declared indexes of user tables; those that every table has are derived (`builtInIndexes`). */
  readonly indexes: readonly IndexDefinition[];
}

/** The schemas of the app or of a component. */
export function schemasOf(catalog: CatalogData, component: ComponentId): Schemas {
  if (component === appComponent) return catalog;
  return catalog.componentSchemas?.[component] ?? noSchemas;
}

const noSchemas: Schemas = { activeSchema: null, pendingSchema: null };

/** System tables of the app have fixed numbers (semantics 5); each component has tables of these names, too. */
export const systemTables = {
  _scheduled_functions: (512 + 27) as TableNumber,
  _storage: (512 + 28) as TableNumber,
  _cron_jobs: (512 + 29) as TableNumber,
  _cron_job_runs: (512 + 30) as TableNumber,
  _exports: (512 + 31) as TableNumber,
  _snapshot_imports: (512 + 32) as TableNumber,
} as const;

/** System tables that user code does not see: for it they do not exist (function-abi 5). */
const privateTables: ReadonlySet<string> = new Set([
  "_cron_jobs",
  "_cron_job_runs",
  "_exports",
  "_snapshot_imports",
]);

/** Whether a table is the server's own. */
export function isPrivateTable(name: string): boolean {
  return privateTables.has(name);
}

/** Whether a name is that of a system table, known to user code or not. */
export function isSystemTable(name: string): boolean {
  return name.startsWith("_");
}

/** User tables are numbered from here upwards. */
export const firstUserTableNumber = 10_001 as TableNumber;

/**
 * Index ids by remainder of four: 0 and 1 are `by_id` and `by_creation_time` of table `id / 4`, so that a
 * transaction knows the ids of a table it creates; 2 are declared indexes, numbered one after the other.
 */
export function byIdIndexId(table: TableNumber): IndexId {
  return table * 4 as IndexId;
}

/** See `byIdIndexId`. */
export function byCreationTimeIndexId(table: TableNumber): IndexId {
  return table * 4 + 1 as IndexId;
}

/** The id of the `ordinal`-th declared index; for user tables from `firstUserIndexOrdinal` upwards, never used again. */
export function declaredIndexId(ordinal: number): IndexId {
  return ordinal * 4 + 2 as IndexId;
}

export const firstUserIndexOrdinal = 100;

/** The two indexes that every table has. */
export function builtInIndexes(table: TableNumber): readonly [DatabaseIndex, DatabaseIndex] {
  const common = { kind: "database", table, fields: [], state: "ready" } as const;
  return [
    { ...common, id: byIdIndexId(table), name: "by_id" },
    { ...common, id: byCreationTimeIndexId(table), name: "by_creation_time" },
  ];
}

/**
 * Indexes that the server itself needs on system tables; user code cannot name them. Each is one for the tables of
 * the app and of all components, so the server finds what is due in one place.
 */
export const systemIndexes: readonly DatabaseIndex[] = ([
  {
    kind: "database",
    id: declaredIndexId(1),
    table: systemTables._scheduled_functions,
    name: "by_state",
    fields: ["state.kind", "scheduledTime"],
    state: "ready",
  },
  {
    kind: "database",
    id: declaredIndexId(2),
    table: systemTables._scheduled_functions,
    name: "by_completed_time",
    fields: ["completedTime"],
    state: "ready",
  },
  {
    kind: "database",
    id: declaredIndexId(3),
    table: systemTables._cron_jobs,
    name: "by_next_time",
    fields: ["nextTime"],
    state: "ready",
  },
  {
    kind: "database",
    id: declaredIndexId(4),
    table: systemTables._cron_job_runs,
    name: "by_job",
    fields: ["jobId"],
    state: "ready",
  },
] as const).map((index) => ({ ...index, isShared: true }));

/** A table's name among those of the app and all components. */
export function qualifiedName({ name, component }: Omit<TableDefinition, "number">): string {
  // Names of tables are identifiers.
  return component === undefined || component === appComponent ? name : `${component}/${name}`;
}

/** The key of a table's name in `tableNamesIndex`. */
export function tableNameKey(table: Omit<TableDefinition, "number">): IndexKey {
  return encodeKeyValue(qualifiedName(table));
}

/** Look-ups over `CatalogData`, system tables included. Made once for each version and then shared. */
export class Catalog {
  readonly #components = new Map<ComponentId, ComponentTables>();
  readonly #tablesByNumber = new Map<TableNumber, TableDefinition>();
  readonly #indexes = new Map<TableNumber, IndexDefinition[]>();
  /** Whether writes have to be checked against a schema that is not in force yet. */
  readonly hasPendingSchema: boolean;

  constructor(readonly data: CatalogData) {
    this.#components.set(appComponent, new ComponentTables(data, true));
    for (const { id, state } of data.components ?? []) {
      this.#components.set(id, new ComponentTables(schemasOf(data, id), state === "active"));
    }
    this.hasPendingSchema = [...this.#components.values()]
      .some(({ schemas }) => schemas.pendingSchema !== null);
    for (const [name, number] of Object.entries(systemTables)) this.#addTable({ name, number });
    for (const table of data.tables) this.#addTable(table);
    for (const index of data.indexes) this.#indexes.get(index.table)?.push(index);
  }

  #addTable(table: TableDefinition): void {
    const { name, number } = table;
    this.#components.get(componentOf(table))!.byName.set(name, table);
    this.#tablesByNumber.set(number, table);
    const indexes: IndexDefinition[] = [...builtInIndexes(number)];
    for (const index of isSystemTable(name) ? systemIndexes : []) {
      if (index.table === systemTables[name as keyof typeof systemTables]) {
        indexes.push({ ...index, table: number });
      }
    }
    this.#indexes.set(number, indexes);
  }

  /** Whether there is such a component and it may be written to; the app may. */
  isMounted(component: ComponentId): boolean {
    return this.#components.get(component)?.isMounted ?? false;
  }

  tableNamed(component: ComponentId, name: string): TableDefinition | undefined {
    return this.#components.get(component)?.byName.get(name);
  }

  tableNumbered(number: TableNumber): TableDefinition | undefined {
    return this.#tablesByNumber.get(number);
  }

  /** All tables of the app or of a component, system tables included. */
  tablesOf(component: ComponentId): TableDefinition[] {
    return [...this.#components.get(component)?.byName.values() ?? []];
  }

  /** The tables of this name of the app and of all components. */
  tablesNamed(name: string): TableDefinition[] {
    return [...this.#components.values()].flatMap(({ byName }) => byName.get(name) ?? []);
  }

  /** For `v.id(…)` in validators: the name of the component's table with this number. */
  tableNames(component: ComponentId): (number: number) => string | undefined {
    return (number) => {
      const table = this.#tablesByNumber.get(number as TableNumber);
      return table !== undefined && componentOf(table) === component ? table.name : undefined;
    };
  }

  /** Every index of a table in whatever state, `by_id` and `by_creation_time` first; empty for an unknown table. */
  indexesOf(table: TableNumber): readonly IndexDefinition[] {
    return this.#indexes.get(table) ?? [];
  }

  /** What documents of a table must look like: by the active schema, or by the one of an unfinished push. */
  documentValidator(
    schema: "active" | "pending",
    table: Omit<TableDefinition, "number">,
  ): Validator | null {
    return this.#components.get(componentOf(table))?.validator(schema, table.name) ?? null;
  }

  /** The number that the next new table takes. */
  get nextTableNumber(): TableNumber {
    return Math.max(
      firstUserTableNumber,
      ...this.data.tables.map(({ number }) => number + 1),
    ) as TableNumber;
  }
}

/** The tables of the app or of one component. */
class ComponentTables {
  readonly byName = new Map<string, TableDefinition>();
  /** Made when first needed; null where anything goes. */
  readonly #validators = {
    active: new Map<string, Validator | null>(),
    pending: new Map<string, Validator | null>(),
  };

  constructor(readonly schemas: Schemas, readonly isMounted: boolean) {}

  validator(schema: "active" | "pending", tableName: string): Validator | null {
    const { activeSchema, pendingSchema } = this.schemas;
    const definition = schema === "active" ? activeSchema : pendingSchema;
    if (definition === null || !definition.schemaValidation) return null;
    const validators = this.#validators[schema];
    let validator = validators.get(tableName);
    if (validator === undefined) {
      const table = definition.tables.find((table) => table.tableName === tableName);
      validator = table?.documentType ? parseValidator(table.documentType) : null;
      validators.set(tableName, validator);
    }
    return validator;
  }
}
