/**
 * Runs transactions like an isolate: on a snapshot and, on top of it, the writes of its own earlier
 * transactions that are not decided in that snapshot. Deliberately plain, and none of the engine's code.
 */
import {
  byIdIndexId,
  tableNameKey,
  tableNamesIndex,
  type TableNumber,
} from "../../src/database/catalog.ts";
import { ReadRecorder, readSetContains } from "../../src/database/read_set.ts";
import type { Snapshot } from "../../src/database/snapshot.ts";
import { writtenPoints } from "../../src/database/write_log.ts";
import type { IndexPoint, TableCreation } from "../../src/database/write_set.ts";
import type { CommitRequest } from "../../src/committer/protocol.ts";
import type { SnapshotReader } from "../../src/persistence/persistence.ts";
import { encodeKeyValue, pointInterval, prefixInterval } from "../../src/values/index_key.ts";
import { documentWrite } from "../support/document_writes.ts";
import { type Item, type Observation, sorted, type TransactionRecord } from "./history.ts";

export const itemsTable = "items";

interface Layer {
  readonly sequence: number;
  readonly changes: ReadonlyMap<string, Item | undefined>;
  readonly tables: readonly TableCreation[];
  readonly points: readonly IndexPoint[];
}

export interface FinishedTransaction {
  readonly request: CommitRequest;
  readonly record: Omit<TransactionRecord, "request">;
}

export class SimulatedIsolate {
  readonly #reader: SnapshotReader;
  #sequence = 0;
  #layers: readonly Layer[] = [];

  constructor(readonly number: number, reader: SnapshotReader) {
    this.#reader = reader;
  }

  /** Runs `body` as a mutation; its writes are visible to the next ones from now on. */
  run(body: (transaction: Transaction) => void): FinishedTransaction {
    const snapshot = this.#reader.open(this.number);
    this.#layers = this.#layers.filter(({ sequence }) => sequence > snapshot.decidedSequence);
    const transaction = new Transaction(snapshot, this.#layers);
    body(transaction);
    const { reads, writes, record, hidBy } = transaction.finish();
    snapshot.close();

    const dependsOn = this.#layers
      .filter((layer) =>
        hidBy.has(layer) || layer.points.some(([index, key]) => readSetContains(reads, index, key))
      )
      .map(({ sequence }) => sequence);
    const origin = { isolate: this.number, sequence: ++this.#sequence };
    const points = writtenPoints(writes);
    const { changes } = record;
    const layer = { sequence: origin.sequence, changes, tables: writes.tables, points };
    this.#layers = [...this.#layers, layer];
    const { timestamp, catalog: { data: { structureVersion } } } = snapshot;
    return {
      request: { snapshot: timestamp, structureVersion, reads, writes, dependsOn, origin },
      record,
    };
  }

  aborted(sequence: number): void {
    this.#layers = this.#layers.filter((layer) => layer.sequence !== sequence);
  }
}

/** What a simulated function can do. */
export class Transaction {
  readonly #snapshot: Snapshot;
  readonly #layers: readonly Layer[];
  readonly #table: TableNumber;
  readonly #reads = new ReadRecorder();
  readonly #observations: Observation[] = [];
  readonly #changes = new Map<string, Item | undefined>();
  readonly #tables: TableCreation[] = [];
  /**
   * Layers that hid an item of a group. They must be depended on even if they do not know the item in that
   * group: the snapshot may be newer than they are, and they are going to conflict then.
   */
  readonly #hidBy = new Set<Layer>();

  constructor(snapshot: Snapshot, layers: readonly Layer[]) {
    this.#snapshot = snapshot;
    this.#layers = layers;
    this.#table = snapshot.catalog.tableNamed(itemsTable)!.number;
  }

  read(id: string): Item | undefined {
    this.#reads.add(byIdIndexId(this.#table), pointInterval(encodeKeyValue(id)));
    if (this.#changes.has(id)) return this.#changes.get(id);
    const item = this.#before(id).item;
    this.#observations.push({ kind: "item", id, item });
    return item;
  }

  /** All items of a group, by the index. To be called before anything is written. */
  readGroup(group: number): Item[] {
    const { id } = this.#snapshot.catalog.indexesOf(this.#table)
      .find(({ name }) => name === "by_group")!;
    const interval = prefixInterval(encodeKeyValue(group));
    this.#reads.add(id, interval);
    const stored = this.#snapshot.scan(id, interval, "asc", 1000).map(({ json }) => itemOf(json));
    const items = new Map<string, Item | undefined>(stored.map((item) => [item._id, item]));
    for (const layer of this.#layers) {
      for (const [id, item] of layer.changes) {
        if (items.has(id)) this.#hidBy.add(layer);
        items.set(id, item);
      }
    }
    const found = [...items.values()].filter((item) => item !== undefined && item.group === group);
    this.#observations.push({ kind: "group", group, items: found as Item[] });
    return sorted(found as Item[]);
  }

  /** Writes, or with undefined removes, an item that was read before. */
  write(id: string, item: Item | undefined): void {
    this.#changes.set(id, item);
  }

  createTable(name: string): void {
    this.#reads.add(tableNamesIndex, pointInterval(tableNameKey(name)));
    const pending = this.#layers.flatMap(({ tables }) => tables);
    if (this.#snapshot.catalog.tableNamed(name) !== undefined) return;
    if (pending.some((table) => table.name === name)) return;
    const numbers = [this.#snapshot.catalog.nextTableNumber, ...pending.map((t) => t.number + 1)];
    this.#tables.push({ name, number: Math.max(...numbers) as TableNumber });
  }

  /** The revision that the transaction found, and its row if it is in the snapshot. */
  #before(id: string): { item: Item | undefined; row?: number } {
    const layer = this.#layers.findLast(({ changes }) => changes.has(id));
    if (layer !== undefined) return { item: layer.changes.get(id) };
    const stored = this.#snapshot.get(byIdIndexId(this.#table), encodeKeyValue(id));
    return stored === undefined
      ? { item: undefined }
      : { item: itemOf(stored.json), row: stored.row };
  }

  finish() {
    const { data } = this.#snapshot.catalog;
    const documents = [...this.#changes].map(([id, after]) => {
      const { item: before, row } = this.#before(id);
      return { before, after, row };
    }).filter(({ before, after }) => before !== undefined || after !== undefined)
      .map(({ before, after, row }) =>
        documentWrite(data, this.#table, {
          ...(before && { before: { ...before } }),
          ...(after && { after: { ...after } }),
          ...(row !== undefined && { row }),
        })
      );
    return {
      hidBy: this.#hidBy,
      reads: this.#reads.toReadSet(),
      writes: { documents, tables: this.#tables },
      record: {
        observations: this.#observations,
        changes: this.#changes,
        createdTables: this.#tables.map(({ name }) => name),
      },
    };
  }
}

export function itemOf(json: string): Item {
  const { _id, group, value } = JSON.parse(json);
  return { _id, group, value };
}
