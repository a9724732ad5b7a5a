/** Runs simulated functions on the real engine, the way runtime/transaction_calls.ts runs those of users. */
import type { CommitRequest } from "../../src/committer/protocol.ts";
import { defaultConfig } from "../../src/config.ts";
import type { RangeExpression } from "../../src/database/query.ts";
import { type PendingLayer, Transaction } from "../../src/database/transaction.ts";
import type { Environment } from "../../src/environment.ts";
import type { SnapshotReader } from "../../src/persistence/persistence.ts";
import type { ValueObject } from "../../src/values/value.ts";
import { type Item, type Observation, sorted, type TransactionRecord } from "./history.ts";

export const itemsTable = "items";

/** What the items are found by. */
export const itemIndexes = [
  {
    kind: "database" as const,
    table: itemsTable,
    name: "by_name",
    fields: ["name"],
    staged: false,
  },
  {
    kind: "database" as const,
    table: itemsTable,
    name: "by_group",
    fields: ["group", "value"],
    staged: false,
  },
];

export interface FinishedFunction {
  readonly request: CommitRequest;
  readonly record: Omit<TransactionRecord, "request">;
}

export class SimulatedIsolate {
  readonly #reader: SnapshotReader;
  readonly #environment: Environment;
  #sequence = 0;
  #pending: readonly PendingLayer[] = [];

  constructor(readonly number: number, reader: SnapshotReader, environment: Environment) {
    this.#reader = reader;
    this.#environment = environment;
  }

  /** Runs a mutation; the next ones see its writes from now on. */
  run(mutation: (database: SimulatedDatabase) => void): FinishedFunction {
    const snapshot = this.#reader.open(this.number);
    this.#pending = this.#pending.filter(({ sequence }) => sequence > snapshot.decidedSequence);
    const { nowMs, randomBytes } = this.#environment;
    const transaction = new Transaction({
      snapshot,
      kind: "mutation",
      limits: defaultConfig,
      nowMs: nowMs.call(this.#environment),
      randomBytes: randomBytes.bind(this.#environment),
      cursorKey: "key",
      pending: this.#pending,
    });
    const database = new SimulatedDatabase(transaction);
    mutation(database);
    const { reads, writes, dependsOn } = transaction.finish();
    snapshot.close();

    const sequence = ++this.#sequence;
    this.#pending = [...this.#pending, transaction.toLayer(sequence)];
    const { timestamp, catalog: { data: { structureVersion } } } = snapshot;
    const origin = { isolate: this.number, sequence };
    const createdTables = writes.tables.map(({ name }) => name);
    return {
      request: { snapshot: timestamp, structureVersion, reads, writes, dependsOn, origin },
      record: { observations: database.observations, changes: database.changes, createdTables },
    };
  }

  aborted(sequence: number): void {
    this.#pending = this.#pending.filter((layer) => layer.sequence !== sequence);
  }
}

/** What a simulated function can do. It must read an item before it writes it, and each only once. */
export class SimulatedDatabase {
  readonly observations: Observation[] = [];
  readonly changes = new Map<string, Item | undefined>();
  readonly #transaction: Transaction;
  readonly #ids = new Map<string, string>();

  constructor(transaction: Transaction) {
    this.#transaction = transaction;
  }

  item(name: string): Item | undefined {
    const [document] = this.#query("by_name", { name }, null);
    const item = document && itemOf(document);
    if (document !== undefined) this.#ids.set(name, document._id as string);
    this.observations.push({ kind: "item", name, item });
    return item;
  }

  group(group: number): Item[] {
    const items = this.#query("by_group", { group }, null).map(itemOf);
    this.observations.push({ kind: "group", group, items });
    return items;
  }

  /** The largest value of a group. */
  largest(group: number): number | undefined {
    const [document] = this.#query("by_group", { group }, 1);
    const value = document && itemOf(document).value;
    this.observations.push({ kind: "largest", group, value });
    return value;
  }

  #query(index: string, equal: Readonly<Record<string, string | number>>, limit: number | null) {
    const range = Object.entries(equal)
      .map(([fieldPath, value]): RangeExpression => ({ type: "Eq", fieldPath, value }));
    return this.#transaction.openQuery({
      source: { type: "IndexRange", indexName: `${itemsTable}.${index}`, range, order: "desc" },
      operators: limit === null ? [] : [{ limit }],
    }).collect();
  }

  insert(item: Item): void {
    this.changes.set(item.name, item);
    this.#transaction.insert(itemsTable, item);
  }

  change(item: Item): void {
    this.changes.set(item.name, item);
    this.#transaction.patch(this.#ids.get(item.name)!, item);
  }

  remove(name: string): void {
    this.changes.set(name, undefined);
    this.#transaction.delete(this.#ids.get(name)!);
  }

  /** Adds something to any other table, which may have to be created for it. */
  touchTable(name: string): void {
    this.#transaction.insert(name, {});
  }
}

export function itemOf({ name, group, value }: ValueObject): Item {
  return { name: name as string, group: group as number, value: value as number };
}

export function sortedItems(documents: readonly { readonly json: string }[]): Item[] {
  return sorted(documents.map(({ json }) => itemOf(JSON.parse(json))));
}
