/**
 * Results of queries that are still right (semantics 10).
 *
 * Life of an entry:
 *   1. A request finds no entry, or joins the run that another request for the same has begun.
 *   2. The result arrives and becomes an entry. A success answers new requests; a failure only those that
 *      waited for it and those that watch it.
 *   3. A commit into its read set, a new deployment, or another value of an environment variable that it read ends it:
 *      its watchers are told, once.
 *   4. An entry that nobody watches is dropped when memory is short, or when it can answer no new
 *      request. A dropped entry counts as invalidated from then on, because nobody would notice.
 *
 * Entries are dropped by a timer and never in the turn in which they were handed out, so that whoever
 * asked has had the chance to watch.
 *
 * Keys: a query has one table from keys to entries. The arguments alone are the key of the common case,
 * which is one look-up. Identity and arguments are JSON texts, which are not empty and contain no NUL, and
 * the journal, which a client could forge, comes last: no two keys can be mistaken for each other.
 */
import { assert } from "../assert.ts";
import type { AppliedCommit } from "../committer/protocol.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import type { Environment } from "../environment.ts";
import type { FunctionFailure } from "../errors.ts";
import type { UserIdentity } from "../isolate/protocol.ts";
import type { DeployedFunction } from "./function_table.ts";
import { QueryEntry, type QueryExecution, type Watcher } from "./query_entry.ts";
import type { Subscriptions } from "./subscriptions.ts";

/** A result that depends on the time answers new requests this long, in milliseconds. */
const observedTimeAgeMaxMs = 17_000;
/** How soon a failure whose read set is unknown is tried again, in milliseconds; earlier only by a new deployment. */
const unknownReadsRetryMs = 5_000;

/** What is being asked for: these four decide the result at any one timestamp. */
export interface CacheRequest {
  readonly query: DeployedFunction;
  /** JSON text. */
  readonly args: string;
  readonly journal: string | null;
  readonly identity: UserIdentity | null;
}

/** A query that is being run for everybody who asks meanwhile. */
interface SharedRun {
  /** The snapshot will be at or after this. */
  readonly from: Timestamp;
  /** Of the caller for whom it was begun, as a key. */
  readonly identity: string;
  readonly entry: Promise<QueryEntry>;
}

export interface QueryCacheOptions {
  readonly environment: Environment;
  readonly subscriptions: Subscriptions<QueryEntry>;
  /** Config.queryCacheBytesMax. */
  readonly bytesMax: number;
}

export class QueryCache {
  readonly #environment: Environment;
  readonly #subscriptions: Subscriptions<QueryEntry>;
  readonly #bytesMax: number;
  readonly #tables = new Map<DeployedFunction, Map<string, QueryEntry>>();
  /** Every entry that is followed. */
  readonly #entries = new Set<QueryEntry>();
  #bytes = 0;
  /** Those that nobody watches, in the order in which they may be dropped. */
  readonly #unwatched = new Set<QueryEntry>();
  /** Those that nobody watches and that can answer no new request. */
  readonly #useless = new Set<QueryEntry>();
  readonly #running = new Map<DeployedFunction, Map<string, SharedRun>>();
  /** Queries that have looked at the identity: their runs are shared only within one. */
  readonly #looksAtIdentity = new WeakSet<DeployedFunction>();
  /** How often code or environment variables were replaced. */
  #generation = 0;
  #generationBegan: Timestamp = zeroTimestamp;
  #sweepIsPlanned = false;
  #retryIsPlanned = false;

  constructor(options: QueryCacheOptions) {
    this.#environment = options.environment;
    this.#subscriptions = options.subscriptions;
    this.#bytesMax = options.bytesMax;
  }

  /** The entry that answers a new request now. */
  find(request: CacheRequest): QueryEntry | undefined {
    const table = this.#tables.get(request.query);
    if (table === undefined) return undefined;
    const entry = table.get(keyOf(request, null)) ??
      (this.#looksAtIdentity.has(request.query)
        ? table.get(keyOf(request, identityKey(request.identity)))
        : undefined);
    if (entry === undefined || !this.#isFresh(entry)) return undefined;
    entry.wasUsed = true;
    return entry;
  }

  /**
   * An entry that is right at some moment from `from` on. `run` is called if nobody is running the same
   * query already; its rejection reaches everybody who waits for it.
   */
  get(
    request: CacheRequest,
    from: Timestamp,
    run: () => Promise<QueryExecution>,
  ): Promise<QueryEntry> {
    const running = this.#joinable(request);
    const identity = identityKey(request.identity);
    // Told by one commit, many followers ask at once: all but the first wait for one promise and allocate nothing.
    return running !== undefined && running.from >= from && running.identity === identity
      ? running.entry
      : this.#getInRounds(request, from, identity, run);
  }

  async #getInRounds(
    request: CacheRequest,
    from: Timestamp,
    identity: string,
    run: () => Promise<QueryExecution>,
  ): Promise<QueryEntry> {
    // At most three rounds: a run that began too early, one that turned out to be another user's, our own.
    for (;;) {
      const entry = this.find(request) ??
        await (this.#joinable(request)?.entry ?? this.#start(request, run));
      if (entry.answers(from, identity)) return entry;
    }
  }

  /** Enters a failure that came about without running anything, such as "no such function". */
  enterFailure(failure: FunctionFailure): QueryEntry {
    return this.#follow(
      new QueryEntry(null, null, {
        result: { ok: false, failure, logLines: [] },
        timestamp: this.#subscriptions.applied,
        journal: null,
        reads: [],
        observedIdentity: false,
        observedVariables: [],
        observedTimeMs: null,
      }),
    );
  }

  /** Ends with the returned function. */
  watch(entry: QueryEntry, onInvalidated: () => void): () => void {
    if (entry.invalidatedAt !== null) {
      onInvalidated();
      return () => {};
    }
    const watcher: Watcher = { onInvalidated };
    entry.watchers.add(watcher);
    this.#unwatched.delete(entry);
    return () => {
      if (entry.watchers.delete(watcher)) this.#afterRelease(entry);
    };
  }

  apply(commits: readonly AppliedCommit[]): void {
    this.#end(this.#subscriptions.apply(commits));
  }

  /** Ends every entry, runs on their way included: from now on other code is live. */
  invalidateAll(): void {
    this.#beginGeneration(() => true);
  }

  /** Ends the entries of queries that read one of these environment variables, and runs on their way. */
  invalidateReadersOf(variables: ReadonlySet<string>): void {
    this.#beginGeneration(({ observedVariables }) =>
      observedVariables === null || observedVariables.some((name) => variables.has(name))
    );
  }

  #beginGeneration(isOver: (entry: QueryEntry) => boolean): void {
    this.#generation++;
    this.#generationBegan = this.#subscriptions.applied;
    // Who asks from now on must not get what began before.
    this.#running.clear();
    const ended = [...this.#entries].filter(isOver);
    for (const entry of ended) {
      entry.invalidatedAt = this.#generationBegan;
      this.#subscriptions.remove(entry);
    }
    this.#end(ended);
  }

  #joinable(request: CacheRequest): SharedRun | undefined {
    return this.#running.get(request.query)?.get(this.#runKey(request));
  }

  #start(request: CacheRequest, run: () => Promise<QueryExecution>): Promise<QueryEntry> {
    let running = this.#running.get(request.query);
    if (running === undefined) this.#running.set(request.query, running = new Map());
    const key = this.#runKey(request);
    const from = this.#subscriptions.applied;
    const entry = this.#run(request, run).finally(() => {
      running.delete(key);
      if (running.size > 0 || this.#running.get(request.query) !== running) return;
      this.#running.delete(request.query);
    });
    const identity = identityKey(request.identity);
    running.set(key, { from, identity, entry });
    return entry;
  }

  #runKey(request: CacheRequest): string {
    const isOwn = this.#looksAtIdentity.has(request.query);
    return keyOf(request, isOwn ? identityKey(request.identity) : null);
  }

  async #run(request: CacheRequest, run: () => Promise<QueryExecution>): Promise<QueryEntry> {
    const registration = this.#subscriptions.begin();
    const generation = this.#generation;
    try {
      const execution = await run();
      assert(execution.timestamp >= registration.from, "a run sees every commit before it");
      await this.#subscriptions.reached(execution.timestamp);
      return this.#enter(request, execution, generation);
    } finally {
      this.#subscriptions.end(registration);
    }
  }

  #enter(request: CacheRequest, execution: QueryExecution, generation: number): QueryEntry {
    const { observedIdentity } = execution;
    const identity = observedIdentity ? identityKey(request.identity) : null;
    if (observedIdentity) this.#looksAtIdentity.add(request.query);
    const keyCharacters = keyOf(request, identity).length;
    const entry = new QueryEntry(request.query, identity, execution, keyCharacters);
    if (generation === this.#generation) this.#subscriptions.add(entry);
    else entry.invalidatedAt = this.#generationBegan;
    if (entry.invalidatedAt !== null) return entry;
    if (entry.result.ok) this.#store(request, entry);
    if (!entry.readsAreKnown) this.#planRetry();
    return this.#follow(entry);
  }

  #follow(entry: QueryEntry): QueryEntry {
    this.#entries.add(entry);
    this.#bytes += entry.bytes;
    this.#afterRelease(entry);
    return entry;
  }

  /** Under the journal it was asked with, and under the one it will be asked with next time. */
  #store(request: CacheRequest, entry: QueryEntry): void {
    const asked = keyOf(request, entry.identity);
    const next = keyOf({ ...request, journal: entry.journal }, entry.identity);
    entry.keys = asked === next ? [asked] : [asked, next];
    let table = this.#tables.get(request.query);
    if (table === undefined) this.#tables.set(request.query, table = new Map());
    for (const key of entry.keys) {
      const replaced = table.get(key);
      table.set(key, entry);
      if (replaced === undefined) continue;
      replaced.keys = replaced.keys.filter((other) => other !== key);
      this.#afterRelease(replaced);
    }
  }

  #isFresh(entry: QueryEntry): boolean {
    if (entry.observedTimeMs === null) return true;
    const ageMs = this.#environment.nowMs() - entry.observedTimeMs;
    return ageMs >= 0 && ageMs <= observedTimeAgeMaxMs;
  }

  /** Takes entries that are marked as invalidated out of every table, then tells their watchers. */
  #end(entries: readonly QueryEntry[]): void {
    for (const entry of entries) this.#forget(entry);
    for (const { watchers } of entries) {
      const told = [...watchers];
      watchers.clear();
      for (const { onInvalidated } of told) onInvalidated();
    }
  }

  #forget(entry: QueryEntry): void {
    this.#entries.delete(entry);
    this.#unwatched.delete(entry);
    this.#useless.delete(entry);
    this.#bytes -= entry.bytes;
    if (entry.query === null || entry.keys.length === 0) return;
    const table = this.#tables.get(entry.query)!;
    for (const key of entry.keys) table.delete(key);
    if (table.size === 0) this.#tables.delete(entry.query);
    entry.keys = [];
  }

  #drop(entry: QueryEntry): void {
    entry.invalidatedAt = (this.#subscriptions.applied + 1) as Timestamp;
    this.#subscriptions.remove(entry);
    this.#forget(entry);
  }

  /** To be called when an entry has lost a watcher or a key, and when it is new. */
  #afterRelease(entry: QueryEntry): void {
    if (entry.watchers.size > 0 || entry.invalidatedAt !== null) return;
    this.#unwatched.add(entry);
    if (entry.keys.length === 0) this.#useless.add(entry);
    if (this.#useless.size > 0 || this.#bytes > this.#bytesMax) this.#planSweep();
  }

  #planSweep(): void {
    if (this.#sweepIsPlanned) return;
    this.#sweepIsPlanned = true;
    this.#environment.setTimer(0, () => {
      this.#sweepIsPlanned = false;
      this.#sweep();
    });
  }

  #sweep(): void {
    for (const entry of this.#useless) if (entry.watchers.size === 0) this.#drop(entry);
    this.#useless.clear();
    // Least recently used, to a good approximation: who was used since the last sweep is passed over once.
    while (this.#bytes > this.#bytesMax) {
      const [oldest] = this.#unwatched;
      if (oldest === undefined) return;
      if (oldest.wasUsed) {
        oldest.wasUsed = false;
        this.#unwatched.delete(oldest);
        this.#unwatched.add(oldest);
      } else this.#drop(oldest);
    }
  }

  #planRetry(): void {
    if (this.#retryIsPlanned) return;
    this.#retryIsPlanned = true;
    this.#environment.setTimer(unknownReadsRetryMs, () => {
      this.#retryIsPlanned = false;
      const ended = [...this.#entries].filter(({ readsAreKnown }) => !readsAreKnown);
      for (const entry of ended) {
        entry.invalidatedAt = (this.#subscriptions.applied + 1) as Timestamp;
      }
      this.#end(ended);
    });
  }
}

function keyOf({ args, journal }: CacheRequest, identity: string | null): string {
  if (identity === null && journal === null) return args;
  const rest = journal === null ? args : `${args}\0${journal}`;
  return `${identity ?? ""}\0${rest}`;
}

const identityKeys = new WeakMap<UserIdentity, string>();

function identityKey(identity: UserIdentity | null): string {
  if (identity === null) return "null";
  let key = identityKeys.get(identity);
  if (key === undefined) identityKeys.set(identity, key = JSON.stringify(identity));
  return key;
}
