/** Puts the executors, the pools and Node together into what the function runner uses. */
import { assert } from "../assert.ts";
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { moduleUrl } from "../program_files.ts";
import { ActionPool } from "./action_pool.ts";
import { analyzeIsolateModules } from "./analysis.ts";
import type { ExecutorSettings } from "./executor.ts";
import { Executors } from "./executors.ts";
import type { IsolateKind } from "./isolate_data.ts";
import type {
  ActionHost,
  CallCounts,
  CallResult,
  Isolates,
  TransactionOptions,
} from "./isolates.ts";
import { NodeExecutor } from "./node_executor.ts";
import { TransactionPool } from "./pool.ts";
import type { AnalysisResult, DeploymentManifest, FunctionCall } from "./protocol.ts";

export interface IsolatesOptions {
  readonly config: Config;
  readonly environment: Environment;
  /** The database file; it must exist, or be there when `databaseOpened` resolves. */
  readonly databasePath: string;
  readonly databaseOpened?: Promise<unknown>;
  /** Absolute path of the folder with the database and the deployed modules. Isolates can read it, and our code. */
  readonly dataFolder: string;
  /** URL of what isolates run instead of runtime/isolate.ts; for tests. */
  readonly isolateModule?: string;
}

/** How long the first isolate may take, in milliseconds: above it this machine cannot run executors at all. */
const startTimeoutMs = 30_000;
/** Besides those that run calls: a spare one, one that analyses, and some that are just ending. */
const extraIsolates = 4;

/**
 * Starts the transaction isolates; the others start when they are first needed.
 * @throws what `databaseOpened` rejects with.
 */
export async function startIsolates(options: IsolatesOptions): Promise<Isolates> {
  const isolates = new StartedIsolates(options);
  await isolates.ready();
  return isolates;
}

class StartedIsolates implements Isolates {
  readonly #options: IsolatesOptions;
  readonly #deployments = new Map<string, DeploymentManifest>();
  readonly #transactionExecutors: Executors;
  readonly #transactions: TransactionPool;
  readonly #actionExecutors: Executors;
  readonly #actions: ActionPool;
  readonly #node: NodeExecutor;

  constructor(options: IsolatesOptions) {
    this.#options = options;
    const { config, environment } = options;
    this.#transactionExecutors = new Executors(
      executorSettings("transaction", config.transactionIsolates + extraIsolates, options),
      () => this.#transactions.renew(),
    );
    this.#transactions = new TransactionPool({
      config,
      environment,
      spawn: (listener) => this.#transactionExecutors.spawn(listener),
    });
    this.#actionExecutors = new Executors(
      executorSettings("action", config.actionIsolatesMax + extraIsolates, options),
      () => this.#actions.renew(),
    );
    this.#actions = new ActionPool({
      config,
      environment,
      spawn: (listener) => this.#actionExecutors.spawn(listener),
    });
    this.#node = new NodeExecutor(options);
  }

  async ready(): Promise<void> {
    let cancel = () => {};
    const timeout = new Promise<never>((_, reject) => {
      cancel = this.#options.environment.setTimer(startTimeoutMs, () => {
        reject(new Error(`No isolate was ready within ${startTimeoutMs} ms; see the log above`));
      });
    });
    try {
      const { databaseOpened } = this.#options;
      await Promise.race([Promise.all([databaseOpened, this.#transactions.ready()]), timeout]);
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      cancel();
    }
  }

  deploy(deployment: DeploymentManifest): void {
    this.#deployments.set(deployment.id, deployment);
    this.#transactions.deploy(deployment);
  }

  async prepare(deployment: DeploymentManifest): Promise<void> {
    this.#deployments.set(deployment.id, deployment);
    await Promise.all([
      this.#transactions.prepare(deployment),
      this.#actions.prepare(deployment),
      this.#node.prepare(deployment),
    ]);
  }

  retire(deployment: string): void {
    this.#deployments.delete(deployment);
    this.#transactions.retire(deployment);
    this.#actions.retire(deployment);
    this.#node.retire(deployment);
  }

  runTransaction(
    call: FunctionCall,
    args: string,
    options?: TransactionOptions,
  ): Promise<CallResult> {
    return this.#transactions.run(this.#mustGetDeployment(call), call, args, options);
  }

  aborted(origin: { isolate: number; sequence: number }): void {
    this.#transactions.aborted(origin.isolate, origin.sequence);
  }

  runAction(
    call: FunctionCall,
    body: Uint8Array,
    host: ActionHost,
    client?: string,
  ): Promise<CallResult> {
    const manifest = this.#mustGetDeployment(call);
    const runner = isNodeModule(manifest, call) ? this.#node : this.#actions;
    return runner.run(manifest, call, body, host, client);
  }

  async analyze(deployment: DeploymentManifest): Promise<AnalysisResult> {
    const { config } = this.#options;
    const isolate = await analyzeIsolateModules(
      deployment,
      (listener) => this.#transactionExecutors.spawn(listener),
      config,
    );
    if (isolate.kind === "failure") return isolate;
    const node = await this.#node.analyze(deployment);
    if (node.kind === "failure") return node;
    return { kind: "success", modules: { ...isolate.modules, ...node.modules } };
  }

  callCounts(): readonly CallCounts[] {
    return [
      { pool: "transaction", ...this.#transactions.callCounts },
      { pool: "action", ...this.#actions.callCounts },
      { pool: "node", ...this.#node.callCounts },
    ];
  }

  processes(): readonly { name: string; pid: number }[] {
    const named = (name: string, pids: readonly number[]) => pids.map((pid) => ({ name, pid }));
    return [
      ...named("transaction executor", this.#transactionExecutors.processIds),
      ...named("action executor", this.#actionExecutors.processIds),
      ...named("node executor", this.#node.processIds),
    ];
  }

  async close(): Promise<void> {
    this.#transactions.close();
    this.#actions.close();
    await Promise.all([
      this.#transactionExecutors.close(),
      this.#actionExecutors.close(),
      this.#node.close(),
    ]);
  }

  #mustGetDeployment({ deployment }: FunctionCall): DeploymentManifest {
    const manifest = this.#deployments.get(deployment);
    assert(manifest !== undefined, `deployment ${deployment} is known before it is called`);
    return manifest;
  }
}

function executorSettings(
  kind: IsolateKind,
  isolatesMax: number,
  options: IsolatesOptions,
): ExecutorSettings {
  const { config, environment, databasePath, dataFolder } = options;
  const databaseOpened = options.databaseOpened ?? Promise.resolve();
  const isolateModule = options.isolateModule ?? moduleUrl("isolate").href;
  return {
    ...{ kind, config, environment, databasePath, databaseOpened },
    ...{ dataFolder, isolateModule, isolatesMax },
  };
}

/** Components have none. */
function isNodeModule(
  { modules }: DeploymentManifest,
  { component, module }: FunctionCall,
): boolean {
  return component === undefined &&
    modules.find(({ path }) => path === module)?.environment === "node";
}
