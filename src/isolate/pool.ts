/**
 * Which isolate runs the next query or mutation.
 *
 * Calls wait for their turn (turns.ts). A few are handed to each isolate ahead of time, so that it never idles between
 * two calls; it runs them one after the other. When the first of them turns out to be slow, those behind it are
 * revoked and go back to the front of the queue. A revoked call may nevertheless have run: its answer is ignored, and
 * the isolate is told to forget its writes.
 *
 *     waiting ──hand──▶ slot.queue: [running, ahead, ahead, …] ──result──▶ caller
 *        ▲                                  │
 *        └──────── revoke, death ───────────┘
 *
 * One isolate starts with the pool, unless it is told otherwise. Another one, up to the limit, starts when calls have
 * been waiting in the shared queue for a while: most servers never need it, and start faster and smaller without.
 *
 * From the first time that an isolate dies, the pool keeps one more than may run, so that the place of the next one
 * is taken at once. Most servers never see a death, and need not pay for it with memory.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { FairQueue } from "./fair_queue.ts";
import type { Death, IsolateListener } from "./isolate.ts";
import type { CallResult, TransactionOptions } from "./isolates.ts";
import {
  deathMessage,
  failedCall,
  lostTooOften,
  shuttingDown,
  tooManyConcurrent,
} from "./outcomes.ts";
import {
  type Handed,
  hasFresh,
  isSlow,
  type PooledIsolate,
  type Slot,
  type Task,
} from "./pool_slot.ts";
import type { DeploymentManifest, FromIsolate, FunctionCall } from "./protocol.ts";
import { Turns } from "./turns.ts";
import { WarmUps } from "./warm_ups.ts";

/** How often running and waiting calls are looked at, in milliseconds. */
const tickMs = 5;
/** How long the shared queue may go without being empty before another isolate starts, in milliseconds. */
const crowdedMsMax = 50;
/** How often a call is run again after its isolate was lost while it ran, and how often it is moved at all. */
const lossesMax = 3;
const movesMax = 30;
/** What the executor's own watch (runtime/watch.ts) takes at most to end a call that is over its time, in milliseconds. */
const watchSlackMs = 10_000;

export interface TransactionPoolOptions {
  readonly config: Config;
  readonly environment: Environment;
  spawn(listener: IsolateListener): PooledIsolate;
}

export class TransactionPool {
  readonly #config: Config;
  readonly #environment: Environment;
  readonly #options: TransactionPoolOptions;
  readonly #warmUps: WarmUps;
  /** Isolates that run calls. Those that are retiring do not count towards the limit. */
  readonly #slots = new Set<Slot>();
  #spare: Slot | null = null;
  #wantsSpare = false;
  readonly #turns: Turns;
  /** Since when there have been waiting calls at every look; null: there were none at the last one. */
  #crowdedSinceMs: number | null = null;
  /** Newest deployment, loaded ahead of the first call. */
  #newest: DeploymentManifest | null = null;
  #nextCallId = 1;
  #ticking = false;
  #closed = false;
  /** Those who wait for the first isolate. */
  #onReady: (() => void)[] = [];

  constructor(options: TransactionPoolOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#environment = options.environment;
    this.#warmUps = new WarmUps(options.environment);
    this.#turns = new Turns(options.config, this.#slots);
    const { transactionIsolates, transactionIsolatesAtFirst } = this.#config;
    const first = Math.min(transactionIsolatesAtFirst, transactionIsolates);
    while (this.#slots.size < first) this.#slots.add(this.#spawn());
  }

  /** Resolves once a first isolate can take calls. */
  ready(): Promise<void> {
    if (hasFresh(this.#slots)) return Promise.resolve();
    return new Promise((resolve) => this.#onReady.push(resolve));
  }

  deploy(manifest: DeploymentManifest): void {
    this.#newest = manifest;
    for (const slot of this.#all()) if (slot.state === "ready") slot.isolate.load(manifest);
  }

  /** See `Isolates.prepare`. */
  async prepare(manifest: DeploymentManifest): Promise<void> {
    const ready = [...this.#all()].filter(({ state }) => state === "ready");
    await this.#warmUps.run(ready.map(({ isolate }) => isolate), manifest);
  }

  retire(deployment: string): void {
    if (this.#newest?.id === deployment) this.#newest = null;
    for (const slot of this.#all()) slot.isolate.unload(deployment);
  }

  run(
    manifest: DeploymentManifest,
    call: FunctionCall,
    args: string,
    { lane, client = "" }: TransactionOptions = {},
  ): Promise<CallResult> {
    if (this.#closed) return Promise.reject(shuttingDown());
    const { promise, resolve, reject } = Promise.withResolvers<CallResult>();
    const queuedAtMs = this.#environment.monotonicMs();
    this.#turns.add({
      ...{ manifest, call, args, lane, client, queuedAtMs },
      ...{ losses: 0, moves: 0, resolve, reject },
    });
    this.#dispatch();
    return promise;
  }

  get callCounts(): { readonly running: number; readonly waiting: number } {
    const slots = [...this.#slots];
    const running = slots.filter(({ queue }) => queue.length > 0).length;
    const handed = slots.reduce(
      (sum, { queue, backlog }) => sum + queue.length + backlog.size,
      0,
    );
    return { running, waiting: this.#turns.waiting.size + handed - running };
  }

  aborted(isolate: number, sequence: number): void {
    for (const slot of this.#all()) {
      if (slot.isolate.number === isolate) slot.isolate.send({ type: "aborted", sequence });
    }
  }

  /** Replaces all isolates by new ones, without losing a call. */
  renew(): void {
    const count = this.#lastingSlots().length;
    for (const slot of this.#slots) slot.state = "retiring";
    this.#spare?.isolate.terminate();
    this.#spare = null;
    for (let spawned = 0; spawned < count; spawned++) this.#slots.add(this.#spawn());
  }

  close(): void {
    this.#closed = true;
    for (const slot of this.#slots) {
      for (const { task } of slot.queue) task.reject(shuttingDown());
      for (const task of slot.backlog) task.reject(shuttingDown());
    }
    for (const task of this.#turns.waiting) task.reject(shuttingDown());
    this.#slots.clear();
  }

  *#all(): Iterable<Slot> {
    yield* this.#slots;
    if (this.#spare !== null) yield this.#spare;
  }

  #spawn(): Slot {
    const isolate = this.#options.spawn({
      message: (message, body) => this.#receive(slot, message, body),
      died: (death) => this.#died(slot, death),
    });
    const slot: Slot = {
      isolate,
      state: "starting",
      queue: [],
      backlog: new FairQueue(),
      headSinceMs: 0,
      depth: this.#config.isolateQueueMax,
    };
    return slot;
  }

  /** Those that count towards the limit. */
  #lastingSlots(): Slot[] {
    return [...this.#slots].filter(({ state }) => state !== "retiring");
  }

  // Handing out

  #dispatch(): void {
    const now = this.#environment.monotonicMs();
    for (let turn = this.#turns.take(now); turn !== null; turn = this.#turns.take(now)) {
      this.#hand(turn.slot, turn.task);
    }
    this.#tick();
  }

  #hand(slot: Slot, task: Task): void {
    const callId = this.#nextCallId++;
    if (slot.queue.length === 0) slot.headSinceMs = this.#environment.monotonicMs();
    slot.queue.push({ callId, task });
    slot.isolate.load(task.manifest);
    slot.isolate.send({ type: "call", callId, call: task.call }, task.args);
  }

  // Answers

  #receive(slot: Slot, message: FromIsolate, body: Uint8Array): void {
    switch (message.type) {
      case "ready":
        return this.#started(slot);
      case "result":
        return this.#result(slot, message, body);
      case "warm":
        return this.#warmUps.ended(slot.isolate.number);
      case "operation":
      case "log":
      case "analyzed":
        // Its program sends none of these here: somebody else is speaking.
        return slot.isolate.terminate();
    }
  }

  #started(slot: Slot): void {
    if (slot.state !== "starting") return;
    slot.state = "ready";
    if (this.#newest !== null) slot.isolate.load(this.#newest);
    for (const other of this.#slots) if (other.state === "retiring") this.#drain(other);
    for (const resolve of this.#onReady.splice(0)) resolve();
    const starting = [...this.#slots].some(({ state }) => state === "starting");
    if (this.#wantsSpare && this.#spare === null && !starting) this.#spare = this.#spawn();
    this.#dispatch();
  }

  #result(slot: Slot, message: FromIsolate & { type: "result" }, body: Uint8Array): void {
    const { callId, outcome, logLines, usage } = message;
    const position = slot.queue.findIndex((handed) => handed.callId === callId);
    const origin = outcome.kind === "success" ? outcome.commit?.origin : undefined;
    if (origin !== undefined && origin.isolate !== slot.isolate.number) {
      return slot.isolate.terminate();
    }
    if (position === -1) {
      // Revoked too late: somebody else runs it, so its writes must never be built on.
      if (origin !== undefined) {
        slot.isolate.send({ type: "aborted", sequence: origin.sequence });
      }
      return;
    }
    const now = this.#environment.monotonicMs();
    if (!isSlow(slot, now)) slot.depth = Math.min(slot.depth * 2, this.#config.isolateQueueMax);
    const [{ task }] = slot.queue.splice(position, 1) as [Handed];
    this.#turns.used(task, now - slot.headSinceMs);
    slot.headSinceMs = now;
    this.#turns.left(task);
    task.resolve({ outcome, body, logLines, usage });
    if (slot.state === "retiring" && hasFresh(this.#slots)) this.#drain(slot);
    this.#dispatch();
  }

  // Taking back

  /** Takes back what waits behind a slow call, in the isolate or for it, except what belongs to the same lane. */
  #revoke(slot: Slot): void {
    const [head, ...behind] = slot.queue as [Handed, ...Handed[]];
    const keeps = ({ task }: Handed) => task.lane !== undefined && task.lane === head.task.lane;
    const revoked = behind.filter((handed) => !keeps(handed));
    slot.queue = [head, ...behind.filter(keeps)];
    slot.depth = 1;
    if (revoked.length > 0) {
      slot.isolate.send({ type: "revoke", callIds: revoked.map(({ callId }) => callId) });
    }
    this.#turns.putBack(slot, revoked.map(({ task }) => task), head.task.lane);
  }

  /** Lets a retiring slot finish what runs and nothing else. */
  #drain(slot: Slot): void {
    if (slot.queue.length > 1) this.#revoke(slot);
    this.#turns.putBack(slot, [], slot.queue[0]?.task.lane);
    if (slot.queue.length === 0) slot.isolate.terminate();
  }

  // Deaths

  #died(slot: Slot, death: Death): void {
    this.#warmUps.ended(slot.isolate.number);
    if (this.#closed || (slot !== this.#spare && !this.#slots.has(slot))) return;
    const running = runningCall(slot.queue, death);
    const again: Task[] = [];
    for (const handed of slot.queue) {
      if (this.#mayRunAgain(handed.task, handed === running, slot, death)) again.push(handed.task);
      else this.#turns.left(handed.task);
    }
    if (running !== undefined) {
      const usedMs = this.#environment.monotonicMs() - slot.headSinceMs;
      this.#turns.used(running.task, usedMs);
    }
    slot.queue = [];
    this.#turns.putBack(slot, again);
    this.#replace(slot);
    this.#dispatch();
  }

  /** Settles a call whose isolate died, unless it is to be run again. */
  #mayRunAgain(task: Task, wasRunning: boolean, slot: Slot, { reason }: Death): boolean {
    const message = wasRunning ? deathMessage(reason, false, this.#config) : null;
    if (message !== null) {
      task.resolve(failedCall(message, this.#environment.monotonicMs() - slot.headSinceMs));
      return false;
    }
    task.losses += wasRunning ? 1 : 0;
    task.moves++;
    if (task.losses <= lossesMax && task.moves <= movesMax) return true;
    task.reject(lostTooOften(task.losses));
    return false;
  }

  #replace(slot: Slot): void {
    if (slot === this.#spare) {
      this.#spare = this.#spawn();
      return;
    }
    this.#slots.delete(slot);
    if (slot.state === "retiring") return;
    this.#wantsSpare = true;
    this.#slots.add(this.#spare ?? this.#spawn());
    this.#spare = this.#spare === null ? null : this.#spawn();
  }

  // Time

  #tick(): void {
    if (this.#ticking || this.#closed || this.#isIdle()) return;
    this.#ticking = true;
    this.#environment.setTimer(tickMs, () => {
      this.#ticking = false;
      this.#look();
      this.#dispatch();
    });
  }

  #isIdle(): boolean {
    for (const { queue, backlog } of this.#slots) {
      if (queue.length + backlog.size > 0) return false;
    }
    return this.#turns.waiting.size === 0;
  }

  #look(): void {
    const { functionTimeoutMs, databaseTimeoutS } = this.#config;
    const now = this.#environment.monotonicMs();
    const timeoutMs = functionTimeoutMs + databaseTimeoutS * 1000 + watchSlackMs;
    for (const slot of this.#slots) {
      if (slot.queue.length + slot.backlog.size > 1 && isSlow(slot, now)) this.#revoke(slot);
      // The executor ends calls in time; this is for one that cannot, or does not want to.
      if (slot.queue.length > 0 && now - slot.headSinceMs > timeoutMs) slot.isolate.terminate();
    }
    this.#refuseExpired(now);
    this.#growIfCrowded(now);
  }

  #growIfCrowded(now: number): void {
    if (this.#turns.waiting.size === 0) {
      this.#crowdedSinceMs = null;
      return;
    }
    this.#crowdedSinceMs ??= now;
    if (now - this.#crowdedSinceMs < crowdedMsMax) return;
    const slots = this.#lastingSlots();
    const isStarting = slots.some(({ state }) => state === "starting");
    if (isStarting || slots.length >= this.#config.transactionIsolates) return;
    this.#slots.add(this.#spawn());
  }

  /** Refuses the calls that have waited for too long. */
  #refuseExpired(nowMs: number): void {
    const { transactionIsolates } = this.#config;
    for (const { call, reject } of this.#turns.removeExpired(nowMs)) {
      reject(tooManyConcurrent(call.kind, transactionIsolates, "HULL_TRANSACTION_ISOLATES"));
    }
  }
}

/**
 * Which of the handed calls was running; none if the isolate was idle, or busy with one that had been revoked. When
 * nobody knows, the first one is held to have been.
 */
function runningCall(handed: readonly Handed[], { callId }: Death): Handed | undefined {
  if (callId === undefined) return handed[0];
  return handed.find((other) => other.callId === callId);
}
