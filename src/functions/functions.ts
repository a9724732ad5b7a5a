/**
 * Running user functions, as the edges of the server (HTTP, sync, scheduler, deploy) see it.
 * `runner.ts` is the implementation.
 */
import type { FunctionFailure } from "../errors.ts";
import type { ComponentId } from "../database/component.ts";
import type { CronRun } from "../database/cron_jobs.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { StreamedBody } from "../isolate/isolates.ts";
import type { HttpActionResponse, UserIdentity } from "../isolate/protocol.ts";
import type { CallOrigin } from "../logs/log_entry.ts";

/** Who calls. */
export type Caller =
  | { readonly kind: "anonymous" }
  | {
    readonly kind: "user";
    readonly identity: UserIdentity;
    /** Seconds since the epoch. */
    readonly expiresAt: number | null;
    readonly token?: string;
  }
  | { readonly kind: "admin"; readonly impersonating: UserIdentity | null }
  /** The server itself: scheduler, nested calls of actions (identity and token of the outer caller). */
  | {
    readonly kind: "system";
    readonly identity: UserIdentity | null;
    readonly token?: string;
  };

export interface CallContext {
  readonly caller: Caller;
  /** 16 hex digits, or what the client sent as Convex-Request-Id. */
  readonly requestId: string;
  readonly origin: CallOrigin;
  /**
   * Whose turn it takes when calls wait: a client's address, or a connection of a client on this machine. Absent: the
   * server's own.
   */
  readonly client?: string;
  /** Component to call into, as the caller names it; absent or empty: the app itself. */
  readonly componentPath?: string;
  /** Component to call into, of a call that the server makes itself; goes before `componentPath`. */
  readonly component?: ComponentId;
  /** The scheduled job on whose behalf the call is made. */
  readonly scheduledFunctionId?: string;
  /** The run of a cron job that the call is; mutations only. */
  readonly cronRun?: CronRun;
  /** Execution id of the action that makes the call, for logs. */
  readonly parentExecutionId?: string;
}

/** How a call ended; `value` is JSON text in convex_encoded_json. */
export type FunctionResult =
  | { readonly ok: true; readonly value: string; readonly logLines: readonly string[] }
  | { readonly ok: false; readonly failure: FunctionFailure; readonly logLines: readonly string[] };

/**
 * A query's result that is kept valid: shared by every caller and subscriber with the same key.
 * Identity by reference: an equal reference means nothing changed.
 */
export interface QueryResult {
  readonly result: FunctionResult;
  /** The snapshot it was computed at; still right at every later timestamp before `invalidatedAt`. */
  readonly timestamp: Timestamp;
  /** Timestamp of the first applied commit that touched what it read, once there is one. */
  readonly invalidatedAt: Timestamp | null;
  readonly journal: string | null;
}

export interface QueryRequest {
  /** As the client wrote it: `dir/mod:fn`, `dir/mod`, `dir/mod.js:fn`. */
  readonly path: string;
  /** JSON text of the arguments array `[{…}]`, convex_encoded_json. */
  readonly args: string;
  readonly journal: string | null;
  readonly context: CallContext;
}

export interface Functions {
  /** The answer if it is cached, valid and durable now; else undefined. Never runs anything. */
  cachedQuery(request: QueryRequest): QueryResult | undefined;
  /** Runs or reuses a query at the newest visible snapshot (at or after `notBefore`). Not yet durable: see `durable`. */
  query(request: QueryRequest, notBefore?: Timestamp): Promise<QueryResult>;
  /**
   * A query's result at `timestamp`, which must be applied; undefined when the state of that time is not kept any
   * more. Not yet durable.
   */
  queryAt(request: QueryRequest, timestamp: Timestamp): Promise<FunctionResult | undefined>;
  /** Resolves when nothing up to `timestamp` can be lost any more; await it before a result leaves the process. */
  durable(timestamp: Timestamp): Promise<void>;
  /** Newest timestamp that subscriptions have been told of. */
  readonly appliedTimestamp: Timestamp;
  /**
   * Keeps `result` from being dropped and calls `onInvalidated` (once) in the turn in which a commit touches its
   * read set, or at once if one already has. The returned function ends it.
   */
  watch(result: QueryResult, onInvalidated: () => void): () => void;
  /** Commits and waits until durable. */
  mutation(
    path: string,
    args: string,
    context: CallContext,
    session?: { readonly sessionId: string; readonly requestId: number },
    /** Told the commit timestamp as soon as it is decided, before it is durable. */
    onCommitted?: (timestamp: Timestamp) => void,
  ): Promise<FunctionResult & { readonly timestamp?: Timestamp }>;
  action(path: string, args: string, context: CallContext): Promise<FunctionResult>;
  /** Any kind, found out by path: `/api/function`, `hull run`, scheduled functions. */
  any(path: string, args: string, context: CallContext): Promise<FunctionResult>;
  httpAction(request: HttpRequestData, context: CallContext): Promise<HttpResult>;
}

/** `Functions` for those who follow several queries at one timestamp. */
export interface FollowableFunctions extends Functions {
  /** Newest timestamp that is on disk; never ahead of `appliedTimestamp`. */
  readonly durableTimestamp: Timestamp;
  /**
   * Runs `work` while no mutation commits, or the beginning of it if it takes long: for a reader that needs
   * several results of one timestamp and is slower than the writers.
   */
  whileCommitsWait<T>(work: () => Promise<T>): Promise<T>;
}

export interface HttpRequestData {
  readonly method: string;
  readonly url: string;
  readonly headers: readonly (readonly [string, string])[];
  /** A source is read while the action runs. */
  readonly body: Uint8Array | BodySource;
  /** Aborted when the client goes away. */
  readonly gone: AbortSignal;
  /** Verification error of the Authorization header, thrown by getUserIdentity only. */
  readonly identityError?: string;
}

export interface BodySource {
  /** The next piece; empty at the end. */
  read(): Promise<Uint8Array>;
  /** Nobody reads on. */
  cancel(): void;
}

export type HttpResult =
  | {
    readonly ok: true;
    readonly response: HttpActionResponse;
    readonly body: Uint8Array | StreamedBody;
  }
  /** No route, or no http.js: the plain text of the 404. */
  | { readonly ok: false; readonly notFound: string }
  | { readonly ok: false; readonly failure: FunctionFailure };
