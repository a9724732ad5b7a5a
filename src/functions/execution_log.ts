/** What happened to each execution, for the log store. */
import type { Environment } from "../environment.ts";
import type { FunctionFailure } from "../errors.ts";
import type { ExecutionUsage, FunctionKind, LogLine } from "../isolate/protocol.ts";
import type { ServerMetrics } from "../metrics/server_metrics.ts";
import type { IdentityType } from "../logs/log_entry.ts";
import type { LogStore } from "../logs/log_store.ts";
import { failureText } from "./failure_text.ts";
import type { CallContext, Caller } from "./functions.ts";
import type { RequestIds } from "./request_id.ts";

/** The function as logs name it. */
export interface Subject {
  readonly kind: FunctionKind;
  /** `messages:list`, or `GET /x`. */
  readonly path: string;
  readonly environment: "isolate" | "node";
  /** Names from the app downwards; empty for the app. */
  readonly componentPath: string;
}

export interface Completion {
  readonly logLines: readonly LogLine[];
  readonly usage: ExecutionUsage | null;
  readonly failure: FunctionFailure | null;
  /** Size of the result of one that succeeded. */
  readonly returnBytes?: number;
  /** HTTP actions. */
  readonly status?: number;
}

export class ExecutionLog {
  readonly #store: LogStore;
  readonly #metrics: ServerMetrics;
  readonly #environment: Environment;
  /** Execution ids count up behind this, which tells processes apart. */
  readonly #idPrefix: string;
  #idsGiven = 0;

  constructor(
    store: LogStore,
    metrics: ServerMetrics,
    environment: Environment,
    ids: RequestIds,
  ) {
    this.#store = store;
    this.#metrics = metrics;
    this.#environment = environment;
    this.#idPrefix = ids.requestId();
  }

  begin(subject: Subject, context: CallContext): Execution {
    return this.#execution(subject, context);
  }

  /** A query answered from the cache; worth an entry only while somebody reads along. */
  cached(subject: Subject, context: CallContext): void {
    this.#metrics.cacheHits.add();
    if (!this.#store.isFollowed) return;
    this.#execution(subject, context).completeCached();
  }

  #execution(subject: Subject, context: CallContext): Execution {
    return new Execution(
      this.#store,
      this.#metrics,
      this.#environment,
      subject,
      context,
      this.#nextId(),
    );
  }

  #nextId(): string {
    return `${this.#idPrefix}-${(++this.#idsGiven).toString(16)}`;
  }
}

/** One execution, from the moment it is made. */
export class Execution {
  readonly id: string;
  readonly #store: LogStore;
  readonly #metrics: ServerMetrics;
  readonly #environment: Environment;
  readonly #subject: Subject;
  readonly #context: CallContext;
  readonly #startedMs: number;

  constructor(
    store: LogStore,
    metrics: ServerMetrics,
    environment: Environment,
    subject: Subject,
    context: CallContext,
    id: string,
  ) {
    this.id = id;
    this.#store = store;
    this.#metrics = metrics;
    this.#environment = environment;
    this.#subject = subject;
    this.#context = context;
    this.#startedMs = environment.monotonicMs();
  }

  /** Lines that an action printed, as they come. */
  progress(logLines: readonly LogLine[]): void {
    const { requestId, parentExecutionId } = this.#context;
    this.#store.append({
      kind: "progress",
      functionKind: this.#subject.kind,
      identifier: this.#subject.path,
      ...componentOf(this.#subject),
      logLines,
      timestampMs: this.#environment.nowMs(),
      requestId,
      executionId: this.id,
      ...(parentExecutionId === undefined ? {} : { parentExecutionId }),
    });
  }

  complete(completion: Completion): void {
    this.#append(completion, false);
  }

  /** Ended by an error that is none of the function's. */
  fail(message: string): void {
    this.complete({ logLines: [], usage: null, failure: { message, frames: [] } });
  }

  completeCached(): void {
    this.#append({ logLines: [], usage: null, failure: null }, true);
  }

  #append({ logLines, usage, failure, returnBytes, status }: Completion, cached: boolean): void {
    const { caller, origin, requestId, parentExecutionId } = this.#context;
    const durationMs = this.#environment.monotonicMs() - this.#startedMs;
    if (!cached) this.#metrics.called(this.#subject.kind, durationMs, failure === null);
    this.#store.append({
      kind: "completion",
      functionKind: this.#subject.kind,
      identifier: this.#subject.path,
      ...componentOf(this.#subject),
      environment: this.#subject.environment,
      logLines,
      timestampMs: this.#environment.nowMs(),
      cached,
      origin,
      identityType: identityType(caller),
      requestId,
      executionId: this.id,
      ...(parentExecutionId === undefined ? {} : { parentExecutionId }),
      durationMs,
      usage,
      ...(returnBytes === undefined ? {} : { returnBytes }),
      ...(status === undefined ? {} : { status }),
      error: failure === null ? null : failureText(failure).trimEnd(),
    });
  }
}

function componentOf({ componentPath }: Subject): { readonly componentPath?: string } {
  return componentPath === "" ? {} : { componentPath };
}

function identityType(caller: Caller): IdentityType {
  switch (caller.kind) {
    case "admin":
      return caller.impersonating === null ? "admin" : "user";
    case "system":
      return caller.identity === null ? "system" : "user";
    default:
      return caller.kind;
  }
}
