/** One index's part of the write log (write_log.ts). */
import { type IndexKey, keySuccessor } from "../values/index_key.ts";
import type { IndexId, TableNumber } from "./catalog.ts";
import { type KeyInterval, type ReadSet, readSetContains } from "./read_set.ts";
import { Timeline } from "./timeline.ts";
import type { Timestamp } from "./timestamp.ts";

/** What is kept of a commit: not its documents. */
export interface LoggedCommit {
  readonly timestamp: Timestamp;
  readonly origin?: { readonly isolate: number; readonly sequence: number };
  readonly source?: string;
  /** For each of its entries the index that it is in. */
  readonly indexes: readonly IndexId[];
}

/** One key that a commit wrote. */
export interface LogEntry {
  readonly timestamp: Timestamp;
  readonly key: IndexKey;
  readonly commit: LoggedCommit;
  readonly table: TableNumber;
  /** Undefined for the creation of a table. */
  readonly id: string | undefined;
  /** The write of the same key before this one, unless that is dropped. */
  previous: LogEntry | undefined;
}

/** What recent commits wrote into one index. */
export class IndexHistory {
  readonly #entries = new Timeline<LogEntry>();
  readonly #newest = new Map<IndexKey, LogEntry>();

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  add(entry: LogEntry): void {
    entry.previous = this.#newest.get(entry.key);
    this.#newest.set(entry.key, entry);
    this.#entries.push(entry);
  }

  dropOldest(): void {
    const entry = this.#entries.takeOldest()!;
    // A newer write of the key may still link to the entry; nothing may hang on it then.
    entry.previous = undefined;
    if (this.#newest.get(entry.key) === entry) this.#newest.delete(entry.key);
  }

  dropNewest(): void {
    const entry = this.#entries.takeNewest()!;
    if (entry.previous === undefined) this.#newest.delete(entry.key);
    else this.#newest.set(entry.key, entry.previous);
  }

  /** A write after `snapshot`, by none of the `seen` commits, into one of the intervals. */
  find(
    snapshot: Timestamp,
    seen: ReadonlySet<LoggedCommit>,
    index: IndexId,
    intervals: readonly KeyInterval[],
  ): LogEntry | undefined {
    if (this.#entries.newest!.timestamp <= snapshot) return undefined;
    if (intervals.every(isPoint)) return this.#findPoint(snapshot, seen, intervals);
    const reads: ReadSet = [[index, intervals]];
    return this.#entries.after(snapshot).find((entry) =>
      !seen.has(entry.commit) && readSetContains(reads, index, entry.key)
    );
  }

  #findPoint(
    snapshot: Timestamp,
    seen: ReadonlySet<LoggedCommit>,
    points: readonly KeyInterval[],
  ): LogEntry | undefined {
    for (const { lower } of points) {
      let entry = this.#newest.get(lower);
      while (entry !== undefined && entry.timestamp > snapshot) {
        if (!seen.has(entry.commit)) return entry;
        entry = entry.previous;
      }
    }
    return undefined;
  }
}

function isPoint({ lower, upper }: KeyInterval): boolean {
  // The length first: it is at hand, and the successor has to be made.
  return upper !== null && upper.length === lower.length + 1 && upper === keySuccessor(lower);
}
