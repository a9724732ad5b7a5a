import { Buffer } from "node:buffer";
import type { ReadSet } from "../database/read_set.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { FunctionResult, QueryResult } from "./functions.ts";
import type { DeployedFunction } from "./function_table.ts";
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
  /** Names of the environment variables the query read; null: any change may change the result. */
  readonly observedVariables: readonly string[] | null;
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
  readonly observedVariables: readonly string[] | null;
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
    /** Length of the key that it is stored under. */
    keyCharacters = 0,
  ) {
    this.result = execution.result;
    this.timestamp = execution.timestamp;
    this.journal = execution.journal;
    this.reads = execution.reads ?? [];
    this.readsAreKnown = execution.reads !== null;
    this.observedTimeMs = execution.observedTimeMs;
    this.observedVariables = execution.observedVariables;
    this.bytes = estimateBytes(this, keyCharacters);
  }

  /** Whether it is the result at some moment from `timestamp` on, for a caller with this identity. */
  answers(timestamp: Timestamp, identity: string): boolean {
    return (this.identity === null || this.identity === identity) &&
      (this.timestamp >= timestamp || this.invalidatedAt === null ||
        this.invalidatedAt > timestamp);
  }
}

/** An entry with its keys, subscriptions and encoded forms, in bytes; as measured, and rounded up. */
function estimateBytes(
  { result, reads, journal, observedVariables }: QueryEntry,
  keyCharacters: number,
): number {
  // There may be a second key, with the journal that it has led to.
  let bytes = 1000 + 2 * keyCharacters + 2 * (journal?.length ?? 0);
  const texts = result.ok
    ? [result.value]
    : [result.failure.message, result.failure.data ?? "", ...result.failure.frames];
  // Once itself, and once as it was sent.
  for (const text of [...texts, ...result.logLines]) bytes += 2 * textBytes(text);
  for (const name of observedVariables ?? []) bytes += 40 + name.length;
  for (const [, intervals] of reads) {
    for (const { lower, upper } of intervals) bytes += 400 + lower.length + (upper?.length ?? 0);
  }
  return bytes;
}

/** In memory a text has two bytes a character as soon as one of them needs it. */
function textBytes(text: string): number {
  return Buffer.byteLength(text) === text.length ? text.length : 2 * text.length;
}
