/**
 * A Node.js process and the actions that run in it.
 *
 *     fit ──► retired ──► gone
 *
 * It takes actions while it is fit: not when user code blocks its event loop, and not when it has grown too large.
 * Then it is retired: it gets no more actions, and is killed when the last one has ended. An action over its time is
 * given up at once, but the process can only be ended as a whole, so that retires it, too.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { log } from "../logger.ts";
import { answerOperation } from "./action_operations.ts";
import type { ActionHost, CallResult } from "./isolates.ts";
import type { NodeInstallation } from "./node_installations.ts";
import { NodeProcess } from "./node_process.ts";
import type { LaidOutModules } from "./node_program.ts";
import { failedCall, lostActionMessage, memoryMessage } from "./outcomes.ts";
import type { FromNode, FunctionCall } from "./protocol.ts";

/** How long a process without actions is kept, in milliseconds. */
const idleMs = 300_000;
/** How long it counts as fit after it has said so, in milliseconds. */
const checkedMs = 1000;
/** What a process may take to answer before it counts as blocked, and to start, in milliseconds. */
const blockedMs = 3000;
const startMs = 30_000;

export interface NodeWorkerOptions {
  readonly config: Config;
  readonly environment: Environment;
  readonly node: NodeInstallation;
  readonly modules: LaidOutModules;
  /** It must get no more actions. */
  readonly retired: () => void;
  /** Its process is gone, and nothing needs its files any more. */
  readonly gone: () => void;
}

interface Running {
  readonly call: FunctionCall;
  readonly host: ActionHost;
  readonly startedAtMs: number;
  readonly cancelTimer: () => void;
  readonly resolve: (result: CallResult) => void;
}

export class NodeWorker {
  readonly #options: NodeWorkerOptions;
  readonly #process: NodeProcess;
  readonly #running = new Map<number, Running>();
  #nextCallId = 1;
  readonly #started = Promise.withResolvers<void>();
  #isStarted = false;
  #isRetired = false;
  /** How the process ended; null while it lives. */
  #end: string | null = null;
  #checkedAtMs: number;
  #check: Promise<boolean> | null = null;
  #answerCheck: (isFit: boolean) => void = () => {};
  #cancelIdleTimer = () => {};

  constructor(options: NodeWorkerOptions) {
    const { config, environment, node, modules } = options;
    this.#options = options;
    this.#checkedAtMs = environment.monotonicMs();
    const memoryMiB = config.nodeMemoryMiB;
    this.#process = new NodeProcess({ node, modules, memoryMiB, environment }, {
      message: (message, body) => this.#receive(message, body),
      exited: (detail) => this.#exited(detail),
    });
    this.#rest();
  }

  get pid(): number {
    return this.#process.pid;
  }

  /** Resolves when the process takes actions at once, or has ended. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  /** Whether it may be given an action now. Asks the process, unless it has answered a moment ago. */
  async isFit(): Promise<boolean> {
    if (this.#isRetired) return false;
    if (this.#options.environment.monotonicMs() - this.#checkedAtMs < checkedMs) return true;
    this.#check ??= this.#ask();
    return await this.#check;
  }

  /** Runs an action, once. Never rejects. */
  run(call: FunctionCall, body: Uint8Array, host: ActionHost): Promise<CallResult> {
    if (this.#end !== null) return Promise.resolve(failedCall(lost(this.#end), 0));
    const { config, environment } = this.#options;
    const callId = this.#nextCallId++;
    this.#cancelIdleTimer();
    return new Promise((resolve) => {
      const cancelTimer = environment.setTimer(
        config.nodeActionTimeoutS * 1000,
        () => this.#timeOut(callId),
      );
      const startedAtMs = environment.monotonicMs();
      this.#running.set(callId, { call, host, startedAtMs, cancelTimer, resolve });
      this.#process.send({ type: "call", callId, call }, body);
    });
  }

  retire(): void {
    this.#stopTaking();
    if (this.#running.size === 0) this.#process.kill();
  }

  close(): Promise<void> {
    this.#stopTaking();
    return this.#process.close();
  }

  #ask(): Promise<boolean> {
    return new Promise((resolve) => {
      const patienceMs = this.#isStarted ? blockedMs : startMs;
      const cancelTimer = this.#options.environment.setTimer(patienceMs, () => {
        log("warn", "A Node process does not answer, so it gets no more actions");
        this.#answerCheck(false);
      });
      this.#answerCheck = (isFit) => {
        this.#answerCheck = () => {};
        this.#check = null;
        cancelTimer();
        if (!isFit) this.retire();
        resolve(isFit);
      };
      this.#process.send({ type: "ping" });
    });
  }

  #receive(message: FromNode, body: Uint8Array): void {
    switch (message.type) {
      case "ready":
        this.#isStarted = true;
        this.#started.resolve();
        return;
      case "pong":
        this.#checkedAtMs = this.#options.environment.monotonicMs();
        return this.#answerCheck(!this.#isTooLarge(message.residentBytes));
      case "analyzed":
      case "warm":
        return this.#process.kill();
    }
    const running = this.#running.get(message.callId);
    if (running === undefined) return;
    switch (message.type) {
      case "result": {
        const { outcome, logLines, usage } = message;
        return this.#finish(message.callId, { outcome, body, logLines, usage });
      }
      case "log":
        return running.host.log(message.logLines);
      case "operation":
        answerOperation(running.host, message, body).then((answer) =>
          this.#process.send(...answer)
        );
    }
  }

  /** What leaks must not grow until actions fail of it. */
  #isTooLarge(residentBytes: number): boolean {
    const limitMiB = this.#options.config.nodeMemoryMiB;
    const residentMiB = Math.round(residentBytes / 1_048_576);
    if (residentMiB <= limitMiB) return false;
    log("warn", "A Node process has grown large and is replaced", { residentMiB, limitMiB });
    return true;
  }

  #timeOut(callId: number): void {
    const { call } = this.#running.get(callId)!;
    const path = `${call.module.replace(/\.js$/, "")}:${call.export}`;
    const limit = `maximum duration ${this.#options.config.nodeActionTimeoutS}s`;
    this.#stopTaking();
    this.#fail(callId, `Action \`${path}\` execution timed out (${limit})`);
  }

  #fail(callId: number, message: string): void {
    const { startedAtMs } = this.#running.get(callId)!;
    const durationMs = this.#options.environment.monotonicMs() - startedAtMs;
    this.#finish(callId, failedCall(message, durationMs));
  }

  #finish(callId: number, result: CallResult): void {
    const running = this.#running.get(callId)!;
    this.#running.delete(callId);
    running.cancelTimer();
    running.resolve(result);
    if (this.#running.size > 0) return;
    if (this.#isRetired) return this.#process.kill();
    this.#rest();
  }

  #rest(): void {
    this.#cancelIdleTimer = this.#options.environment.setTimer(idleMs, () => this.retire());
  }

  #stopTaking(): void {
    if (this.#isRetired) return;
    this.#isRetired = true;
    this.#cancelIdleTimer();
    this.#options.retired();
  }

  #exited(detail: string): void {
    this.#started.resolve();
    if (!this.#isRetired || this.#running.size > 0) {
      log("warn", "A Node process ended and is replaced", { detail });
    }
    this.#end = detail;
    this.#stopTaking();
    this.#answerCheck(false);
    const isOutOfMemory = /out of memory|bad_alloc|Failed to allocate/.test(detail);
    const message = isOutOfMemory
      ? memoryMessage(this.#options.config.nodeMemoryMiB)
      : lost(detail);
    for (const callId of this.#running.keys()) this.#fail(callId, message);
    this.#options.gone();
  }
}

function lost(detail: string): string {
  const end = /\bexit code \d+|\bSIG[A-Z0-9]+/.exec(detail)?.[0];
  return end === undefined ? lostActionMessage : `${lostActionMessage} It ended with ${end}.`;
}
