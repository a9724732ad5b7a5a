/**
 * Several queries brought to one timestamp. Each result is right from its snapshot until a commit touches
 * what it read; results agree where these spans overlap:
 *
 *     a  |==========·····                   ·  still right
 *     b      |=================X            X  invalidated
 *     c            |=====···
 *                  ^ they agree from here on, until X
 */
import type { Timestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import type { CallContext, FollowableFunctions, QueryResult } from "./functions.ts";

/** Queries of one follower that run at the same time (sync-protocol 53). */
const parallelMax = 20;
/** Rounds before writers are asked to wait, and rounds while they do. */
const freeRoundsMax = 5;
const heldRoundsMax = 7;

/** A query that somebody follows: what is asked, the newest result and the watch on it. */
export class FollowedQuery {
  /** Of the newest result, or what the follower came with. */
  #journal: string | null;
  #result: QueryResult | undefined;
  #unwatch: (() => void) | undefined;
  #isStopped = false;

  constructor(
    readonly path: string,
    /** JSON text of the arguments array. */
    readonly args: string,
    readonly componentPath: string,
    journal: string | null,
  ) {
    this.#journal = journal;
  }

  get journal(): string | null {
    return this.#journal;
  }

  get result(): QueryResult | undefined {
    return this.#result;
  }

  /** Replaces the result and follows it. */
  adopt(
    result: QueryResult,
    functions: FollowableFunctions,
    onInvalidated: () => void,
  ): void {
    if (this.#isStopped) return;
    this.forget();
    this.#result = result;
    this.#journal = result.journal;
    this.#unwatch = functions.watch(result, onInvalidated);
  }

  /** Gives up the result, for example because another user will look at it; the journal stays. */
  forget(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
    this.#result = undefined;
  }

  /** Ends it for good, even if a result is still on its way. */
  stop(): void {
    this.#isStopped = true;
    this.forget();
  }
}

export interface AgreeOptions {
  /** The agreed timestamp is not older than this; it must be applied. */
  readonly notBefore: Timestamp;
  /** Of each run that turns out to be needed. */
  readonly context: () => CallContext;
  /** Told, in the turn of the commit, when a result that was adopted is no longer right. */
  readonly onInvalidated: () => void;
}

/**
 * Runs what has no valid result, until all results are right at one timestamp, and returns that: the
 * newest that is durable, or else the oldest possible.
 * @throws RequestError when writers keep overtaking the queries; any error of a query that could not run.
 */
export async function agree(
  functions: FollowableFunctions,
  queries: readonly FollowedQuery[],
  options: AgreeOptions,
): Promise<Timestamp> {
  const stale = queries.filter(({ result }) => result?.invalidatedAt !== null);
  if (stale.length > 0) await refresh(functions, stale, options);
  // Nearly always they agree at once, and nothing else has to be waited for.
  const timestamp = agreed(functions, queries, options.notBefore) ??
    await converge(functions, queries, options, freeRoundsMax) ??
    await functions.whileCommitsWait(() => converge(functions, queries, options, heldRoundsMax));
  if (timestamp !== undefined) return timestamp;
  throw new RequestError(
    "overloaded",
    "QueriesOvertaken",
    "The data that these queries read changes faster than they run. Try again later.",
  );
}

async function converge(
  functions: FollowableFunctions,
  queries: readonly FollowedQuery[],
  options: AgreeOptions,
  roundsMax: number,
): Promise<Timestamp | undefined> {
  for (let round = 0; round < roundsMax; round++) {
    const from = newestSnapshot(queries, options.notBefore);
    const overtaken = queries.filter(({ result }) => !isRightAt(result, from));
    await refresh(functions, overtaken, { ...options, notBefore: from });
    const timestamp = agreed(functions, queries, options.notBefore);
    if (timestamp !== undefined) return timestamp;
  }
  return undefined;
}

/** The newest timestamp at which all results are right and durable, or else the oldest possible. */
function agreed(
  functions: FollowableFunctions,
  queries: readonly FollowedQuery[],
  notBefore: Timestamp,
): Timestamp | undefined {
  const from = newestSnapshot(queries, notBefore);
  let newest = Math.max(from, functions.durableTimestamp);
  for (const { result } of queries) {
    if (!isRightAt(result, from)) return undefined;
    const end = result?.invalidatedAt ?? null;
    if (end !== null && end <= newest) newest = end - 1;
  }
  return newest as Timestamp;
}

function newestSnapshot(queries: readonly FollowedQuery[], notBefore: Timestamp): Timestamp {
  let newest = notBefore;
  for (const { result } of queries) {
    if (result !== undefined && result.timestamp > newest) newest = result.timestamp;
  }
  return newest;
}

function isRightAt(result: QueryResult | undefined, timestamp: Timestamp): boolean {
  return result !== undefined &&
    (result.invalidatedAt === null || result.invalidatedAt > timestamp);
}

function refresh(
  functions: FollowableFunctions,
  queries: readonly FollowedQuery[],
  options: AgreeOptions,
): Promise<void> {
  // The common case by far: one commit has touched one query of each of many followers.
  return queries.length === 1
    ? refreshOne(functions, queries[0]!, options)
    : refreshAll(functions, queries, options);
}

/** Waits for all of them even if one fails, so that no result arrives after its follower has moved on. */
async function refreshAll(
  functions: FollowableFunctions,
  queries: readonly FollowedQuery[],
  options: AgreeOptions,
): Promise<void> {
  let next = 0;
  const refreshSome = async () => {
    while (next < queries.length) await refreshOne(functions, queries[next++]!, options);
  };
  const runs = Array.from({ length: Math.min(parallelMax, queries.length) }, refreshSome);
  for (const run of await Promise.allSettled(runs)) {
    if (run.status === "rejected") throw run.reason;
  }
}

async function refreshOne(
  functions: FollowableFunctions,
  query: FollowedQuery,
  { notBefore, context, onInvalidated }: AgreeOptions,
): Promise<void> {
  const { path, args, journal, componentPath } = query;
  const request = { path, args, journal, context: { ...context(), componentPath } };
  query.adopt(await functions.query(request, notBefore), functions, onInvalidated);
}
