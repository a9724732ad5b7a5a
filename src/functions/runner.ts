/**
 * Running user functions: the implementation of `FollowableFunctions`, put together from the runners of each kind.
 *
 *     query ─── QueryRunner ─── QueryCache ─── Subscriptions ◄── applied commits
 *     mutation ─ MutationRunner ─ CommitGate ─ committer
 *     action ─── ActionRunner ─── HostOperations ─── query, mutation, action, HostServices
 */
import { assert } from "../assert.ts";
import type { CommitterClient } from "../committer/protocol.ts";
import type { Config } from "../config.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { DeploymentRecord } from "../deploy/deployment.ts";
import type { Environment } from "../environment.ts";
import { FunctionError } from "../errors.ts";
import type { Isolates } from "../isolate/isolates.ts";
import type { DeploymentManifest } from "../isolate/protocol.ts";
import type { LogStore } from "../logs/log_store.ts";
import type { ServerMetrics } from "../metrics/server_metrics.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { ActionRunner } from "./action_runner.ts";
import { CommitGate } from "./commit_gate.ts";
import { DeploymentLeases } from "./deployment_leases.ts";
import { ExecutionLog } from "./execution_log.ts";
import { failed, FunctionCalls } from "./function_calls.ts";
import type {
  CallContext,
  FollowableFunctions,
  FunctionResult,
  HttpRequestData,
  HttpResult,
  QueryRequest,
  QueryResult,
} from "./functions.ts";
import type { HostServices } from "./host_services.ts";
import type { DeployedFunction } from "./function_table.ts";
import { Modules } from "./modules.ts";
import { type MutationResult, MutationRunner, type SessionRequest } from "./mutation_runner.ts";
import { QueryCache } from "./query_cache.ts";
import { QueryEntry } from "./query_entry.ts";
import { QueryRunner } from "./query_runner.ts";
import { RequestIds } from "./request_id.ts";
import { Subscriptions } from "./subscriptions.ts";
import { noSystemQueries, type SystemQueries } from "./system_queries.ts";

export interface FunctionsOptions {
  readonly environment: Environment;
  readonly config: Config;
  readonly isolates: Isolates;
  readonly committer: CommitterClient;
  /** Records of mutations that were answered before; a reader of this thread. */
  readonly sessions: Pick<SnapshotReader, "getSessionRecord">;
  /** May rely on parts that are built later: nothing is called before an action runs. */
  readonly services: HostServices;
  readonly systemQueries?: SystemQueries;
  readonly logs: LogStore;
  readonly metrics: ServerMetrics;
}

/** Nothing is deployed at first: every function is unknown until `setDeployment`. */
export function createFunctions(options: FunctionsOptions): FunctionRunner {
  return new FunctionRunner(options);
}

export class FunctionRunner implements FollowableFunctions {
  /** What is deployed, for the scheduler and the admin API. */
  readonly modules: Modules;
  readonly deployments: DeploymentLeases;
  readonly #committer: CommitterClient;
  readonly #subscriptions: Subscriptions<QueryEntry>;
  readonly #cache: QueryCache;
  readonly #gate: CommitGate;
  readonly #queries: QueryRunner;
  readonly #mutations: MutationRunner;
  readonly #actions: ActionRunner;

  constructor(options: FunctionsOptions) {
    const { environment, config, committer, sessions, services } = options;
    const ids = new RequestIds(environment);
    const calls = new FunctionCalls(environment, ids);
    const log = new ExecutionLog(options.logs, options.metrics, environment, ids);
    const isolates = new DeploymentLeases(options.isolates);
    const subscriptions = new Subscriptions<QueryEntry>(committer);
    const cache = new QueryCache({
      environment,
      subscriptions,
      bytesMax: config.queryCacheBytesMax,
    });
    const systemQueries = options.systemQueries ?? noSystemQueries;
    const modules = this.modules = new Modules(systemQueries);
    this.#committer = committer;
    this.deployments = isolates;
    this.#subscriptions = subscriptions;
    this.#cache = cache;
    this.#gate = new CommitGate(environment);
    const shared = { modules, isolates, committer, calls, log };
    this.#queries = new QueryRunner({ ...shared, cache, subscriptions, systemQueries });
    this.#mutations = new MutationRunner({
      ...shared,
      gate: this.#gate,
      sessions,
      metrics: options.metrics,
      environment,
      config,
    });
    this.#actions = new ActionRunner({ ...shared, services, functions: this });
    committer.onApplied((commits) => cache.apply(commits));
  }

  get appliedTimestamp(): Timestamp {
    return this.#subscriptions.applied;
  }

  get durableTimestamp(): Timestamp {
    const { durableTimestamp } = this.#committer;
    return durableTimestamp < this.appliedTimestamp ? durableTimestamp : this.appliedTimestamp;
  }

  /** Makes a deployment live in one step: results of the code before end here. */
  setDeployment(record: DeploymentRecord, manifest: DeploymentManifest): void {
    this.deployments.deploy(manifest);
    this.modules.setDeployment(record, manifest);
    this.#cache.invalidateAll();
  }

  /** Has the live code run with other environment variables: results that depend on these end here. */
  setVariables(manifest: DeploymentManifest, changed: ReadonlySet<string>): void {
    this.deployments.deploy(manifest);
    this.modules.setManifest(manifest);
    this.#cache.invalidateReadersOf(changed);
  }

  /** Ends all results: something changed that system queries show. A deployment does it, too. */
  endResults(): void {
    this.#cache.invalidateAll();
  }

  cachedQuery(request: QueryRequest): QueryResult | undefined {
    return this.#queries.cached(request);
  }

  query(request: QueryRequest, notBefore?: Timestamp): Promise<QueryResult> {
    return this.#queries.run(request, notBefore);
  }

  queryAt(request: QueryRequest, timestamp: Timestamp): Promise<FunctionResult | undefined> {
    return this.#queries.runAt(request, timestamp);
  }

  /** Runs a query of code that is not deployed, and is forgotten afterwards. */
  async queryBeside(
    manifest: DeploymentManifest,
    query: DeployedFunction,
    args: string,
    context: CallContext,
  ): Promise<FunctionResult> {
    await this.deployments.prepare(manifest);
    return await this.#queries.runBeside(query, args, context);
  }

  durable(timestamp: Timestamp): Promise<void> {
    return this.#committer.durable(timestamp);
  }

  watch(result: QueryResult, onInvalidated: () => void): () => void {
    assert(
      result instanceof QueryEntry,
      "only results of `query` and `cachedQuery` can be watched",
    );
    return this.#cache.watch(result, onInvalidated);
  }

  whileCommitsWait<T>(work: () => Promise<T>): Promise<T> {
    return this.#gate.whileClosed(work);
  }

  mutation(
    path: string,
    args: string,
    context: CallContext,
    session?: SessionRequest,
    onCommitted?: (timestamp: Timestamp) => void,
  ): Promise<MutationResult> {
    return this.#mutations.run(path, args, context, session, onCommitted);
  }

  action(path: string, args: string, context: CallContext): Promise<FunctionResult> {
    return this.#actions.run(path, args, context);
  }

  async any(path: string, args: string, context: CallContext): Promise<FunctionResult> {
    let target: DeployedFunction;
    try {
      target = this.modules.resolveAny(path, context);
    } catch (error) {
      if (error instanceof FunctionError) return failed(error.failure);
      throw error;
    }
    if (target.kind !== "query") return await this[target.kind](path, args, context);
    const { result, timestamp } = await this.query({ path, args, journal: null, context });
    await this.durable(timestamp);
    return result;
  }

  httpAction(request: HttpRequestData, context: CallContext): Promise<HttpResult> {
    return this.#actions.http(request, context);
  }
}
