/** Queries: from the cache, or run once for everybody who asks at the same time. */
import { assert } from "../assert.ts";
import type { CommitterClient } from "../committer/protocol.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import { errorMessage, FunctionError } from "../errors.ts";
import type { CallResult } from "../isolate/isolates.ts";
import type { DeploymentLeases } from "./deployment_leases.ts";
import type { ExecutionLog } from "./execution_log.ts";
import { completionOf, type FunctionCalls, functionResult } from "./function_calls.ts";
import type { QueryRequest, QueryResult } from "./functions.ts";
import { type DeployedFunction, identityOf, type Modules } from "./modules.ts";
import type { CacheRequest, QueryCache } from "./query_cache.ts";
import { QueryEntry, type QueryExecution } from "./query_entry.ts";
import type { Subscriptions } from "./subscriptions.ts";

export interface QueryRunnerParts {
  readonly modules: Modules;
  readonly cache: QueryCache;
  readonly subscriptions: Subscriptions<QueryEntry>;
  readonly isolates: DeploymentLeases;
  readonly committer: CommitterClient;
  readonly calls: FunctionCalls;
  readonly log: ExecutionLog;
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
    log.cached(query, request.context);
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
      if (query.deployment === modules.manifest?.id) return entry;
    }
  }

  async #execute(query: DeployedFunction, request: QueryRequest): Promise<QueryExecution> {
    const { subscriptions, isolates, calls, log } = this.#parts;
    const from = subscriptions.applied;
    const execution = log.begin(query, request.context);
    const call = calls.of(query, request.context, request);
    let answer: CallResult;
    try {
      answer = await isolates.runTransaction(call, request.args);
    } catch (error) {
      execution.fail(errorMessage(error));
      throw error;
    }
    const { outcome } = answer;
    execution.complete(completionOf(answer));
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
    };
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
