/**
 * Actions and HTTP actions of the default runtime: one isolate for each that runs. Isolates are started when there
 * are more actions than idle isolates, up to a bound, above which actions wait. One idle isolate is kept, the others
 * end after a while. An action is never run twice: what dies with its isolate fails.
 *
 * Among clients that wait, the next is the one with the fewest running actions, and none has more than its share
 * (`actionsOfClientMax`): so there is room for the others.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { answerOperation } from "./action_operations.ts";
import { actionsOfClientMax } from "./action_share.ts";
import { FairQueue } from "./fair_queue.ts";
import { HttpBodies } from "./http_bodies.ts";
import type { Death, IsolateListener } from "./isolate.ts";
import type { ActionHost, CallResult } from "./isolates.ts";
import {
  deathMessage,
  failedCall,
  lostActionMessage,
  shuttingDown,
  tooManyConcurrent,
} from "./outcomes.ts";
import type { PooledIsolate } from "./pool_slot.ts";
import type { DeploymentManifest, FromIsolate, FunctionCall } from "./protocol.ts";
import { WarmUps } from "./warm_ups.ts";

/** Isolates that start at the same time: the processor is the limit, and meanwhile running ones may come free. */
const startingMax = 4;
/**
 * When more isolates are started, in milliseconds. Starting one takes longer than many actions do, and holds up those
 * that run. So actions take turns while isolates come free: `standstillMs` without that and several are started; one,
 * if all the same the first in the queue has waited for `patienceMs`.
 */
const standstillMs = 25;
const patienceMs = 100;
/** How long an isolate beyond the first may be idle, in milliseconds. */
const idleMs = 10_000;
/** What the executor's own watch needs at most to end an action that is over its time, in milliseconds. */
const watchSlackMs = 30_000;
/** Operations that one action may have under way; a well-behaved isolate asks for few at a time. */
const operationsMax = 1000;

export interface ActionPoolOptions {
  readonly config: Config;
  readonly environment: Environment;
  spawn(listener: IsolateListener): PooledIsolate;
}

interface Task {
  readonly manifest: DeploymentManifest;
  readonly call: FunctionCall;
  readonly body: Uint8Array;
  readonly host: ActionHost;
  readonly client: string;
  /** Monotonic. */
  readonly waitingSinceMs: number;
  resolve(result: CallResult): void;
  reject(error: Error): void;
  /** Ends the wait for an isolate, later the action's time. */
  cancelTimer(): void;
}

interface Running {
  readonly callId: number;
  readonly task: Task;
  readonly startedAtMs: number;
  operations: number;
  /** HTTP actions. */
  readonly bodies: HttpBodies | null;
}

interface Slot {
  readonly isolate: PooledIsolate;
  /** `retiring`: to be ended after what it runs. */
  state: "starting" | "ready" | "retiring";
  running: Running | null;
  /** Since when nothing has been running, monotonic. */
  idleSinceMs: number;
}

export class ActionPool {
  readonly #options: ActionPoolOptions;
  readonly #config: Config;
  readonly #environment: Environment;
  readonly #warmUps: WarmUps;
  readonly #slots = new Set<Slot>();
  readonly #waiting = new FairQueue<Task>();
  #nextCallId = 1;
  /** When an isolate last came free for the next action, monotonic. */
  #freedAtMs = 0;
  /** Whether a timer is set that looks for actions that have waited long enough. */
  #isDispatchDue = false;
  /** Whether a timer is set that ends idle isolates. */
  #sweeping = false;
  #closed = false;

  constructor(options: ActionPoolOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#environment = options.environment;
    this.#warmUps = new WarmUps(options.environment);
  }

  run(
    manifest: DeploymentManifest,
    call: FunctionCall,
    body: Uint8Array,
    host: ActionHost,
    client = "",
  ): Promise<CallResult> {
    if (this.#closed) return Promise.reject(shuttingDown());
    return new Promise((resolve, reject) => {
      const waitingSinceMs = this.#environment.monotonicMs();
      const task: Task = {
        ...{ manifest, call, body, host, client, waitingSinceMs },
        ...{ resolve, reject, cancelTimer },
      };
      const cancelWait = this.#environment.setTimer(
        this.#config.queueWaitMs,
        () => this.#giveUp(task),
      );
      function cancelTimer() {
        cancelWait();
      }
      this.#waiting.push(task);
      this.#dispatch();
    });
  }

  get callCounts(): { readonly running: number; readonly waiting: number } {
    const running = [...this.#slots].filter((slot) => slot.running !== null).length;
    return { running, waiting: this.#waiting.size };
  }

  /** See `Isolates.prepare`. An isolate that runs an action has no time for it. */
  async prepare(manifest: DeploymentManifest): Promise<void> {
    await this.#warmUps.run(this.#idleSlots().map(({ isolate }) => isolate), manifest);
  }

  retire(deployment: string): void {
    for (const { isolate } of this.#slots) isolate.unload(deployment);
  }

  /** Ends all isolates, each after what it runs. */
  renew(): void {
    for (const slot of this.#slots) {
      slot.state = "retiring";
      if (slot.running === null) slot.isolate.terminate();
    }
    this.#dispatch();
  }

  close(): void {
    this.#closed = true;
    const running = [...this.#slots].flatMap(({ running }) =>
      running === null ? [] : [running.task]
    );
    for (const { running } of this.#slots) running?.bodies?.end("The server is stopping");
    for (const task of [...this.#waiting, ...running]) {
      task.cancelTimer();
      task.reject(shuttingDown());
    }
    this.#slots.clear();
  }

  #giveUp(task: Task): void {
    this.#waiting.remove(task);
    const limit = this.#config.actionIsolatesMax;
    task.reject(tooManyConcurrent("action", limit, "HULL_ACTION_ISOLATES_MAX"));
  }

  #dispatch(): void {
    let starting = 0;
    for (const slot of this.#slots) {
      if (slot.state === "starting") starting++;
      const task = slot.state === "ready" && slot.running === null ? this.#next() : undefined;
      if (task !== undefined) {
        this.#waiting.remove(task);
        this.#hand(slot, task);
      }
    }
    const wanted = this.#wantedStarts();
    for (; starting < wanted && this.#slots.size < this.#config.actionIsolatesMax; starting++) {
      this.#spawn();
    }
  }

  /** The action whose turn it is. */
  #next(): Task | undefined {
    if (this.#waiting.size === 0) return undefined;
    const running = new Map<string, number>();
    for (const slot of this.#slots) {
      if (slot.running === null) continue;
      const { client } = slot.running.task;
      running.set(client, (running.get(client) ?? 0) + 1);
    }
    const max = actionsOfClientMax(this.#config.actionIsolatesMax);
    return this.#waiting.first((client) => {
      const count = running.get(client) ?? 0;
      return count < max ? count : Infinity;
    }, 0);
  }

  /** How many isolates should be starting now. Looks again when that may have changed. */
  #wantedStarts(): number {
    const first = this.#next();
    if (first === undefined) return 0;
    const isAnyReady = [...this.#slots].some(({ state }) => state === "ready");
    const now = this.#environment.monotonicMs();
    const waitedMs = now - first.waitingSinceMs;
    const stillMs = Math.min(waitedMs, now - this.#freedAtMs);
    if (!isAnyReady || stillMs >= standstillMs) return Math.min(this.#waiting.size, startingMax);
    this.#dispatchIn(standstillMs - stillMs);
    return waitedMs >= patienceMs ? 1 : 0;
  }

  #dispatchIn(ms: number): void {
    if (this.#isDispatchDue) return;
    this.#isDispatchDue = true;
    this.#environment.setTimer(ms, () => {
      this.#isDispatchDue = false;
      if (!this.#closed) this.#dispatch();
    });
  }

  #spawn(): void {
    const isolate = this.#options.spawn({
      message: (message, body) => this.#receive(slot, message, body),
      died: (death) => this.#died(slot, death),
    });
    const slot: Slot = { isolate, state: "starting", running: null, idleSinceMs: 0 };
    this.#slots.add(slot);
  }

  #hand(slot: Slot, task: Task): void {
    const callId = this.#nextCallId++;
    task.cancelTimer();
    // The executor ends actions in time; this is for one that cannot, or does not want to.
    const timeoutMs = this.#config.actionTimeoutS * 1000 + watchSlackMs;
    const cancelTimer = this.#environment.setTimer(timeoutMs, () => slot.isolate.terminate());
    const startedAtMs = this.#environment.monotonicMs();
    const { client } = task.host;
    const bodies = client === undefined
      ? null
      : new HttpBodies(callId, client, (message, piece) => slot.isolate.send(message, piece));
    slot.running = { callId, task: { ...task, cancelTimer }, startedAtMs, operations: 0, bodies };
    slot.isolate.load(task.manifest);
    slot.isolate.send({ type: "call", callId, call: task.call }, task.body);
    bodies?.begin();
  }

  #receive(slot: Slot, message: FromIsolate, body: Uint8Array): void {
    if (message.type === "ready") {
      if (slot.state === "starting") slot.state = "ready";
      this.#rest(slot);
      return this.#dispatch();
    }
    if (message.type === "warm") return this.#warmUps.ended(slot.isolate.number);
    const { running } = slot;
    if (running === null || running.callId !== message.callId) return;
    switch (message.type) {
      case "result": {
        const { outcome, logLines, usage } = message;
        if (message.isLast === true) slot.state = "retiring";
        this.#finish(slot, running);
        running.bodies?.end(outcome.kind === "failure" ? outcome.failure.message : null);
        return running.task.resolve({ outcome, body, logLines, usage });
      }
      case "log":
        return running.task.host.log(message.logLines);
      case "operation":
        this.#operate(slot, running, message, body);
        return;
      case "wantRequestPiece":
      case "response":
      case "responsePiece":
        // Otherwise somebody else is speaking.
        if (!running.bodies?.receive(message, body)) slot.isolate.terminate();
        return;
      case "analyzed":
        // Its program sends none of these here: somebody else is speaking.
        return slot.isolate.terminate();
    }
  }

  #finish(slot: Slot, running: Running): void {
    running.task.cancelTimer();
    slot.running = null;
    if (slot.state === "retiring") slot.isolate.terminate();
    else this.#rest(slot);
    this.#dispatch();
  }

  async #operate(
    slot: Slot,
    running: Running,
    message: FromIsolate & { type: "operation" },
    body: Uint8Array,
  ): Promise<void> {
    if (running.operations >= operationsMax) return slot.isolate.terminate();
    running.operations++;
    const [answer, answerBody] = await answerOperation(running.task.host, message, body);
    running.operations--;
    if (slot.running === running) slot.isolate.send(answer, answerBody);
  }

  #died(slot: Slot, { reason }: Death): void {
    this.#slots.delete(slot);
    this.#warmUps.ended(slot.isolate.number);
    const { running } = slot;
    if (running !== null && !this.#closed) {
      running.task.cancelTimer();
      const message = deathMessage(reason, true, this.#config) ?? lostActionMessage;
      running.bodies?.end(message);
      const durationMs = this.#environment.monotonicMs() - running.startedAtMs;
      running.task.resolve(failedCall(message, durationMs));
    }
    if (!this.#closed) this.#dispatch();
  }

  #rest(slot: Slot): void {
    slot.idleSinceMs = this.#freedAtMs = this.#environment.monotonicMs();
    this.#sweepLater();
  }

  #idleSlots(): Slot[] {
    return [...this.#slots].filter(({ state, running }) => state === "ready" && running === null);
  }

  #sweepLater(): void {
    if (this.#sweeping || this.#closed || this.#idleSlots().length < 2) return;
    this.#sweeping = true;
    this.#environment.setTimer(idleMs, () => {
      this.#sweeping = false;
      this.#sweep();
      this.#sweepLater();
    });
  }

  /** Ends the isolates that have been idle for long, but for one. */
  #sweep(): void {
    const now = this.#environment.monotonicMs();
    for (const slot of this.#idleSlots().slice(1)) {
      if (now - slot.idleSinceMs < idleMs) continue;
      slot.state = "retiring";
      slot.isolate.terminate();
    }
  }
}
