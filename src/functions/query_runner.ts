/** Queries: from the cache, or run once for everybody who asks at the same time. */
import { assert } from "../assert.ts";
import type { CommitterClient } from "../committer/protocol.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import { errorMessage, FunctionError } from "../errors.ts";
import type { CallResult } from "../isolate/isolates.ts";
import type { FunctionCall } from "../isolate/protocol.ts";
import type { DeploymentLeases } from "./deployment_leases.ts";
import type { ExecutionLog } from "./execution_log.ts";
import { completionOf, failed, type FunctionCalls, functionResult } from "./function_calls.ts";
import type { CallContext, FunctionResult, QueryRequest, QueryResult } from "./functions.ts";
import type { DeployedFunction } from "./function_table.ts";
import { identityOf, type Modules } from "./modules.ts";
import type { CacheRequest, QueryCache } from "./query_cache.ts";
import { QueryEntry, type QueryExecution } from "./query_entry.ts";
import type { Subscriptions } from "./subscriptions.ts";
import type { SystemQueries } from "./system_queries.ts";

export interface QueryRunnerParts {
  readonly modules: Modules;
  readonly cache: QueryCache;
  readonly subscriptions: Subscriptions<QueryEntry>;
  readonly isolates: DeploymentLeases;
  readonly committer: CommitterClient;
  readonly calls: FunctionCalls;
  readonly log: ExecutionLog;
  readonly systemQueries: SystemQueries;
}

export class QueryRunner {
  readonly #parts: QueryRunnerParts;

  constructor(parts: QueryRunnerParts) {
    this.#parts = parts;
  }

  /** See `Functions.cachedQuery`. */
  cached(request: QueryRequest): QueryResult | undefined {
    const { modules, cache, committer, log } = this.#parts;
    let query: DeployedFunction;
    try {
      query = modules.resolve(request.path, "query", request.context);
    } catch {
      // `run` meets the same failure and reports it.
      return undefined;
    }
    const entry = cache.find(cacheRequest(query, request));
    if (entry === undefined || entry.timestamp > committer.durableTimestamp) return undefined;
    if (!query.isSystem) log.cached(query, request.context);
    return entry;
  }

  /** See `Functions.query`. */
  async run(request: QueryRequest, notBefore: Timestamp = zeroTimestamp): Promise<QueryEntry> {
    const { modules, cache, subscriptions } = this.#parts;
    if (notBefore > subscriptions.applied) await subscriptions.reached(notBefore);
    const from = subscriptions.applied;
    for (;;) {
      let query: DeployedFunction;
      try {
        query = modules.resolve(request.path, "query", request.context);
      } catch (error) {
        if (error instanceof FunctionError) return cache.enterFailure(error.failure);
        throw error;
      }
      const entry = await cache.get(
        cacheRequest(query, request),
        from,
        () => this.#execute(query, request),
      );
      // A result of code that was replaced while it ran is right for nobody any more.
      if (modules.isLive(query)) return entry;
    }
  }

  /** See `Functions.queryAt`. */
  async runAt(request: QueryRequest, timestamp: Timestamp): Promise<FunctionResult | undefined> {
    const { modules, cache, calls } = this.#parts;
    let query: DeployedFunction;
    try {
      query = modules.resolve(request.path, "query", request.context);
    } catch (error) {
      if (error instanceof FunctionError) return failed(error.failure);
      throw error;
    }
    const entry = cache.find(cacheRequest(query, request));
    if (entry !== undefined && entry.timestamp <= timestamp) return entry.result;
    // Not all that system queries show is kept for earlier timestamps.
    if (query.isSystem) return undefined;
    const call = calls.of(query, request.context, { journal: request.journal, at: timestamp });
    const answer = await this.#call(query, request, call);
    const isKept = answer.outcome.kind === "success" || !answer.outcome.isOutOfRetention;
    return isKept ? functionResult(answer) : undefined;
  }

  /** Runs a query that is not among the deployed ones. Its result is neither cached nor watched. */
  async runBeside(
    query: DeployedFunction,
    args: string,
    context: CallContext,
  ): Promise<FunctionResult> {
    const { calls, committer } = this.#parts;
    const request = { path: query.path, args, journal: null, context };
    const answer = await this.#call(query, request, calls.of(query, context));
    const { outcome } = answer;
    if (outcome.snapshot !== undefined) await committer.durable(outcome.snapshot);
    return functionResult(answer);
  }

  async #execute(query: DeployedFunction, request: QueryRequest): Promise<QueryExecution> {
    const { subscriptions, calls, systemQueries } = this.#parts;
    if (query.isSystem) return systemQueries.run(query.path, request.args, query.component);
    const from = subscriptions.applied;
    const { journal } = request;
    const call = calls.of(query, request.context, { journal });
    const answer = await this.#call(query, request, call);
    const { outcome } = answer;
    assert(
      outcome.kind === "failure" || (outcome.snapshot !== undefined && outcome.reads !== undefined),
      "a query that succeeded says what it read",
    );
    return {
      result: functionResult(answer),
      timestamp: outcome.snapshot ?? from,
      // Without word from the isolate the page keeps its end.
      journal: outcome.journal === undefined ? request.journal : outcome.journal,
      reads: outcome.reads ?? null,
      // Without word from the isolate the worst is assumed: nobody else may get this answer.
      observedIdentity: outcome.observed?.identity ?? true,
      observedTimeMs: outcome.observed?.time ?? true ? call.nowMs : null,
      observedVariables: outcome.observed?.variables ?? null,
    };
  }

  async #call(
    query: DeployedFunction,
    { args, context }: QueryRequest,
    call: FunctionCall,
  ): Promise<CallResult> {
    const { isolates, log } = this.#parts;
    const execution = log.begin(query, context);
    let answer: CallResult;
    try {
      answer = await isolates.runTransaction(call, args, { client: context.client });
    } catch (error) {
      execution.fail(errorMessage(error));
      throw error;
    }
    execution.complete(completionOf(answer));
    return answer;
  }
}

function cacheRequest(query: DeployedFunction, request: QueryRequest): CacheRequest {
  return {
    query,
    args: request.args,
    journal: request.journal,
    identity: identityOf(request.context.caller),
  };
}
