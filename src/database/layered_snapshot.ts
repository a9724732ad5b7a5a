/** A snapshot under the writes of undecided transactions and of the running one, read as one database. */
import { encodeKeyValue, lowestKey, prefixInterval } from "../values/index_key.ts";
import {
  builtInIndexes,
  byCreationTimeIndexId,
  byIdIndexId,
  componentOf,
  type DatabaseIndex,
  type IndexDefinition,
  isSystemTable,
  qualifiedName,
  type TableDefinition,
  type TableNumber,
} from "./catalog.ts";
import type { ComponentId } from "./component.ts";
import type { Snapshot } from "./snapshot.ts";
import type { LayerWrite, Revision, WriteLayer } from "./write_layer.ts";

const noLayers: readonly WriteLayer[] = [];

export class LayeredSnapshot {
  readonly #layers: readonly WriteLayer[];
  readonly #hiding = new Set<WriteLayer>();

  /** `layers` from the oldest to the newest; they may change while they are read. */
  constructor(readonly snapshot: Snapshot, layers: readonly WriteLayer[]) {
    this.#layers = layers.toReversed();
  }

  tableNamed(component: ComponentId, name: string): TableDefinition | undefined {
    const known = this.snapshot.catalog.tableNamed(component, name);
    if (known !== undefined) return known;
    const qualified = qualifiedName({ component, name });
    for (const layer of this.#layers) {
      const created = layer.tables.get(qualified);
      if (created !== undefined) return created;
    }
    return undefined;
  }

  tableNumbered(number: number): TableDefinition | undefined {
    const known = this.snapshot.catalog.tableNumbered(number as TableNumber);
    if (known !== undefined) return known;
    for (const table of this.#createdTables()) if (table.number === number) return table;
    return undefined;
  }

  /** Those of the app or of a component, in the order of their creation. */
  userTables(component: ComponentId): TableDefinition[] {
    return [...this.snapshot.catalog.data.tables, ...this.#createdTables()]
      .filter((table) => componentOf(table) === component && !isSystemTable(table.name));
  }

  *#createdTables(): Iterable<TableDefinition> {
    for (const layer of this.#layers) yield* layer.tables.values();
  }

  get nextTableNumber(): TableNumber {
    return Math.max(
      this.snapshot.catalog.nextTableNumber,
      ...[...this.#createdTables()].map(({ number }) => number + 1),
    ) as TableNumber;
  }

  /** Every index that writes to the table maintain. */
  indexesOf(table: TableNumber): readonly IndexDefinition[] {
    const indexes = this.snapshot.catalog.indexesOf(table);
    return indexes.length > 0 ? indexes : builtInIndexes(table);
  }

  /** The newest write to a document in any layer. */
  writeTo(id: string): LayerWrite | undefined {
    for (const layer of this.#layers) {
      const write = layer.get(id);
      if (write !== undefined) return write;
    }
    return undefined;
  }

  /** The current revision of a document; null if there is none. */
  revision(table: TableNumber, id: string): Revision | null {
    const write = this.writeTo(id);
    if (write !== undefined) return write.json === null ? null : { row: null, json: write.json };
    return this.snapshot.get(byIdIndexId(table), encodeKeyValue(id)) ?? null;
  }

  /** The layers that may hold anything of an index, newest first. */
  layersOfIndex({ table, isShared }: DatabaseIndex): readonly WriteLayer[] {
    return isShared ? this.#layers.filter((layer) => !layer.isEmpty) : this.layersOf(table);
  }

  /** The layers that hold anything of a table, newest first. */
  layersOf(table: TableNumber): readonly WriteLayer[] {
    // Asked for every document of a scan, and there is hardly ever one.
    for (const layer of this.#layers) {
      if (layer.touches(table)) return this.#layers.filter((layer) => layer.touches(table));
    }
    return noLayers;
  }

  /** Whether one of the layers, newest first, knows a document of the snapshot better. */
  hides(id: string, layers: readonly WriteLayer[]): boolean {
    const layer = layers.find((layer) => layer.get(id) !== undefined);
    if (layer === undefined) return false;
    this.#hiding.add(layer);
    return true;
  }

  /**
   * Whether a scan missed a document because of the layer. Then it depends on the layer, even where the layer
   * has no key in what was scanned: the snapshot may be newer than what the layer was built on and hold the
   * document at another place. Such a layer will not commit.
   */
  hasHidden(layer: WriteLayer): boolean {
    return this.#hiding.has(layer);
  }

  /** For each document of a table that a layer knows, the newest write to it. */
  newestWrites(table: TableNumber): Iterable<LayerWrite> {
    const newest = new Map<string, LayerWrite>();
    for (const layer of this.layersOf(table)) {
      for (const write of layer.writes) {
        if (write.table === table && !newest.has(write.id)) newest.set(write.id, write);
      }
    }
    return newest.values();
  }

  /** Number of documents in a table. */
  count(table: TableNumber): number {
    let count = this.snapshot.count(byCreationTimeIndexId(table), prefixInterval(lowestKey));
    const oldest = new Map<string, LayerWrite>();
    for (const layer of this.layersOf(table)) {
      for (const write of layer.writes) if (write.table === table) oldest.set(write.id, write);
    }
    // What lies below the oldest layer of a document is the snapshot.
    for (const { json } of this.newestWrites(table)) if (json !== null) count++;
    for (const { base } of oldest.values()) if (base !== null) count--;
    return count;
  }
}
