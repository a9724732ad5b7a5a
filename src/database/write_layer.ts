/**
 * The writes of one transaction as something to read through: laid over a snapshot, a document in the
 * layer hides whatever is known of it below.
 */
import type { IndexKey } from "../values/index_key.ts";
import {
  type IndexId,
  type TableDefinition,
  tableNameKey,
  tableNamesIndex,
  type TableNumber,
} from "./catalog.ts";
import { firstIndex } from "./interval_set.ts";
import type { KeyInterval } from "./read_set.ts";
import type { Order } from "./snapshot.ts";
import type { DocumentWrite, IndexPoint } from "./write_set.ts";

/** One revision of a document. `row` is known for those in the snapshot only. */
export interface Revision {
  readonly row: number | null;
  readonly json: string;
}

/** All that a transaction did to one document. Never changes; a further write replaces it. */
export interface LayerWrite {
  readonly table: TableNumber;
  readonly id: string;
  /** The revision below the layer; null if the transaction inserted the document. */
  readonly base: Revision | null;
  /** Index keys of the revision below, one for each index of the table in catalog order; empty without one. */
  readonly baseKeys: readonly IndexPoint[];
  /** The new revision; null if it is deleted. */
  readonly json: string | null;
  readonly keys: readonly IndexPoint[];
  /** What full-text queries read of the revision below and of the new one. */
  readonly baseSearchKeys: readonly IndexPoint[];
  readonly searchKeys: readonly IndexPoint[];
}

export class WriteLayer {
  readonly #writes = new Map<string, LayerWrite>();
  readonly #indexes = new Map<IndexId, SortedKeys>();
  readonly #writesByTable = new Map<TableNumber, number>();
  /** Tables that the transaction created, by qualified name. */
  readonly tables = new Map<string, TableDefinition>();

  get writes(): Iterable<LayerWrite> {
    return this.#writes.values();
  }

  get(id: string): LayerWrite | undefined {
    return this.#writes.get(id);
  }

  get isEmpty(): boolean {
    return this.#writes.size === 0;
  }

  touches(table: TableNumber): boolean {
    return this.#writesByTable.has(table);
  }

  /** Puts `write` in the place of what the layer held of that document; undefined: the layer forgets it. */
  set(id: string, write: LayerWrite | undefined): void {
    const previous = this.#writes.get(id);
    if (previous !== undefined) {
      this.#countTable(previous.table, -1);
      for (const [index, key] of previous.keys) this.#indexes.get(index)!.delete(key);
      this.#writes.delete(id);
    }
    if (write === undefined) return;
    this.#writes.set(id, write);
    this.#countTable(write.table, 1);
    for (const [index, key] of write.keys) {
      let keys = this.#indexes.get(index);
      if (keys === undefined) this.#indexes.set(index, keys = new SortedKeys());
      keys.add(key, id);
    }
  }

  /** Every index key, old or new, of every document in it, and the names of its tables. */
  points(): IndexPoint[] {
    return [
      ...[...this.#writes.values()].flatMap((write) => [
        ...write.baseKeys,
        ...write.keys,
        ...write.baseSearchKeys,
        ...write.searchKeys,
      ]),
      ...[...this.tables.values()].map((table) => [tableNamesIndex, tableNameKey(table)] as const),
    ];
  }

  #countTable(table: TableNumber, difference: number): void {
    const count = (this.#writesByTable.get(table) ?? 0) + difference;
    if (count === 0) this.#writesByTable.delete(table);
    else this.#writesByTable.set(table, count);
  }

  /** The first key of the interval in this order, with the id of its document. */
  first(index: IndexId, interval: KeyInterval, order: Order): LayerEntry | undefined {
    return this.#indexes.get(index)?.first(interval, order);
  }
}

/** The write as the committer gets it. `changedSearchIndexes`: see `DocumentWrite`. */
export function documentWrite(
  { table, id, base, baseKeys, json, keys, baseSearchKeys, searchKeys }: LayerWrite,
  changedSearchIndexes: readonly IndexId[],
): DocumentWrite {
  const readBySearch = union(baseSearchKeys, searchKeys);
  const common = {
    table,
    id,
    row: base?.row ?? null,
    json,
    existed: base !== null,
    ...readBySearch.length > 0 && { searchKeys: readBySearch },
    ...changedSearchIndexes.length > 0 && { changedSearchIndexes },
  };
  if (base === null || json === null) {
    return { ...common, removedKeys: baseKeys, addedKeys: keys, keptKeys: [] };
  }
  // Both lists name the indexes of the table in catalog order.
  const isKept = (_: IndexPoint, i: number) => baseKeys[i]![1] === keys[i]![1];
  const isChanged = (point: IndexPoint, i: number) => !isKept(point, i);
  return {
    ...common,
    removedKeys: baseKeys.filter(isChanged),
    addedKeys: keys.filter(isChanged),
    keptKeys: keys.filter(isKept),
  };
}

/** Most keys of a text stay when the text changes. */
function union(a: readonly IndexPoint[], b: readonly IndexPoint[]): IndexPoint[] {
  const name = ([index, key]: IndexPoint) => `${index} ${key}`;
  const known = new Set(a.map(name));
  return [...a, ...b.filter((point) => !known.has(name(point)))];
}

export interface LayerEntry {
  readonly key: IndexKey;
  readonly id: string;
}

/**
 * Keys of one index in order. Sorting waits for the first look, because most transactions that write
 * never scan what they wrote.
 */
class SortedKeys {
  readonly #ids = new Map<IndexKey, string>();
  /** Every key of `#ids` but those in `#unsorted`; may also hold keys that were deleted. */
  #sorted: IndexKey[] = [];
  #unsorted: IndexKey[] = [];

  add(key: IndexKey, id: string): void {
    this.#ids.set(key, id);
    this.#unsorted.push(key);
  }

  delete(key: IndexKey): void {
    this.#ids.delete(key);
  }

  first({ lower, upper }: KeyInterval, order: Order): LayerEntry | undefined {
    this.#sort();
    const keys = this.#sorted;
    if (order === "asc") {
      for (let i = firstIndex(keys, (key) => key >= lower); i < keys.length; i++) {
        const key = keys[i]!;
        if (upper !== null && key >= upper) return undefined;
        const id = this.#ids.get(key);
        if (id !== undefined) return { key, id };
      }
      return undefined;
    }
    const end = upper === null ? keys.length : firstIndex(keys, (key) => key >= upper);
    for (let i = end - 1; i >= 0 && keys[i]! >= lower; i--) {
      const id = this.#ids.get(keys[i]!);
      if (id !== undefined) return { key: keys[i]!, id };
    }
    return undefined;
  }

  #sort(): void {
    if (this.#unsorted.length === 0) return;
    const fewKeys = 8;
    if (this.#unsorted.length <= fewKeys) {
      for (const key of this.#unsorted) {
        const position = firstIndex(this.#sorted, (other) => other >= key);
        if (this.#sorted[position] !== key) this.#sorted.splice(position, 0, key);
      }
    } else {
      this.#sorted = [...this.#ids.keys()].sort();
    }
    this.#unsorted = [];
  }
}
