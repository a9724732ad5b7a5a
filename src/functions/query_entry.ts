import type { ReadSet } from "../database/read_set.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { FunctionResult, QueryResult } from "./functions.ts";
import type { DeployedFunction } from "./modules.ts";
import type { Subscription } from "./subscriptions.ts";

/** What running a query gave. */
export interface QueryExecution {
  readonly result: FunctionResult;
  readonly timestamp: Timestamp;
  readonly journal: string | null;
  /** Null when it is unknown what was read: the isolate was lost before it could say. */
  readonly reads: ReadSet | null;
  readonly observedIdentity: boolean;
  /** The time the query saw, in milliseconds; null when it did not look. */
  readonly observedTimeMs: number | null;
}

/** One caller's interest in one entry. */
export interface Watcher {
  readonly onInvalidated: () => void;
}

/** A result in memory; see query_cache.ts for what becomes of it. */
export class QueryEntry implements QueryResult, Subscription {
  readonly result: FunctionResult;
  readonly timestamp: Timestamp;
  readonly journal: string | null;
  readonly reads: ReadSet;
  readonly readsAreKnown: boolean;
  readonly observedTimeMs: number | null;
  readonly bytes: number;
  /** Also set when an entry is dropped: from then on nobody would notice a commit into its read set. */
  invalidatedAt: Timestamp | null = null;
  /** Keys in the table of `query`; empty once it serves no new requests. */
  keys: readonly string[] = [];
  /** Since the last sweep. */
  wasUsed = false;
  readonly watchers = new Set<Watcher>();

  constructor(
    /** Null for the answer to a request that names no query. */
    readonly query: DeployedFunction | null,
    /** Whose result it is, as a key; null: everybody's. */
    readonly identity: string | null,
    execution: QueryExecution,
  ) {
    this.result = execution.result;
    this.timestamp = execution.timestamp;
    this.journal = execution.journal;
    this.reads = execution.reads ?? [];
    this.readsAreKnown = execution.reads !== null;
    this.observedTimeMs = execution.observedTimeMs;
    this.bytes = estimateBytes(this);
  }

  /** Whether it is the result at some moment from `timestamp` on, for a caller with this identity. */
  answers(timestamp: Timestamp, identity: string): boolean {
    return (this.identity === null || this.identity === identity) &&
      (this.timestamp >= timestamp || this.invalidatedAt === null ||
        this.invalidatedAt > timestamp);
  }
}

/** An entry with its keys and subscriptions, in bytes; rough, as it only has to bound memory. */
function estimateBytes({ result, reads }: QueryEntry): number {
  const text = result.ok ? result.value : result.failure.message;
  let bytes = 1000 + text.length;
  for (const line of result.logLines) bytes += line.length;
  for (const [, intervals] of reads) {
    for (const { lower, upper } of intervals) bytes += 300 + lower.length + (upper?.length ?? 0);
  }
  return bytes;
}
