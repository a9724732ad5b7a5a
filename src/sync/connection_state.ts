/**
 * What one socket has been asked for and has been told (sync-protocol 6, 7): pure, no I/O and no time.
 *
 *     ModifyQuerySet, Authenticate ──► received        the newest that the client wants
 *                                         │ begin()    captured when a computation starts
 *                                         ▼
 *                                     computation      results are brought to one timestamp
 *                                         │ finish()
 *                                         ▼
 *                                      current         the end of the last transition sent
 */
import { assert } from "../assert.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import { FollowedQuery } from "../functions/followed_queries.ts";
import type { FunctionResult } from "../functions/functions.ts";
import type { AddQuery, ModifyQuerySet, RemoveQuery, StateVersion } from "./protocol.ts";

/** Queries of one socket; each costs memory and runs of its own. */
const queriesMax = 10_000;

/** A query of the client's set. */
export class LiveQuery extends FollowedQuery {
  /** What the client was told last, and whether its details were hidden. */
  sent: FunctionResult | undefined;
  sentRedacted = false;

  constructor({ udfPath, args, componentPath, journal }: AddQuery) {
    super(udfPath, args, componentPath, journal);
  }
}

/** What a computation was begun with. */
export interface Computation {
  readonly querySet: number;
  readonly identity: number;
  /** Ids to report as removed. */
  readonly removed: readonly number[];
}

export class ConnectionState {
  #received = { querySet: 0, identity: 0 };
  #current: StateVersion = { querySet: 0, identity: 0, ts: zeroTimestamp };
  #pending: (AddQuery | RemoveQuery)[] = [];
  /** Of the results that the live queries hold. */
  #resultsIdentity = 0;
  #queries = new Map<number, LiveQuery>();

  /** End of the last transition. */
  get current(): StateVersion {
    return this.#current;
  }

  /** Counts the accepted `Authenticate` messages. */
  get identityVersion(): number {
    return this.#received.identity;
  }

  /** By query id. */
  get queries(): ReadonlyMap<number, LiveQuery> {
    return this.#queries;
  }

  /** The client waits to see its newest query set or identity confirmed. */
  get isBehind(): boolean {
    return this.#received.querySet !== this.#current.querySet ||
      this.#received.identity !== this.#current.identity;
  }

  /** Whether a commit has overtaken a result. */
  get hasInvalidResults(): boolean {
    for (const { result } of this.#queries.values()) {
      if (result !== undefined && result.invalidatedAt !== null) return true;
    }
    return false;
  }

  /** @throws RequestError when the versions do not follow. */
  modify({ baseVersion, newVersion, modifications }: ModifyQuerySet): void {
    const { querySet } = this.#received;
    if (baseVersion !== querySet) {
      throw new RequestError(
        "badRequest",
        "BaseVersionMismatch",
        `Base version ${baseVersion} passed up doesn't match the current version ${querySet}`,
      );
    }
    if (newVersion <= baseVersion) throw violation("a query set version that does not grow");
    if (this.#queries.size + this.#pending.length + modifications.length > 2 * queriesMax) {
      throw tooManyQueries();
    }
    this.#received.querySet = newVersion;
    for (const modification of modifications) this.#pending.push(modification);
  }

  /** @throws RequestError unless `baseVersion` is the newest accepted identity. */
  requireIdentityVersion(baseVersion: number): void {
    if (baseVersion !== this.#received.identity) {
      throw violation("an identity based on another version");
    }
  }

  /** Another identity was accepted. */
  identityChanged(): void {
    this.#received.identity++;
  }

  /**
   * Takes in what the client asked for until now.
   * @throws RequestError when a query is added twice, one is removed that is not there, or there are too many.
   */
  begin(): Computation {
    const removed = this.#applyPending();
    const { querySet, identity } = this.#received;
    if (identity !== this.#resultsIdentity) {
      for (const query of this.#queries.values()) query.forget();
      this.#resultsIdentity = identity;
    }
    return { querySet, identity, removed };
  }

  /** A transition to what was computed is being sent. */
  finish({ querySet, identity }: Computation, ts: Timestamp): void {
    const current = this.#current;
    assert(
      querySet >= current.querySet && identity >= current.identity && ts >= current.ts,
      "a transition does not go back",
    );
    this.#current = { querySet, identity, ts };
  }

  /** The socket is gone. */
  stop(): void {
    for (const query of this.#queries.values()) query.stop();
    this.#queries.clear();
    this.#pending = [];
  }

  #applyPending(): number[] {
    const removed = new Set<number>();
    for (const modification of this.#pending.splice(0)) {
      const { type, queryId } = modification;
      const live = this.#queries.get(queryId);
      if (type === "Remove") {
        if (live === undefined) throw violation("the removal of an unknown query");
        live.stop();
        this.#queries.delete(queryId);
        removed.add(queryId);
      } else {
        if (live !== undefined) throw violation("a query id that is in use");
        this.#queries.set(queryId, new LiveQuery(modification));
        removed.delete(queryId);
      }
    }
    if (this.#queries.size > queriesMax) throw tooManyQueries();
    return [...removed];
  }
}

function tooManyQueries(): RequestError {
  return new RequestError(
    "rateLimited",
    "TooManyQueries",
    `Only up to ${queriesMax} queries allowed on a single websocket.`,
  );
}

/** A client that breaks the protocol in a way that reconnecting may cure (sync-protocol 15: 1011). */
function violation(what: string): RequestError {
  return new RequestError("internal", "InternalServerError", `The client sent ${what}`);
}

/** Whether a client that was told `sent` has nothing to learn from `result` (sync-protocol 51). */
export function isSameResult(sent: FunctionResult | undefined, result: FunctionResult): boolean {
  if (sent === undefined) return false;
  return sent === result ||
    (sameOutcome(sent, result) && sameTexts(sent.logLines, result.logLines));
}

function sameOutcome(a: FunctionResult, b: FunctionResult): boolean {
  if (a.ok) return b.ok && a.value === b.value;
  return !b.ok && a.failure.message === b.failure.message && a.failure.data === b.failure.data &&
    sameTexts(a.failure.frames, b.failure.frames);
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, i) => text === b[i]);
}
