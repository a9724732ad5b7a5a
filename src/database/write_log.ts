/**
 * The index keys of recent commits, and the question that optimistic concurrency control asks of them: has
 * any commit since this snapshot written into this read set?
 *
 * Per index there are the keys in the order they were written, and for each key its newest write with a
 * link to the write before. Point reads follow the links; range reads are tested against the keys written
 * since their snapshot, of which there are few, because transactions are short. Both are independent of
 * how much is kept.
 *
 * What is dropped is remembered as a timestamp: a snapshot before it cannot be checked and conflicts.
 */
import { type IndexId, tableNameKey, tableNamesIndex, type TableNumber } from "./catalog.ts";
import { IndexHistory, type LoggedCommit } from "./index_history.ts";
import type { ReadSet } from "./read_set.ts";
import { Timeline } from "./timeline.ts";
import type { Timestamp } from "./timestamp.ts";
import type { DocumentWrite, IndexPoint, TableCreation, WriteSet } from "./write_set.ts";

export interface Commit {
  readonly timestamp: Timestamp;
  readonly writes: Pick<WriteSet, "documents" | "tables">;
  /** Isolate and sequence number that a later transaction of the same isolate may depend on. */
  readonly origin?: { readonly isolate: number; readonly sequence: number };
  /** Names the mutation, for error texts. */
  readonly source?: string;
}

/** A transaction to be checked. */
export interface Candidate {
  readonly snapshot: Timestamp;
  readonly reads: ReadSet;
  readonly isolate?: number;
  /** Sequence numbers of its isolate whose writes it has read already, although they are newer than its snapshot. */
  readonly dependsOn: readonly number[];
}

/** What stands in the way of a transaction, as far as it is known. */
export interface Conflict {
  readonly table?: TableNumber;
  readonly id?: string;
  readonly source?: string;
}

export interface WriteLogLimits {
  /** Bounds memory, at about 200 bytes a key. */
  readonly keysMax: number;
  /** In microseconds, like timestamps: as long as the slowest transaction may take. */
  readonly ageMax: number;
}

export class WriteLog {
  readonly #limits: WriteLogLimits;
  readonly #commits = new Timeline<LoggedCommit>();
  readonly #indexes = new Map<IndexId, IndexHistory>();
  #keys = 0;
  /** Snapshots before this cannot be checked. */
  #knownSince: Timestamp;

  /** `start`: the newest timestamp of all commits before the first one that will be appended. */
  constructor(start: Timestamp, limits: WriteLogLimits) {
    this.#knownSince = start;
    this.#limits = limits;
  }

  /** To be followed by `prune` or `removeAfter` when it is known whether the commit succeeded. */
  append({ timestamp, writes, origin, source }: Commit): void {
    const indexes: IndexId[] = [];
    const commit: LoggedCommit = {
      timestamp,
      indexes,
      ...(origin !== undefined && { origin }),
      ...(source !== undefined && { source }),
    };
    const add = (table: TableNumber, id: string | undefined, [index, key]: IndexPoint) => {
      indexes.push(index);
      this.#history(index).add({ timestamp, key, commit, table, id, previous: undefined });
    };
    for (const table of writes.tables) add(table.number, undefined, tablePoint(table));
    for (const document of writes.documents) {
      for (const point of documentPoints(document)) add(document.table, document.id, point);
    }
    if (indexes.length === 0) return;
    this.#keys += indexes.length;
    this.#commits.push(commit);
  }

  #history(index: IndexId): IndexHistory {
    let history = this.#indexes.get(index);
    if (history === undefined) this.#indexes.set(index, history = new IndexHistory());
    return history;
  }

  /** Drops what is too much or too old. */
  prune(): void {
    const { keysMax, ageMax } = this.#limits;
    for (let oldest; (oldest = this.#commits.oldest) !== undefined;) {
      const age = this.#commits.newest!.timestamp - oldest.timestamp;
      if (this.#keys <= keysMax && age <= ageMax) return;
      this.#commits.takeOldest();
      this.#knownSince = oldest.timestamp;
      this.#remove(oldest, (history) => history.dropOldest());
    }
  }

  /** Takes back the commits after `timestamp`: they have failed. Nothing was pruned since they were appended. */
  removeAfter(timestamp: Timestamp): void {
    for (let newest; (newest = this.#commits.newest) !== undefined;) {
      if (newest.timestamp <= timestamp) return;
      this.#commits.takeNewest();
      this.#remove(newest, (history) => history.dropNewest());
    }
  }

  #remove({ indexes }: LoggedCommit, drop: (history: IndexHistory) => void): void {
    this.#keys -= indexes.length;
    for (const index of indexes) {
      const history = this.#indexes.get(index)!;
      drop(history);
      if (history.isEmpty) this.#indexes.delete(index);
    }
  }

  /** The write that the transaction should have seen and has not; undefined when it may commit. */
  findConflict(candidate: Candidate): Conflict | undefined {
    const { snapshot, reads } = candidate;
    if (snapshot < this.#knownSince) return {};
    const seen = this.#dependencies(candidate);
    if (seen.size < candidate.dependsOn.length) return {};
    for (const [index, intervals] of reads) {
      const entry = this.#indexes.get(index)?.find(snapshot, seen, index, intervals);
      if (entry !== undefined) {
        const { table, id, commit: { source } } = entry;
        return { table, ...(id !== undefined && { id }), ...(source !== undefined && { source }) };
      }
    }
    return undefined;
  }

  /** Those of the transactions it depends on that did commit, all of them after its snapshot. */
  #dependencies({ snapshot, isolate, dependsOn }: Candidate): ReadonlySet<LoggedCommit> {
    if (dependsOn.length === 0) return noCommits;
    return new Set(
      this.#commits.after(snapshot).filter(({ origin }) =>
        origin !== undefined && origin.isolate === isolate && dependsOn.includes(origin.sequence)
      ),
    );
  }
}

const noCommits: ReadonlySet<LoggedCommit> = new Set();

/** Every index key that a commit touches, old or new. */
export function writtenPoints({ tables, documents }: Commit["writes"]): IndexPoint[] {
  return [...tables.map(tablePoint), ...documents.flatMap(documentPoints)];
}

function tablePoint(table: TableCreation): IndexPoint {
  return [tableNamesIndex, tableNameKey(table)];
}

function documentPoints(document: DocumentWrite): IndexPoint[] {
  const { removedKeys, addedKeys, keptKeys, searchKeys = [] } = document;
  return [...removedKeys, ...addedKeys, ...keptKeys, ...searchKeys];
}
