/**
 * What a query or mutation does to the database: it reads one snapshot plus pending layers plus its own
 * writes, and records what it read. Native `ctx.db` and the syscalls are thin layers over this class.
 * Everything is synchronous; errors of the user are `DeveloperError`s with the documented texts.
 */
import type { Snapshot } from "./snapshot.ts";
import type { ValueObject } from "../values/value.ts";
import type { systemTables } from "./catalog.ts";
import type { Query } from "./query.ts";
import type { ReadSet } from "./read_set.ts";
import type { WriteSet } from "./write_set.ts";

/** Budgets of one transaction (semantics 9.1). `Config` has them under the same names. */
export interface TransactionLimits {
  readonly documentsReadMax: number;
  readonly bytesReadMax: number;
  readonly intervalsReadMax: number;
  readonly documentsWrittenMax: number;
  readonly bytesWrittenMax: number;
}

export interface TransactionUsage {
  readonly documentsRead: number;
  readonly bytesRead: number;
  readonly intervalsRead: number;
  readonly documentsWritten: number;
  readonly bytesWritten: number;
}

export interface TransactionOptions {
  readonly snapshot: Snapshot;
  readonly kind: "query" | "mutation";
  readonly limits: TransactionLimits;
  /** Frozen time of the call: makes creation times and the day in new ids. */
  readonly nowMs: number;
  /** Randomness of new ids; not the seeded generator of the function. */
  readonly randomBytes: (length: number) => Uint8Array;
  /** Any secret text of the deployment; authenticates pagination cursors. */
  readonly cursorKey: string;
  /** Earlier transactions of the same isolate that `snapshot` does not hold yet, oldest first; mutations only. */
  readonly pending?: readonly PendingLayer[];
}

/** The writes of a finished transaction that is not decided yet, visible to later ones of the same isolate. */
export interface PendingLayer {
  readonly sequence: number;
}

export interface FinishedTransaction {
  readonly reads: ReadSet;
  readonly writes: WriteSet;
  /** Sequence numbers of the pending layers whose writes it read. */
  readonly dependsOn: readonly number[];
  readonly usage: TransactionUsage;
}

export type SystemTable = keyof typeof systemTables;

/** Documents of a query, one after the other. Each is a fresh object that belongs to the caller. */
export interface QueryCursor {
  /** The next document; null at the end. Sees writes made since the last call. */
  next(): ValueObject | null;
  /** All that are left. */
  collect(): ValueObject[];
}

export interface PageOptions {
  readonly cursor: string | null;
  readonly endCursor: string | null;
  readonly pageSize: number;
  readonly maximumRowsRead: number | null;
  readonly maximumBytesRead?: number | null;
}

export interface Page {
  readonly page: ValueObject[];
  readonly isDone: boolean;
  readonly continueCursor: string;
  readonly splitCursor: string | null;
  readonly pageStatus: "SplitRecommended" | "SplitRequired" | null;
}

/**
 * The page end that one execution decided, or must repeat (function-abi 6). Make one for each execution,
 * nested ones included (they begin with null and their `result` is dropped).
 */
export class QueryJournal {
  /** What the execution's outcome carries: the journal for the next run; null if it did not paginate. */
  result: string | null = null;
  /** Set by `paginate`, which a function may call once. */
  used = false;

  constructor(readonly given: string | null) {}
}

/** Undoes or keeps the writes of a nested mutation. Reads and counters stay either way. End the innermost first. */
export interface NestedTransaction {
  commit(): void;
  rollback(): void;
}

export class Transaction {
  constructor(readonly options: TransactionOptions) {}

  /**
   * The document with this id, or null. `table` is what the caller says its table is. `system`: called
   * through `db.system`.
   */
  get(_id: string, _options?: { table?: string; system?: boolean }): ValueObject | null {
    throw new Error("not yet");
  }

  /** Adds a document and returns its id. Creates the table if need be. `value` may be anything user code passes. */
  insert(_table: string, _value: unknown): string {
    throw new Error("not yet");
  }

  /** Merges top-level fields; undefined removes one. Returns the JSON text of the new document. */
  patch(_id: string, _value: unknown, _table?: string): string {
    throw new Error("not yet");
  }

  /** Puts a new document in the place of the old one. Returns its JSON text. */
  replace(_id: string, _value: unknown, _table?: string): string {
    throw new Error("not yet");
  }

  /** Removes a document. Returns the JSON text it had. */
  delete(_id: string, _table?: string): string {
    throw new Error("not yet");
  }

  /** The id in canonical form if it belongs to the table, else null. Works for system tables too: the caller checks which `db` it is. */
  normalizeId(_table: string, _id: string): string | null {
    throw new Error("not yet");
  }

  /** Number of documents in a table, own writes included. */
  count(_table: string): number {
    throw new Error("not yet");
  }

  /** Compiles a query and opens a cursor; errors of its range come from here. Reads nothing yet. */
  openQuery(_query: Query): QueryCursor {
    throw new Error("not yet");
  }

  /** One page of a query (function-abi 6). */
  paginate(_query: Query, _options: PageOptions, _journal: QueryJournal): Page {
    throw new Error("not yet");
  }

  /** Starts a sub-transaction on the same state; `limits` are budgets on top of what is used already. */
  nest(_limits?: Partial<TransactionLimits>): NestedTransaction {
    throw new Error("not yet");
  }

  /** Access of the server itself to system tables, on behalf of scheduler and file storage. Counts towards no limit. */
  readonly system: {
    get(id: string): ValueObject | null;
    insert(table: SystemTable, value: ValueObject): string;
    patch(id: string, value: Record<string, unknown>): void;
    delete(id: string): void;
    /** Also by the indexes of `systemIndexes`, e.g. `_scheduled_functions.by_state`. */
    openQuery(query: Query): QueryCursor;
  } = undefined!;

  get usage(): TransactionUsage {
    throw new Error("not yet");
  }

  /** Ends it: what it read and wrote. Nothing may be called afterwards but `toLayer`. */
  finish(): FinishedTransaction {
    throw new Error("not yet");
  }

  /** Its writes for transactions that build on it, under the sequence number it is committed with. */
  toLayer(_sequence: number): PendingLayer {
    throw new Error("not yet");
  }
}
