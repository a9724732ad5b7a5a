/**
 * Mutations: run, commit, and run again after a conflict (semantics 11).
 *
 *   1. A request that was already answered, or is being answered, gets that answer (sync-protocol 83).
 *   2. The function runs on a fresh snapshot. If it fails, that is the result and nothing is left of it,
 *      unless it failed on writes that were undecided and then did not commit: then it starts again.
 *   3. Its writes go to the committer. After a conflict it starts again at 2, on its lane (lanes.ts).
 *   4. When the commit is on disk, and not before, the result is returned.
 */
import { assert } from "../assert.ts";
import type { CommitOutcome, CommitRequest, CommitterClient } from "../committer/protocol.ts";
import type { Config } from "../config.ts";
import { resolveJson } from "../database/commit_timestamps.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import type { Environment } from "../environment.ts";
import { errorMessage, FunctionError, RequestError } from "../errors.ts";
import { debugName } from "../isolate/function_address.ts";
import type { CallResult } from "../isolate/isolates.ts";
import type { ServerMetrics } from "../metrics/server_metrics.ts";
import type { SessionRecord, SnapshotReader } from "../persistence/persistence.ts";
import type { CommitGate } from "./commit_gate.ts";
import type { DeploymentLeases } from "./deployment_leases.ts";
import type { Execution, ExecutionLog } from "./execution_log.ts";
import { completionOf, failed, type FunctionCalls, functionResult } from "./function_calls.ts";
import type { CallContext, FunctionResult } from "./functions.ts";
import { Lanes } from "./lanes.ts";
import type { DeployedFunction } from "./function_table.ts";
import type { Modules } from "./modules.ts";

export type MutationResult = FunctionResult & { readonly timestamp?: Timestamp };

/** Names one request of one client, however often it is sent. */
export interface SessionRequest {
  readonly sessionId: string;
  readonly requestId: number;
}

type OnCommitted = (timestamp: Timestamp) => void;

export interface MutationRunnerParts {
  readonly modules: Modules;
  readonly isolates: DeploymentLeases;
  readonly committer: CommitterClient;
  readonly gate: CommitGate;
  readonly sessions: Pick<SnapshotReader, "getSessionRecord">;
  readonly calls: FunctionCalls;
  readonly log: ExecutionLog;
  readonly metrics: Pick<ServerMetrics, "conflicts" | "retries">;
  readonly environment: Environment;
  readonly config: Config;
}

interface Mutation {
  readonly path: string;
  readonly args: string;
  readonly context: CallContext;
  readonly session: SessionRequest | undefined;
  readonly onCommitted: OnCommitted;
}

type Attempt =
  | { readonly kind: "done"; readonly result: MutationResult }
  | { readonly kind: "conflict"; readonly error: RequestError; readonly execution: Execution };

type Conflict = CommitOutcome & { readonly kind: "conflict" };
type Failure = CallResult["outcome"] & { readonly kind: "failure" };

/** The back-off before the second retry; four times that before each further one, in milliseconds. */
const backOffMs = 5;
const backOffMsMax = 2_000;

export class MutationRunner {
  readonly #parts: MutationRunnerParts;
  readonly #lanes: Lanes;
  readonly #inFlight = new Map<string, InFlight>();

  constructor(parts: MutationRunnerParts) {
    this.#parts = parts;
    this.#lanes = new Lanes(parts.environment);
  }

  /** See `Functions.mutation`. */
  run(
    path: string,
    args: string,
    context: CallContext,
    session?: SessionRequest,
    onCommitted: OnCommitted = () => {},
  ): Promise<MutationResult> {
    if (session === undefined) {
      return this.#perform({ path, args, context, session, onCommitted });
    }
    const key = `${session.sessionId}|${session.requestId}`;
    let inFlight = this.#inFlight.get(key);
    if (inFlight === undefined) {
      inFlight = new InFlight((onCommitted) =>
        this.#performOnce({ path, args, context, session, onCommitted })
          .finally(() => this.#inFlight.delete(key))
      );
      this.#inFlight.set(key, inFlight);
    }
    inFlight.whenCommitted(onCommitted);
    return inFlight.result;
  }

  async #performOnce(
    mutation: Mutation & { readonly session: SessionRequest },
  ): Promise<MutationResult> {
    const { sessionId, requestId } = mutation.session;
    const record = this.#parts.sessions.getSessionRecord(sessionId, requestId);
    return record === undefined
      ? await this.#perform(mutation)
      : await this.#replay(record, mutation.onCommitted);
  }

  async #perform(mutation: Mutation): Promise<MutationResult> {
    const { environment, config } = this.#parts;
    for (let retries = 0;; retries++) {
      let target: DeployedFunction;
      try {
        target = this.#parts.modules.resolve(mutation.path, "mutation", mutation.context);
      } catch (error) {
        if (error instanceof FunctionError) return failed(error.failure);
        throw error;
      }
      const attempt = await this.#attempt(target, mutation);
      if (attempt.kind === "done") return attempt.result;
      if (retries === config.mutationRetriesMax) {
        attempt.execution.fail(attempt.error.message);
        throw attempt.error;
      }
      this.#parts.metrics.retries.add();
      // What it conflicted with is visible by now, so the first retry need not wait.
      if (retries > 0) {
        const delayMs = Math.min(backOffMs * 4 ** (retries - 1), backOffMsMax);
        await sleep(environment, delayMs * (0.5 + environment.random() / 2));
      }
    }
  }

  async #attempt(target: DeployedFunction, mutation: Mutation): Promise<Attempt> {
    const { isolates, calls, log } = this.#parts;
    const execution = log.begin(target, mutation.context);
    try {
      const call = calls.of(target, mutation.context);
      const answer = await isolates.runTransaction(call, mutation.args, {
        lane: this.#lanes.laneOf(target),
        client: mutation.context.client,
      });
      return answer.outcome.kind === "failure"
        ? await this.#confirmFailure(target, answer.outcome, answer, execution)
        : await this.#commit(target, mutation, answer, execution);
    } catch (error) {
      execution.fail(errorMessage(error));
      if (error instanceof FunctionError) return { kind: "done", result: failed(error.failure) };
      throw error;
    }
  }

  /** A failure tells what the function read, so it waits for that to be decided and on disk. */
  async #confirmFailure(
    target: DeployedFunction,
    { commit, snapshot }: Failure,
    answer: CallResult,
    execution: Execution,
  ): Promise<Attempt> {
    let readThrough = snapshot ?? zeroTimestamp;
    if (commit !== undefined) {
      const outcome = await this.#decide(commit);
      if (outcome.kind === "conflict") return this.#conflict(target, outcome, execution);
      if (outcome.kind === "committed") readThrough = outcome.timestamp;
    }
    const result = complete(execution, answer);
    await this.#parts.committer.durable(readThrough);
    return { kind: "done", result };
  }

  async #commit(
    target: DeployedFunction,
    mutation: Mutation,
    answer: CallResult,
    execution: Execution,
  ): Promise<Attempt> {
    const { isolates, committer } = this.#parts;
    assert(answer.outcome.kind === "success", "only successes are committed");
    const { commit: writes } = answer.outcome;
    assert(writes !== undefined, "a mutation says what it read and wrote");

    const result = functionResult(answer);
    assert(result.ok, "a success has a value");
    if (writes.dependsOn.length > 0) this.#lanes.builtOnUndecided(target);
    const outcome = await this.#decide({
      ...writes,
      ...(mutation.session === undefined ? {} : {
        session: {
          ...mutation.session,
          result: result.value,
          logLines: JSON.stringify(result.logLines),
        },
      }),
    });
    if (outcome.kind !== "committed" && writes.origin !== undefined) {
      isolates.aborted(writes.origin);
    }
    switch (outcome.kind) {
      case "committed": {
        mutation.onCommitted(outcome.timestamp);
        complete(execution, answer);
        await committer.durable(outcome.timestamp);
        const value = resolveJson(result.value, outcome.timestamp);
        return { kind: "done", result: { ...result, value, timestamp: outcome.timestamp } };
      }
      case "replayed":
        return { kind: "done", result: await this.#replay(outcome.record, mutation.onCommitted) };
      case "conflict":
        return this.#conflict(target, outcome, execution);
    }
  }

  #conflict(target: DeployedFunction, outcome: Conflict, execution: Execution): Attempt {
    this.#parts.metrics.conflicts.add();
    this.#lanes.conflicted(target, outcome.table);
    return { kind: "conflict", error: conflictError(target, outcome), execution };
  }

  /** A transaction that wrote nothing and leaves no record is right at its snapshot; nothing can conflict. */
  async #decide(request: CommitRequest): Promise<CommitOutcome> {
    const { committer, gate, isolates } = this.#parts;
    const { writes, origin } = request;
    const isEmpty = writes.documents.length === 0 && writes.tables.length === 0 &&
      request.session === undefined && request.dependsOn.length === 0;
    if (isEmpty) {
      if (origin !== undefined) isolates.aborted(origin);
      return { kind: "committed", timestamp: request.snapshot };
    }
    if (gate.opened !== undefined) await gate.opened;
    return await committer.commit(request);
  }

  async #replay(record: SessionRecord, onCommitted: OnCommitted): Promise<MutationResult> {
    const { timestamp } = record;
    onCommitted(timestamp);
    await this.#parts.committer.durable(timestamp);
    return {
      ok: true,
      value: resolveJson(record.result, timestamp),
      logLines: JSON.parse(record.logLines),
      timestamp,
    };
  }
}

/** A session request on its way, and everybody who waits for it. */
class InFlight {
  readonly result: Promise<MutationResult>;
  readonly #listeners: OnCommitted[] = [];
  #committedAt: Timestamp | null = null;

  constructor(perform: (onCommitted: OnCommitted) => Promise<MutationResult>) {
    this.result = perform((timestamp) => {
      this.#committedAt = timestamp;
      for (const listener of this.#listeners) listener(timestamp);
    });
  }

  /** Calls `listener` as soon as the commit is decided. */
  whenCommitted(listener: OnCommitted): void {
    if (this.#committedAt === null) this.#listeners.push(listener);
    else listener(this.#committedAt);
  }
}

function complete(execution: Execution, answer: CallResult): FunctionResult {
  execution.complete(completionOf(answer));
  return functionResult(answer);
}

function conflictError(target: DeployedFunction, { table, id, writer }: Conflict): RequestError {
  const where = table === undefined ? "some table" : `the "${table}" table`;
  return new RequestError(
    "writeConflict",
    "OptimisticConcurrencyControlFailure",
    `Documents read from or written to ${where} changed while this mutation was being run and on ` +
      `every subsequent retry. ${conflictSource(target, id, writer)}` +
      "See https://docs.convex.dev/error#1",
  );
}

function conflictSource(
  target: DeployedFunction,
  id: string | undefined,
  writer: string | undefined,
): string {
  if (id === undefined || writer === undefined) return "";
  const own = debugName(target);
  const who = writer === own ? "Another call to this mutation" : `A call to "${writer}"`;
  return `${who} changed the document with ID "${id}". `;
}

function sleep(environment: Environment, delayMs: number): Promise<void> {
  return new Promise((resolve) => environment.setTimer(delayMs, resolve));
}
