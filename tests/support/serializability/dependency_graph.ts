/**
 * Which transaction must come before which other.
 *
 *   ww  wrote the version that the other replaced       wr  wrote a version that the other read
 *   rw  read the version that the other replaced        order  ended before it started, or a client was promised it
 *
 * Real time needs no edge for every pair: the ends of transactions are a chain of points in time, each
 * transaction leads to the point of its end, and the last point before its start leads to each.
 */
import type { History, Read, RecordedTransaction } from "./history.ts";
import type { VersionOrder } from "./version_order.ts";

export type DependencyKind = "ww" | "wr" | "rw" | "order";

export interface Dependency {
  readonly to: number;
  readonly kind: DependencyKind;
  /** The key it is about. */
  readonly key?: string;
}

export class DependencyGraph {
  readonly #transactions: readonly RecordedTransaction[];
  readonly #versions: VersionOrder;
  readonly #numbers = new Map<string, number>();
  /** By number: first the transactions, then the points in time. */
  readonly #dependencies: Dependency[][];
  readonly #reverse: number[][];

  constructor({ committed }: History, versions: VersionOrder) {
    this.#transactions = committed;
    this.#versions = versions;
    for (const [number, { id }] of committed.entries()) this.#numbers.set(id, number);
    this.#dependencies = committed.map(() => []);
    this.#reverse = committed.map(() => []);
    this.#addOrder();
    for (const transaction of committed) this.#addCertain(transaction);
    for (const transaction of committed) this.#addUncertain(transaction);
  }

  get size(): number {
    return this.#dependencies.length;
  }

  after(number: number): readonly Dependency[] {
    return this.#dependencies[number]!;
  }

  /** Undefined for a point in time. */
  transaction(number: number): RecordedTransaction | undefined {
    return this.#transactions[number];
  }

  #addOrder(): void {
    const ended = this.#transactions
      .filter(({ endedAt }) => endedAt !== undefined)
      .sort((a, b) => a.endedAt! - b.endedAt!);
    const points = ended.map(() => {
      this.#reverse.push([]);
      return this.#dependencies.push([]) - 1;
    });
    for (const [i, { id }] of ended.entries()) {
      this.#add(this.#number(id), { to: points[i]!, kind: "order" });
      if (i > 0) this.#add(points[i - 1]!, { to: points[i]!, kind: "order" });
    }
    for (const { id, startedAt, follows } of this.#transactions) {
      const to = this.#number(id);
      const endedBefore = ended.findLastIndex(({ endedAt }) => endedAt! < (startedAt ?? -Infinity));
      if (endedBefore >= 0) this.#add(points[endedBefore]!, { to, kind: "order" });
      for (const other of follows) {
        const from = this.#numbers.get(other);
        // Others were rolled back, or their outcome is of no concern.
        if (from !== undefined) this.#add(from, { to, kind: "order" });
      }
    }
  }

  #addCertain(transaction: RecordedTransaction): void {
    for (const { key, replaces } of transaction.writes) {
      this.#addBetween(this.#versions.writer(replaces), transaction, "ww", key);
    }
    for (const read of transaction.reads) {
      if (read.versions.length === 1) this.#addRead(transaction, read);
    }
  }

  #addRead(
    transaction: RecordedTransaction,
    { key, versions: [version] }: Read,
  ): void {
    this.#addBetween(this.#versions.writer(version!), transaction, "wr", key);
    this.#addBetween(transaction, this.#versions.replacer(key, version!), "rw", key);
  }

  /** Reads that may have met one of several versions: those that other dependencies rule out are left out. */
  #addUncertain(transaction: RecordedTransaction): void {
    const uncertain = transaction.reads.filter(({ versions }) => versions.length > 1);
    if (uncertain.length === 0) return;
    const number = this.#number(transaction.id);
    const later = reachable(number, (n) => this.#dependencies[n]!.map(({ to }) => to));
    const earlier = reachable(number, (n) => this.#reverse[n]!);
    const isIn = (set: ReadonlySet<number>, other: RecordedTransaction | undefined) =>
      other !== undefined && other !== transaction && set.has(this.#number(other.id));
    for (const { key, versions } of uncertain) {
      const possible = versions.filter((version) =>
        !isIn(later, this.#versions.writer(version)) &&
        !isIn(earlier, this.#versions.replacer(key, version))
      );
      if (possible.length === 1) this.#addRead(transaction, { key, versions: possible });
      // None was possible: any of them makes the cycle that shows it.
      if (possible.length === 0) this.#addRead(transaction, { key, versions });
    }
  }

  #addBetween(
    from: RecordedTransaction | undefined,
    to: RecordedTransaction | undefined,
    kind: DependencyKind,
    key: string,
  ): void {
    if (from === undefined || to === undefined || from === to) return;
    this.#add(this.#number(from.id), { to: this.#number(to.id), kind, key });
  }

  #add(from: number, dependency: Dependency): void {
    this.#dependencies[from]!.push(dependency);
    this.#reverse[dependency.to]!.push(from);
  }

  #number(id: string): number {
    return this.#numbers.get(id)!;
  }
}

function reachable(start: number, next: (number: number) => readonly number[]): Set<number> {
  const seen = new Set<number>();
  const waiting = [start];
  for (let number; (number = waiting.pop()) !== undefined;) {
    for (const other of next(number)) {
      if (seen.has(other)) continue;
      seen.add(other);
      waiting.push(other);
    }
  }
  return seen;
}
