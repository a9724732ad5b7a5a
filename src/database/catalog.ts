/**
 * Tables, indexes and schemas as of one snapshot. Plain data that crosses process boundaries as JSON;
 * `Catalog` (below) adds look-ups.
 */
export type TableNumber = number & { readonly brand: "TableNumber" };
export type IndexId = number & { readonly brand: "IndexId" };

/**
 * Pseudo-index whose keys are table names: reading "no such table" is a read of its name here, creating
 * the table is a write, and so the two conflict like any others.
 */
export const tableNamesIndex = 0 as IndexId;

export interface TableDefinition {
  readonly number: TableNumber;
  readonly name: string;
}

export interface IndexDefinition {
  readonly id: IndexId;
  readonly table: TableNumber;
  /** `by_id` and `by_creation_time` exist for every table. */
  readonly name: string;
  /** Declared fields only; every key ends with `_creationTime` and `_id` (`by_id`: `_id` alone; `by_creation_time`: no declared fields). */
  readonly fields: readonly string[];
  /** Only `ready` indexes serve reads; all are maintained by writes. */
  readonly state: "backfilling" | "backfilled" | "ready" | "staged";
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

export interface CatalogData {
  /** Grows with every change, table creation included. */
  readonly version: number;
  /** Grows when indexes or schemas change: a mutation that began before such a change must start again. */
  readonly structureVersion: number;
  readonly tables: readonly TableDefinition[];
  readonly indexes: readonly IndexDefinition[];
  /** Enforced on writes. */
  readonly activeSchema: SchemaDefinition | null;
  /** Of an unfinished push: checked, not enforced. */
  readonly pendingSchema: SchemaDefinition | null;
}

/** System tables have fixed numbers (semantics 5); their indexes are by_id and by_creation_time unless noted. */
export const systemTables = {
  _scheduled_functions: (512 + 27) as TableNumber,
  _storage: (512 + 28) as TableNumber,
} as const;

/** User tables are numbered from here upwards. */
export const firstUserTableNumber = 10_001 as TableNumber;
