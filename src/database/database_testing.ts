/** A database in plain maps for the engine's tests. Applying a write set checks that it is consistent. */
import assert from "node:assert/strict";
import { defaultConfig } from "../config.ts";
import type { IndexKey } from "../values/index_key.ts";
import { indexKeyOf } from "../values/index_key.ts";
import { parseDocument } from "../values/value.ts";
import {
  Catalog,
  type CatalogData,
  declaredIndexId,
  firstUserIndexOrdinal,
  firstUserTableNumber,
  type IndexDefinition,
  type IndexId,
  isDatabaseIndex,
  type SchemaDefinition,
  type SearchIndexSpec,
  systemTables,
  type TableDefinition,
  type TableNumber,
} from "./catalog.ts";
import { appComponent, type ComponentId } from "./component.ts";
import { NaiveSearch } from "./search/search_testing.ts";
import type { Snapshot } from "./snapshot.ts";
import type { Timestamp } from "./timestamp.ts";
import { Transaction, type TransactionOptions } from "./transaction.ts";
import type { IndexPoint, WriteSet } from "./write_set.ts";

export interface TestTable {
  readonly name: string;
  /** Absent: the app's. */
  readonly component?: string;
  readonly indexes?: Readonly<Record<string, readonly string[]>>;
  readonly searchIndexes?: Readonly<Record<string, Omit<SearchIndexSpec, "kind">>>;
}

type Entries = Map<IndexId, Map<IndexKey, string>>;

export class TestDatabase {
  catalogData: CatalogData;
  timestamp = 1_700_000_000_000_000;
  readonly #documents = new Map<string, { row: number; table: TableNumber; json: string }>();
  readonly #entries: Entries = new Map();
  #nextRow = 1;
  #nextRandom = 1;

  /** `components`: ids of children of the app. */
  constructor(
    tables: readonly TestTable[],
    schema: SchemaDefinition | null = null,
    components: readonly string[] = [],
  ) {
    let ordinal = firstUserIndexOrdinal;
    const definitions: TableDefinition[] = [];
    const indexes: IndexDefinition[] = [];
    tables.forEach((table, i) => {
      const number = firstUserTableNumber + i as TableNumber;
      const component = table.component as ComponentId | undefined;
      definitions.push({ name: table.name, number, ...component && { component } });
      for (const [name, fields] of Object.entries(table.indexes ?? {})) {
        const id = declaredIndexId(ordinal++);
        indexes.push({ kind: "database", id, table: number, name, fields, state: "ready" });
      }
      for (const [name, spec] of Object.entries(table.searchIndexes ?? {})) {
        const id = declaredIndexId(ordinal++);
        indexes.push({ kind: "search", id, table: number, name, ...spec, state: "ready" });
      }
    });
    const systemNames = Object.keys(systemTables);
    components.forEach((id, i) => {
      systemNames.forEach((name, j) => {
        const number = 20_001 + systemNames.length * i + j as TableNumber;
        definitions.push({ name, number, component: id as ComponentId });
      });
    });
    this.catalogData = {
      version: 1,
      structureVersion: 1,
      components: components.map((id) => ({
        id: id as ComponentId,
        parent: appComponent,
        name: id,
        state: "active",
      })),
      tables: definitions,
      indexes,
      activeSchema: schema,
      pendingSchema: null,
    };
  }

  begin(options: Partial<TransactionOptions> = {}): Transaction {
    return new Transaction({
      snapshot: this.snapshot(),
      kind: "mutation",
      limits: defaultConfig,
      nowMs: 1_700_000_000_000,
      randomBytes: (length) => this.#randomBytes(length),
      cursorKey: "secret",
      ...options,
    });
  }

  /** Different bytes each time, in no order. */
  #randomBytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    new DataView(bytes.buffer).setUint32(0, Math.imul(this.#nextRandom++, 2654435761));
    return bytes;
  }

  /** Runs a mutation and commits it. */
  commit<T>(work: (transaction: Transaction) => T, options?: Partial<TransactionOptions>): T {
    const transaction = this.begin(options);
    const result = work(transaction);
    this.apply(transaction.finish().writes);
    return result;
  }

  snapshot(): Snapshot {
    const documents = new Map(this.#documents);
    const sorted = new Map(
      [...this.#entries].map(([index, entries]) =>
        [index, [...entries].sort(([a], [b]) => a < b ? -1 : 1)] as const
      ),
    );
    const within = (index: IndexId, lower: IndexKey, upper: IndexKey | null) =>
      (sorted.get(index) ?? []).filter(([key]) => key >= lower && (upper === null || key < upper));
    return {
      timestamp: this.timestamp as Timestamp,
      catalog: new Catalog(this.catalogData),
      decidedSequence: 0,
      get: (index, key) => documents.get(this.#entries.get(index)?.get(key) ?? ""),
      scan: (index, { lower, upper }, order, limit) => {
        const entries = within(index, lower, upper);
        if (order === "desc") entries.reverse();
        return entries.slice(0, limit).map(([, id]) => documents.get(id)!);
      },
      count: (index, { lower, upper }) => within(index, lower, upper).length,
      search: new NaiveSearch(({ table }) =>
        [...documents.values()].filter((document) => document.table === table)
          .map(({ json }) => json)
      ),
      close: () => {},
    };
  }

  apply({ documents, tables }: WriteSet): void {
    this.timestamp += 1000;
    this.catalogData = {
      ...this.catalogData,
      version: this.catalogData.version + (tables.length > 0 ? 1 : 0),
      tables: [...this.catalogData.tables, ...tables],
    };
    for (const write of documents) {
      const existing = this.#documents.get(write.id);
      assert.equal(existing !== undefined, write.existed);
      if (write.row !== null) assert.equal(existing?.row, write.row);
      for (const [index, key] of write.removedKeys) {
        assert.equal(this.#entriesOf(index).get(key), write.id);
        this.#entriesOf(index).delete(key);
      }
      for (const [index, key] of write.keptKeys) {
        assert.equal(this.#entriesOf(index).get(key), write.id);
      }
      for (const [index, key] of write.addedKeys) {
        assert.ok(!this.#entriesOf(index).has(key));
        this.#entriesOf(index).set(key, write.id);
      }
      if (write.json === null) {
        this.#documents.delete(write.id);
        continue;
      }
      const row = existing?.row ?? this.#nextRow++;
      this.#documents.set(write.id, { row, table: write.table, json: write.json });
      const points = [...write.addedKeys, ...write.keptKeys];
      assert.deepEqual(new Map(points), new Map(this.#keysOf(write.table, write.json)));
    }
  }

  #keysOf(table: TableNumber, json: string): IndexPoint[] {
    const document = parseDocument(json);
    return new Catalog(this.catalogData).indexesOf(table).filter(isDatabaseIndex)
      .map((index) => [index.id, indexKeyOf(index, document)] as const);
  }

  #entriesOf(index: IndexId): Map<IndexKey, string> {
    let entries = this.#entries.get(index);
    if (entries === undefined) this.#entries.set(index, entries = new Map());
    return entries;
  }
}
