/** From what transactions of the fixture `transactions` report to a history for the checker. */
import assert from "node:assert/strict";
import type { Cell, Filter, Observation } from "../../fixtures/transactions/convex/steps.ts";
import type { History, Read, RecordedTransaction, Version, Write } from "./history.ts";

type CellsSeen = Observation & { readonly saw: "cells" };
type CellWritten = Observation & { readonly saw: "write" };

/** A transaction whose outcome is known. */
export interface Reported extends Pick<RecordedTransaction, "id" | "startedAt" | "endedAt"> {
  readonly follows: readonly string[];
  readonly observations: readonly Observation[];
  /** False: it threw in the end. What it saw must be right all the same. */
  readonly committed: boolean;
}

/** Fails if a transaction does not see its own writes, or cells other than they were written. */
export function historyOf(reports: readonly Reported[]): History {
  const written = new WrittenCells(reports);
  const aborted = new Set<string>();
  const committed = reports.map((report): RecordedTransaction => {
    const { id, startedAt, endedAt, follows } = report;
    const reading = new Reading(id, written, aborted);
    reading.addAll(report.observations, new Map(), report.committed);
    const { reads, writes } = reading;
    return {
      id,
      reads,
      writes,
      follows,
      ...(startedAt !== undefined && { startedAt }),
      ...(endedAt !== undefined && { endedAt }),
    };
  });
  return { committed, aborted };
}

/** Every version that was committed, by key. */
class WrittenCells {
  readonly #cells = new Map<string, Map<string, Cell | null>>();

  constructor(reports: readonly Reported[]) {
    for (const { observations, committed } of reports) {
      if (!committed) continue;
      for (const observation of observations) {
        if (observation.saw === "write") this.#add(observation);
      }
    }
  }

  #add({ key, version, cell }: CellWritten): void {
    let versions = this.#cells.get(key);
    if (versions === undefined) this.#cells.set(key, versions = new Map());
    versions.set(version, cell);
  }

  get keys(): Iterable<string> {
    return this.#cells.keys();
  }

  versionsOf(key: string): ReadonlyMap<string, Cell | null> {
    return this.#cells.get(key) ?? new Map();
  }
}

/** By key, what the transaction itself has made of it. */
type OwnCells = Map<string, Cell | null>;

class Reading {
  readonly reads: Read[] = [];
  readonly writes: Write[] = [];
  readonly #id: string;
  readonly #written: WrittenCells;
  readonly #aborted: Set<string>;

  constructor(id: string, written: WrittenCells, aborted: Set<string>) {
    this.#id = id;
    this.#written = written;
    this.#aborted = aborted;
  }

  addAll(observations: readonly Observation[], own: OwnCells, counts: boolean): void {
    for (const observation of observations) {
      switch (observation.saw) {
        case "cells":
          this.#addRead(observation, own);
          break;
        case "write":
          this.#addWrite(observation, own, counts);
          break;
        case "rollback":
          this.addAll(observation.observations, new Map(own), false);
      }
    }
  }

  #addWrite({ key, version, replaces, cell }: CellWritten, own: OwnCells, counts: boolean): void {
    own.set(key, cell);
    if (counts) this.writes.push({ key, version, replaces });
    else this.#aborted.add(version);
  }

  #addRead({ filter, cells }: CellsSeen, own: OwnCells): void {
    const seen = new Map(cells.map((cell) => [cell.key, cell]));
    assert.equal(seen.size, cells.length, `${this.#id} saw a cell twice`);
    if (filter.by === "group") this.#verifyOrder(cells, filter.order);
    if (filter.by === "scan") {
      const total = cells.reduce((sum, { balance }) => sum + balance, 0);
      assert.equal(total, 0, `${this.#id} saw money appear or vanish`);
    }
    const covers = coverage(filter, cells);
    for (const [key, cell] of own) {
      const expected = cell !== null && covers(cell) ? cell : undefined;
      assert.deepEqual(seen.get(key), expected, `${this.#id} did not see its own write to ${key}`);
    }
    for (const [key, cell] of seen) if (!own.has(key)) this.#addPresent(key, cell);
    const keys = filter.by === "key" ? [filter.key] : this.#written.keys;
    for (const key of keys) {
      if (!seen.has(key) && !own.has(key)) this.#addAbsent(key, covers);
    }
  }

  #verifyOrder(cells: readonly Cell[], order: "asc" | "desc"): void {
    const keys = cells.map(({ key }) => key).sort();
    if (order === "desc") keys.reverse();
    assert.deepEqual(cells.map(({ key }) => key), keys, `${this.#id} saw cells out of order`);
  }

  #addPresent(key: string, cell: Cell): void {
    const written = this.#written.versionsOf(key).get(cell.version);
    if (written !== undefined) assert.deepEqual(cell, written, `${this.#id} saw another cell`);
    this.reads.push({ key, versions: [cell.version] });
  }

  #addAbsent(key: string, covers: (cell: Cell) => boolean): void {
    const versions = this.#written.versionsOf(key);
    const possible: Version[] = [null];
    for (const [version, cell] of versions) {
      if (cell === null || !covers(cell)) possible.push(version);
    }
    const tellsNothing = possible.length === versions.size + 1;
    if (!tellsNothing) this.reads.push({ key, versions: possible });
  }
}

/** Whether a cell would have been among those that were found. */
function coverage(filter: Filter, found: readonly Cell[]): (cell: Cell) => boolean {
  switch (filter.by) {
    case "key":
      return ({ key }) => key === filter.key;
    case "document":
      return ({ document }) => document === filter.document;
    case "scan":
      return () => true;
    case "group": {
      // A read that stopped at its limit says nothing of what lies behind.
      const last = found.length === filter.first ? found.at(-1)?.key : undefined;
      return ({ key, group }) =>
        group === filter.group && filter.first !== 0 &&
        (last === undefined || (filter.order === "asc" ? key <= last : key >= last));
    }
  }
}
