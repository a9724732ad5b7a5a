/**
 * Actions of "use node" modules. They run in Node.js processes, one for each deployment, started by its first
 * action and ended when it has been idle for a while; another one takes over when it is no longer fit. An action is
 * never run twice.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { log } from "../logger.ts";
import { actionsOfClientMax } from "./action_share.ts";
import { FairQueue } from "./fair_queue.ts";
import type { ActionHost, CallResult } from "./isolates.ts";
import { analyzeNodeModules } from "./node_analysis.ts";
import { NodeInstallations, NodeUnavailable } from "./node_installations.ts";
import { type LaidOutModules, NodeProgram } from "./node_program.ts";
import { NodeWorker } from "./node_worker.ts";
import { failedCall, shuttingDown, tooManyConcurrent } from "./outcomes.ts";
import type { AnalysisResult, DeploymentManifest, FunctionCall } from "./protocol.ts";
import { withinWarmUp } from "./warm_ups.ts";

/** Arguments of one action, in bytes (function-abi 20). */
const argumentBytesMax = 5 * 1024 * 1024;

export interface NodeExecutorOptions {
  readonly config: Config;
  readonly environment: Environment;
  readonly dataFolder: string;
}

/** An action that waits until it may run. */
interface Turn {
  readonly client: string;
  begin(): void;
  refuse(): void;
}

export class NodeExecutor {
  readonly #config: Config;
  readonly #environment: Environment;
  readonly #installations = new NodeInstallations();
  readonly #program: NodeProgram;
  /** The one of each deployment that gets its next actions. */
  readonly #workers = new Map<string, Promise<NodeWorker>>();
  /** All whose process lives. */
  readonly #alive = new Set<NodeWorker>();
  /** Actions that run or are about to, in all and of each client that has any. */
  #active = 0;
  readonly #running = new Map<string, number>();
  readonly #waiting = new FairQueue<Turn>();
  /** Ends when the files of all processes that have ended are gone. */
  #cleanUp: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: NodeExecutorOptions) {
    this.#config = options.config;
    this.#environment = options.environment;
    this.#program = new NodeProgram(options.dataFolder);
  }

  get processIds(): readonly number[] {
    return [...this.#alive].map(({ pid }) => pid);
  }

  get callCounts(): { readonly running: number; readonly waiting: number } {
    return { running: this.#active, waiting: this.#waiting.size };
  }

  async run(
    deployment: DeploymentManifest,
    call: FunctionCall,
    body: Uint8Array,
    host: ActionHost,
    client = "",
  ): Promise<CallResult> {
    if (body.byteLength > argumentBytesMax) return failedCall(argumentsTooLarge, 0);
    if (this.#closed) throw shuttingDown();
    await this.#takeTurn(client);
    try {
      const worker = await this.#fitWorkerOf(deployment);
      if (this.#closed) throw shuttingDown();
      return await worker.run(call, body, host);
    } catch (error) {
      if (!(error instanceof NodeUnavailable)) throw error;
      return failedCall(unusable(call.module, error), 0);
    } finally {
      this.#endTurn(client);
    }
  }

  /** Evaluates the Node modules of `deployment`, in a process of their own. */
  async analyze(deployment: DeploymentManifest): Promise<AnalysisResult> {
    const first = deployment.modules.find(({ environment }) => environment === "node");
    if (first === undefined) return { kind: "success", modules: {} };
    try {
      const node = await this.#installations.find(deployment.nodeVersion ?? null);
      const modules = await this.#program.layOut(deployment);
      const { config, environment } = { config: this.#config, environment: this.#environment };
      return await analyzeNodeModules({ config, environment, node, modules })
        .finally(() => modules.remove());
    } catch (error) {
      if (!(error instanceof NodeUnavailable)) throw error;
      return { kind: "failure", module: first.path, message: unusable(first.path, error) };
    }
  }

  /** Starts the process of a deployment ahead of its first action, if there have been actions a moment ago. */
  async prepare(deployment: DeploymentManifest): Promise<void> {
    const hasNodeModules = deployment.modules.some(({ environment }) => environment === "node");
    if (this.#workers.size === 0 || !hasNodeModules) return;
    // Why it cannot start is for its first action to say.
    const started = this.#workerOf(deployment).then((worker) => worker.started)
      .catch(ignoreFailedStart);
    await withinWarmUp(started, this.#environment);
  }

  retire(deployment: string): void {
    this.#workers.get(deployment)?.then((worker) => worker.retire(), ignoreFailedStart);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const turn of this.#waiting.removeWhere(() => true)) turn.refuse();
    await Promise.all([...this.#alive].map((worker) => worker.close()));
    await this.#cleanUp;
  }

  /** Waits until it is this client's turn; it counts as running from then on. */
  #takeTurn(client: string): Promise<void> {
    const { nodeActionsMax, queueWaitMs } = this.#config;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancelTimer = this.#environment.setTimer(queueWaitMs, () => {
      this.#waiting.remove(turn);
      reject(tooManyConcurrent("action", nodeActionsMax, "HULL_NODE_ACTIONS_MAX"));
    });
    const turn: Turn = {
      client,
      begin() {
        cancelTimer();
        resolve();
      },
      refuse() {
        cancelTimer();
        reject(shuttingDown());
      },
    };
    this.#waiting.push(turn);
    this.#beginNext();
    return promise;
  }

  #endTurn(client: string): void {
    const running = this.#running.get(client)! - 1;
    if (running > 0) this.#running.set(client, running);
    else this.#running.delete(client);
    this.#active--;
    this.#beginNext();
  }

  /** Of those that wait, the client goes first that has the fewest running. */
  #beginNext(): void {
    const { nodeActionsMax } = this.#config;
    if (this.#active >= nodeActionsMax || this.#closed) return;
    const max = actionsOfClientMax(nodeActionsMax);
    const turn = this.#waiting.first((client) => {
      const running = this.#running.get(client) ?? 0;
      return running < max ? running : Infinity;
    }, 0);
    if (turn === undefined) return;
    this.#waiting.remove(turn);
    this.#active++;
    this.#running.set(turn.client, (this.#running.get(turn.client) ?? 0) + 1);
    turn.begin();
  }

  /** A second process is used as it is: one that cannot even start tells the action so. */
  async #fitWorkerOf(deployment: DeploymentManifest): Promise<NodeWorker> {
    const worker = await this.#workerOf(deployment);
    return await worker.isFit() ? worker : await this.#workerOf(deployment);
  }

  #workerOf(deployment: DeploymentManifest): Promise<NodeWorker> {
    let worker = this.#workers.get(deployment.id);
    if (worker === undefined) {
      worker = this.#start(deployment);
      this.#workers.set(deployment.id, worker);
      worker.catch(() => this.#workers.delete(deployment.id));
    }
    return worker;
  }

  async #start(deployment: DeploymentManifest): Promise<NodeWorker> {
    const node = await this.#installations.find(deployment.nodeVersion ?? null);
    const modules = await this.#program.layOut(deployment);
    const worker = new NodeWorker({
      config: this.#config,
      environment: this.#environment,
      node,
      modules,
      retired: () => this.#workers.delete(deployment.id),
      gone: () => {
        this.#alive.delete(worker);
        this.#removeLater(modules);
      },
    });
    this.#alive.add(worker);
    return worker;
  }

  #removeLater(modules: LaidOutModules): void {
    this.#cleanUp = this.#cleanUp.then(() => modules.remove()).catch((error) => {
      log("warn", "The files of a Node process stay behind", { error });
    });
  }
}

const argumentsTooLarge = "Node actions arguments size is too large. The maximum size is 5 MiB. " +
  "Reduce the size of the arguments or consider using Convex runtime actions instead, which have a 16 MiB limit. " +
  "See https://docs.convex.dev/functions/runtimes";

function unusable(module: string, { message }: NodeUnavailable): string {
  return `${module} begins with "use node", so it ${message}`;
}

/** Whoever waits for the process is told; others need not be. */
function ignoreFailedStart(): void {}
