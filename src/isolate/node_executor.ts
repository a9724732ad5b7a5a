/**
 * Actions of "use node" modules. They run in Node.js processes, one for each deployment, started by its first
 * action and ended when it has been idle for a while. An action is never run twice.
 *
 * An action over its time is given up at once, but its process can only be ended as a whole: it gets no more actions
 * and is killed when the others in it have ended.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { log } from "../logger.ts";
import { answerOperation } from "./action_operations.ts";
import type { ActionHost, CallResult } from "./isolates.ts";
import { analyzeNodeModules } from "./node_analysis.ts";
import { findNode, NodeProcess } from "./node_process.ts";
import { type LaidOutModules, NodeProgram, nodeVersionMin } from "./node_program.ts";
import {
  failedCall,
  lostActionMessage,
  memoryMessage,
  shuttingDown,
  tooManyConcurrent,
} from "./outcomes.ts";
import type { AnalysisResult, DeploymentManifest, FromIsolate, FunctionCall } from "./protocol.ts";

/** Arguments of one action, in bytes (function-abi 20). */
const argumentBytesMax = 5 * 1024 * 1024;
/** How long a process without actions is kept, in milliseconds. */
const idleMs = 300_000;

export interface NodeExecutorOptions {
  readonly config: Config;
  readonly environment: Environment;
  readonly dataFolder: string;
}

interface Running {
  readonly call: FunctionCall;
  readonly host: ActionHost;
  readonly startedAtMs: number;
  readonly cancelTimer: () => void;
  readonly resolve: (result: CallResult) => void;
}

/** A process and what runs in it, by call id. */
interface Worker {
  readonly deployment: string;
  readonly process: NodeProcess;
  readonly modules: LaidOutModules;
  readonly running: Map<number, Running>;
  /** Gets no more actions, and ends with its last one. */
  retired: boolean;
  cancelIdleTimer: () => void;
}

export class NodeExecutor {
  readonly #config: Config;
  readonly #environment: Environment;
  readonly #program: NodeProgram;
  /** The one of each deployment that gets its next actions. */
  readonly #workers = new Map<string, Promise<Worker>>();
  /** All whose process lives. */
  readonly #alive = new Set<Worker>();
  /** Actions that run or are about to. */
  #active = 0;
  /** Lets the actions that wait go ahead. */
  #waiting: (() => void)[] = [];
  #nextCallId = 1;
  #nodeIsUsable = false;
  /** Ends when the files of all processes that have ended are gone. */
  #cleanUp: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: NodeExecutorOptions) {
    this.#config = options.config;
    this.#environment = options.environment;
    this.#program = new NodeProgram(options.dataFolder);
  }

  get processIds(): readonly number[] {
    return [...this.#alive].map(({ process }) => process.pid);
  }

  get callCounts(): { readonly running: number; readonly waiting: number } {
    return { running: this.#active, waiting: this.#waiting.length };
  }

  async run(
    deployment: DeploymentManifest,
    call: FunctionCall,
    body: Uint8Array,
    host: ActionHost,
  ): Promise<CallResult> {
    if (body.byteLength > argumentBytesMax) return failedCall(argumentsTooLarge, 0);
    await this.#takeTurn();
    try {
      const problem = await this.#nodeProblem();
      if (problem !== null) return failedCall(`${call.module} ${problem}`, 0);
      const worker = await this.#workerOf(deployment);
      if (this.#closed) throw shuttingDown();
      return await new Promise((resolve) => this.#start(worker, call, body, host, resolve));
    } finally {
      this.#active--;
      this.#waiting.shift()?.();
    }
  }

  /** Evaluates the Node modules of `deployment`, in a process of their own. */
  async analyze(deployment: DeploymentManifest): Promise<AnalysisResult> {
    const first = deployment.modules.find(({ environment }) => environment === "node");
    if (first === undefined) return { kind: "success", modules: {} };
    const problem = await this.#nodeProblem();
    if (problem !== null) {
      return { kind: "failure", module: first.path, message: `${first.path} ${problem}` };
    }
    const modules = await this.#program.layOut(deployment);
    try {
      return await analyzeNodeModules(modules.deployment, {
        config: this.#config,
        environment: this.#environment,
        executorPath: await this.#program.executorPath(),
      });
    } finally {
      await modules.remove();
    }
  }

  retire(deployment: string): void {
    this.#workers.get(deployment)?.then((worker) => this.#retire(worker), ignoreFailedStart);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const proceed of this.#waiting.splice(0)) proceed();
    await Promise.all([...this.#alive].map(({ process }) => process.close()));
    await this.#cleanUp;
  }

  /** Waits until fewer actions run than may. */
  async #takeTurn(): Promise<void> {
    const { nodeActionsMax, queueWaitMs } = this.#config;
    if (this.#active >= nodeActionsMax) {
      await new Promise<void>((resolve, reject) => {
        const cancelTimer = this.#environment.setTimer(queueWaitMs, () => {
          this.#waiting = this.#waiting.filter((other) => other !== proceed);
          reject(tooManyConcurrent("action", nodeActionsMax, "HULL_NODE_ACTIONS_MAX"));
        });
        const proceed = () => {
          cancelTimer();
          resolve();
        };
        this.#waiting.push(proceed);
      });
    }
    if (this.#closed) throw shuttingDown();
    this.#active++;
  }

  /** Why there can be no Node actions, as the rest of a sentence about a module; null if there can. */
  async #nodeProblem(): Promise<string | null> {
    if (this.#nodeIsUsable) return null;
    const version = await findNode();
    this.#nodeIsUsable = version !== null && version >= nodeVersionMin;
    if (this.#nodeIsUsable) return null;
    const found = version === null
      ? 'there is no "node" on the PATH of the server'
      : `the "node" on the PATH of the server is version ${version}`;
    return `begins with "use node", so it needs Node.js ${nodeVersionMin} or later, but ${found}. ` +
      'Install Node.js (https://nodejs.org), or remove "use node" if the file needs no Node.js API.';
  }

  #workerOf(deployment: DeploymentManifest): Promise<Worker> {
    let worker = this.#workers.get(deployment.id);
    if (worker === undefined) {
      worker = this.#spawn(deployment);
      this.#workers.set(deployment.id, worker);
      worker.catch(() => this.#workers.delete(deployment.id));
    }
    return worker;
  }

  async #spawn(deployment: DeploymentManifest): Promise<Worker> {
    const executorPath = await this.#program.executorPath();
    const modules = await this.#program.layOut(deployment);
    const { nodeMemoryMiB } = this.#config;
    const process = new NodeProcess({
      executorPath,
      deployment: modules.deployment,
      memoryMiB: nodeMemoryMiB,
      environment: this.#environment,
    }, {
      message: (message, body) => this.#receive(worker, message, body),
      exited: (detail) => this.#exited(worker, detail),
    });
    const worker: Worker = {
      deployment: deployment.id,
      process,
      modules,
      running: new Map(),
      retired: false,
      cancelIdleTimer: () => {},
    };
    this.#alive.add(worker);
    return worker;
  }

  #start(
    worker: Worker,
    call: FunctionCall,
    body: Uint8Array,
    host: ActionHost,
    resolve: (result: CallResult) => void,
  ): void {
    const callId = this.#nextCallId++;
    const cancelTimer = this.#environment.setTimer(
      this.#config.nodeActionTimeoutS * 1000,
      () => this.#timeOut(worker, callId),
    );
    const startedAtMs = this.#environment.monotonicMs();
    worker.cancelIdleTimer();
    worker.running.set(callId, { call, host, startedAtMs, cancelTimer, resolve });
    worker.process.send({ type: "call", callId, call }, body);
  }

  #receive(worker: Worker, message: FromIsolate, body: Uint8Array): void {
    if (message.type === "ready") return;
    const running = worker.running.get(message.callId);
    if (running === undefined) return;
    switch (message.type) {
      case "result": {
        const { outcome, logLines, usage } = message;
        return this.#finish(worker, message.callId, { outcome, body, logLines, usage });
      }
      case "log":
        return running.host.log(message.logLines);
      case "operation":
        answerOperation(running.host, message, body).then((answer) =>
          worker.process.send(...answer)
        );
        return;
      case "analyzed":
        return worker.process.kill();
    }
  }

  #timeOut(worker: Worker, callId: number): void {
    const { call } = worker.running.get(callId)!;
    const path = `${call.module.replace(/\.js$/, "")}:${call.export}`;
    const limit = `maximum duration ${this.#config.nodeActionTimeoutS}s`;
    this.#withdraw(worker);
    this.#fail(worker, callId, `Action \`${path}\` execution timed out (${limit})`);
  }

  #fail(worker: Worker, callId: number, message: string): void {
    const { startedAtMs } = worker.running.get(callId)!;
    const durationMs = this.#environment.monotonicMs() - startedAtMs;
    this.#finish(worker, callId, failedCall(message, durationMs));
  }

  #finish(worker: Worker, callId: number, result: CallResult): void {
    const running = worker.running.get(callId)!;
    worker.running.delete(callId);
    running.cancelTimer();
    running.resolve(result);
    if (worker.running.size > 0) return;
    if (worker.retired) return worker.process.kill();
    worker.cancelIdleTimer = this.#environment.setTimer(idleMs, () => this.#retire(worker));
  }

  /** Gives a process no more actions. */
  #withdraw(worker: Worker): void {
    if (worker.retired) return;
    worker.retired = true;
    worker.cancelIdleTimer();
    this.#workers.delete(worker.deployment);
  }

  #retire(worker: Worker): void {
    this.#withdraw(worker);
    if (worker.running.size === 0) worker.process.kill();
  }

  #exited(worker: Worker, detail: string): void {
    this.#withdraw(worker);
    this.#alive.delete(worker);
    const message = /heap out of memory/.test(detail)
      ? memoryMessage(this.#config.nodeMemoryMiB)
      : lostActionMessage;
    for (const callId of worker.running.keys()) this.#fail(worker, callId, message);
    this.#cleanUp = this.#cleanUp.then(() => worker.modules.remove()).catch((error) => {
      log("warn", "The files of a Node process stay behind", { error });
    });
  }
}

const argumentsTooLarge = "Node actions arguments size is too large. The maximum size is 5 MiB. " +
  "Reduce the size of the arguments or consider using Convex runtime actions instead, which have a 16 MiB limit. " +
  "See https://docs.convex.dev/functions/runtimes";

/** Whoever waits for the process is told; who only wants to be rid of it need not be. */
function ignoreFailedStart(): void {}
