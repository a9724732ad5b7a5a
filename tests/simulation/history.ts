/**
 * What happened, and whether it could have happened one transaction after the other: every transaction must
 * have seen exactly what those with smaller timestamps left behind, and the database must hold what all of
 * them together leave behind.
 */
import assert from "node:assert/strict";
import type { Timestamp } from "../../src/database/timestamp.ts";

export interface Item {
  readonly name: string;
  readonly group: number;
  readonly value: number;
}

/** By name. */
export type Items = ReadonlyMap<string, Item>;

/** What a transaction was shown. Undefined: that there is none. */
export type Observation =
  | { readonly kind: "item"; readonly name: string; readonly item: Item | undefined }
  | { readonly kind: "group"; readonly group: number; readonly items: readonly Item[] }
  | { readonly kind: "largest"; readonly group: number; readonly value: number | undefined };

export interface TransactionRecord {
  /** Client and request: no two commits may have the same. */
  readonly request: string;
  readonly observations: readonly Observation[];
  /** Undefined: removed. */
  readonly changes: ReadonlyMap<string, Item | undefined>;
  readonly createdTables: readonly string[];
}

interface Committed extends TransactionRecord {
  readonly timestamp: Timestamp;
}

export class History {
  #committed: Committed[] = [];
  /** Requests whose clients were told that they are on disk. */
  readonly #acknowledged = new Map<string, Timestamp>();

  get commits(): number {
    return this.#committed.length;
  }

  get tables(): string[] {
    return this.#committed.flatMap(({ createdTables }) => createdTables);
  }

  commit(timestamp: Timestamp, record: TransactionRecord): void {
    const newest = this.#committed.at(-1)?.timestamp ?? 0;
    assert.ok(timestamp > newest, `timestamp ${timestamp} follows ${newest}`);
    this.#committed.push({ timestamp, ...record });
  }

  acknowledge(request: string, timestamp: Timestamp): void {
    const commit = this.#committed.find((candidate) => candidate.request === request);
    assert.equal(commit?.timestamp, timestamp, `${request} was acknowledged with its timestamp`);
    this.#acknowledged.set(request, timestamp);
  }

  /** After a crash: nothing later than `timestamp` is left. */
  survive(timestamp: Timestamp): void {
    for (const [request, acknowledgedAt] of this.#acknowledged) {
      assert.ok(acknowledgedAt <= timestamp, `${request} was acknowledged and is lost`);
    }
    this.#committed = this.#committed.filter((commit) => commit.timestamp <= timestamp);
  }

  /** The items as of `timestamp`. Fails if a transaction up to there saw anything but what was there. */
  replay(timestamp: Timestamp): Items {
    const items = new Map<string, Item>();
    for (const commit of this.#committed) {
      if (commit.timestamp > timestamp) break;
      for (const observation of commit.observations) verify(commit, observation, items);
      for (const [name, item] of commit.changes) {
        if (item === undefined) items.delete(name);
        else items.set(name, item);
      }
    }
    return items;
  }

  /** Fails if a request has committed twice, or was acknowledged and has not. */
  verifyOnce(): void {
    const requests = this.#committed.map(({ request }) => request);
    assert.equal(new Set(requests).size, requests.length, "a request has committed twice");
    for (const request of this.#acknowledged.keys()) assert.ok(requests.includes(request), request);
  }
}

function verify({ timestamp, request }: Committed, observation: Observation, items: Items): void {
  const what = `${request} at ${timestamp} saw the newest ${observation.kind}`;
  switch (observation.kind) {
    case "item":
      return assert.deepEqual(observation.item, items.get(observation.name), what);
    case "group":
      return assert.deepEqual(sorted(observation.items), groupOf(items, observation.group), what);
    case "largest": {
      const values = groupOf(items, observation.group).map(({ value }) => value);
      const largest = values.length === 0 ? undefined : Math.max(...values);
      return assert.equal(observation.value, largest, what);
    }
  }
}

function groupOf(items: Items, group: number): Item[] {
  return sorted([...items.values()].filter((item) => item.group === group));
}

export function sorted(items: Iterable<Item>): Item[] {
  return [...items].sort((a, b) => a.name < b.name ? -1 : 1);
}
