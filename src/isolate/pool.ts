/**
 * Which isolate runs the next query or mutation.
 *
 * Calls wait in one queue, in which clients take turns (client_shares.ts). A few are handed to each isolate ahead of time, so that it never idles between two calls;
 * it runs them one after the other. When the first of them turns out to be slow, those behind it are revoked and
 * go back to the front of the queue. A revoked call may nevertheless have run: its answer is ignored, and the
 * isolate is told to forget its writes.
 *
 *     waiting ──hand──▶ slot.queue: [running, ahead, ahead, …] ──result──▶ caller
 *        ▲                                  │
 *        └──────── revoke, death ───────────┘
 *
 * Calls of one lane stay on one isolate, each client's in order: those that do not fit into its queue wait in its
 * backlog.
 *
 * Where there are several clients, an isolate has at most `aheadMax` calls of each, and while several call, each is on
 * all isolates but one: so who comes meets an isolate that is free, or waits for what runs there and little more.
 *
 * One isolate starts with the pool, unless it is told otherwise. Another one, up to the limit, starts when calls have been waiting in
 * the shared queue for a while: most servers never need it, and start faster and smaller without.
 *
 * From the first time that an isolate dies, the pool keeps one more than may run, so that the place of the next one
 * is taken at once. Most servers never see a death, and need not pay for it with memory.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { ClientShares } from "./client_shares.ts";
import { FairQueue } from "./fair_queue.ts";
import type { Death, Isolate, IsolateListener } from "./isolate.ts";
import type { CallResult, TransactionOptions } from "./isolates.ts";
import {
  deathMessage,
  failedCall,
  lostTooOften,
  shuttingDown,
  tooManyConcurrent,
} from "./outcomes.ts";
import type { DeploymentManifest, FromIsolate, FunctionCall } from "./protocol.ts";
import { WarmUps } from "./warm_ups.ts";

/**
 * A running call older than this no longer keeps others waiting behind it, in milliseconds. Longer than collecting
 * garbage and a busy machine stall a quick one: calls that were taken back needlessly are work for nothing.
 */
const slowMs = 25;
/** Calls of one client on one isolate while others call, too: what runs, and what keeps it from idling after that. */
const aheadMax = 2;
/** How often running and waiting calls are looked at, in milliseconds. */
const tickMs = 5;
/** How long the shared queue may go without being empty before another isolate starts, in milliseconds. */
const crowdedMsMax = 50;
/** How often a call is run again after its isolate was lost while it ran, and how often it is moved at all. */
const lossesMax = 3;
const movesMax = 30;
/** What the executor's own watch (runtime/watch.ts) takes at most to end a call that is over its time, in milliseconds. */
const watchSlackMs = 10_000;

/** What the pool needs of an isolate; see isolate.ts. */
export type PooledIsolate = Pick<Isolate, "number" | "send" | "load" | "unload" | "terminate">;

export interface TransactionPoolOptions {
  readonly config: Config;
  readonly environment: Environment;
  spawn(listener: IsolateListener): PooledIsolate;
}

interface Task {
  readonly manifest: DeploymentManifest;
  readonly call: FunctionCall;
  readonly args: string;
  readonly lane: string | undefined;
  readonly client: string;
  readonly queuedAtMs: number;
  /** How often it was running when its isolate was lost, and how often it was on one that was lost. */
  losses: number;
  moves: number;
  resolve(result: CallResult): void;
  reject(error: Error): void;
}

interface Handed {
  readonly callId: number;
  readonly task: Task;
}

/** Where a lane's calls go, while it has any. */
interface Lane {
  readonly slot: Slot;
  calls: number;
}

/** The next call of an isolate, and where it waits. */
interface Turn {
  readonly slot: Slot;
  readonly queue: FairQueue<Task>;
  readonly task: Task;
}

interface Slot {
  readonly isolate: PooledIsolate;
  /** `starting` until it says `ready`; `retiring`: to be ended as soon as others can take its place. */
  state: "starting" | "ready" | "retiring";
  /** Handed to the isolate; the first one is running. */
  queue: Handed[];
  /** Calls of its lanes that found the queue full. */
  readonly backlog: FairQueue<Task>;
  /** Since when the first call of the queue has been running, monotonic. */
  headSinceMs: number;
  /** How many calls may be in the queue: one after a slow call, then more and more. */
  depth: number;
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
  readonly #waiting = new FairQueue<Task>();
  readonly #shares = new ClientShares();
  /** Since when there have been waiting calls at every look; null: there were none at the last one. */
  #crowdedSinceMs: number | null = null;
  readonly #lanes = new Map<string, Lane>();
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
    const { transactionIsolates, transactionIsolatesAtFirst } = this.#config;
    const first = Math.min(transactionIsolatesAtFirst, transactionIsolates);
    while (this.#slots.size < first) this.#slots.add(this.#spawn());
  }

  /** Resolves once a first isolate can take calls. */
  ready(): Promise<void> {
    if (this.#hasFresh()) return Promise.resolve();
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
    this.#shares.arrived(client, queuedAtMs);
    this.#wait({
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
    return { running, waiting: this.#waiting.size + handed - running };
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
    for (const task of this.#waiting) task.reject(shuttingDown());
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

  #hasFresh(): boolean {
    for (const { state } of this.#slots) if (state === "ready") return true;
    return false;
  }

  // Handing out

  /** Puts a call where it waits for its turn. */
  #wait(task: Task): void {
    const lane = task.lane === undefined ? undefined : this.#lanes.get(task.lane);
    if (lane === undefined) {
      this.#waiting.push(task);
    } else {
      lane.calls++;
      lane.slot.backlog.push(task);
    }
  }

  #dispatch(): void {
    for (let next = this.#next(); next !== null; next = this.#next()) {
      const { slot, queue, task } = next;
      this.#shares.chosen(task.client);
      queue.shift(task.client);
      if (queue === this.#waiting && task.lane !== undefined) this.#enterLane(task.lane, slot);
      this.#hand(slot, task);
    }
    this.#tick();
  }

  /** What the isolate with the least to do takes; null when none has a call to take. */
  #next(): Turn | null {
    const now = this.#environment.monotonicMs();
    const hasFresh = this.#hasFresh();
    let best: Turn | null = null;
    for (const slot of this.#slots) {
      if (slot.state === "starting" || (slot.state === "retiring" && hasFresh)) continue;
      if (slot.queue.length >= slot.depth || isSlow(slot, now)) continue;
      if (best !== null && slot.queue.length >= best.slot.queue.length) continue;
      best = this.#turnOf(slot) ?? best;
    }
    return best;
  }

  /** Whose turn it is on an isolate: the client's that has had least. */
  #turnOf(slot: Slot): Turn | null {
    const own = this.#firstOf(slot.backlog, slot, () => true);
    const shared = this.#firstOf(this.#waiting, slot, (client) => this.#mayBeOn(slot, client));
    const ownTurn = own === undefined ? null : { slot, queue: slot.backlog, task: own };
    if (shared === undefined) return ownTurn;
    const sharedTurn = { slot, queue: this.#waiting, task: shared };
    if (own === undefined) return sharedTurn;
    const difference = this.#shares.usedMs(own.client) - this.#shares.usedMs(shared.client) ||
      own.queuedAtMs - shared.queuedAtMs;
    return difference <= 0 ? ownTurn : sharedTurn;
  }

  #firstOf(
    queue: FairQueue<Task>,
    slot: Slot,
    isAllowed: (client: string) => boolean,
  ): Task | undefined {
    if (queue.size === 0) return undefined;
    const shares = this.#shares;
    const rank = (client: string) => isAllowed(client) ? shares.usedMs(client) : Infinity;
    const first = queue.first(rank, shares.lowest);
    if (first === undefined || this.#mayHaveMore(slot, first.client)) return first;
    // Nobody who has had more overtakes it: it will have its turn when one of its calls there has ended.
    const usedMs = shares.usedMs(first.client);
    return queue.first(
      (client) => rank(client) <= usedMs && this.#mayHaveMore(slot, client) ? usedMs : Infinity,
      usedMs,
    );
  }

  /** Whether one more call of this client would be no more of them ahead than others put up with. */
  #mayHaveMore(slot: Slot, client: string): boolean {
    return !this.#shares.areSeveral || callsOf(slot, client) < aheadMax;
  }

  /** Whether there would be an isolate that this client is not on. Calls of a lane have no choice. */
  #mayBeOn(slot: Slot, client: string): boolean {
    if (!this.#shares.areSeveralActive || callsOf(slot, client) > 0) return true;
    let occupied = 0;
    for (const other of this.#slots) if (callsOf(other, client) > 0) occupied++;
    return occupied < Math.max(1, this.#config.transactionIsolates - 1);
  }

  #enterLane(name: string, slot: Slot): void {
    const lane = this.#lanes.get(name) ?? { slot, calls: 0 };
    this.#lanes.set(name, lane);
    lane.calls++;
  }

  #hand(slot: Slot, task: Task): void {
    const lane = task.lane === undefined ? undefined : this.#lanes.get(task.lane)!;
    if (lane !== undefined && lane.slot !== slot) {
      // An earlier call of this lane left the shared queue before and went elsewhere.
      lane.slot.backlog.push(task);
      return;
    }
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
    this.#shares.used(task.client, now - slot.headSinceMs);
    slot.headSinceMs = now;
    this.#leave(task);
    task.resolve({ outcome, body, logLines, usage });
    if (slot.state === "retiring" && this.#hasFresh()) this.#drain(slot);
    this.#dispatch();
  }

  /** A call is over. */
  #leave(task: Task): void {
    this.#shares.left(task.client);
    this.#leaveLane(task);
  }

  #leaveLane(task: Task): void {
    if (task.lane === undefined) return;
    const lane = this.#lanes.get(task.lane);
    if (lane !== undefined && --lane.calls === 0) this.#lanes.delete(task.lane);
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
    this.#requeue(slot, revoked.map(({ task }) => task), head.task.lane);
  }

  /** Puts calls back in front of all others, and with them what waits for the slot in their lanes. */
  #requeue(slot: Slot, tasks: readonly Task[], keptLane?: string): void {
    const isKept = (task: Task) => task.lane !== undefined && task.lane === keptLane;
    const moved = [...tasks, ...slot.backlog.removeWhere((task) => !isKept(task))];
    for (const task of moved) this.#leaveLane(task);
    this.#waiting.unshift(moved);
  }

  /** Lets a retiring slot finish what runs and nothing else. */
  #drain(slot: Slot): void {
    if (slot.queue.length > 1) this.#revoke(slot);
    this.#requeue(slot, [], slot.queue[0]?.task.lane);
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
      else this.#leave(handed.task);
    }
    if (running !== undefined) {
      const usedMs = this.#environment.monotonicMs() - slot.headSinceMs;
      this.#shares.used(running.task.client, usedMs);
    }
    slot.queue = [];
    this.#requeue(slot, again);
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
    return this.#waiting.size === 0;
  }

  #look(): void {
    const { functionTimeoutMs, databaseTimeoutS } = this.#config;
    const now = this.#environment.monotonicMs();
    const timeoutMs = functionTimeoutMs + databaseTimeoutS * 1000 + watchSlackMs;
    for (const slot of this.#slots) {
      if (slot.queue.length + slot.backlog.size > 1 && isSlow(slot, now)) this.#revoke(slot);
      // The executor ends calls in time; this is for one that cannot, or does not want to.
      if (slot.queue.length > 0 && now - slot.headSinceMs > timeoutMs) slot.isolate.terminate();
      for (const task of this.#removeExpired(slot.backlog, now)) this.#leaveLane(task);
    }
    this.#removeExpired(this.#waiting, now);
    this.#growIfCrowded(now);
  }

  #growIfCrowded(now: number): void {
    if (this.#waiting.size === 0) {
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
  #removeExpired(queue: FairQueue<Task>, nowMs: number): readonly Task[] {
    if (queue.size === 0) return [];
    const { queueWaitMs, transactionIsolates } = this.#config;
    const expired = queue.removeWhere(({ queuedAtMs }) => nowMs - queuedAtMs > queueWaitMs);
    for (const task of expired) {
      this.#shares.left(task.client);
      const setting = "HULL_TRANSACTION_ISOLATES";
      task.reject(tooManyConcurrent(task.call.kind, transactionIsolates, setting));
    }
    return expired;
  }
}

function callsOf({ queue }: Slot, client: string): number {
  let count = 0;
  for (const { task } of queue) if (task.client === client) count++;
  return count;
}

function isSlow(slot: Slot, nowMs: number): boolean {
  return slot.queue.length > 0 && nowMs - slot.headSinceMs > slowMs;
}

/**
 * Which of the handed calls was running; none if the isolate was idle, or busy with one that had been revoked. When
 * nobody knows, the first one is held to have been.
 */
function runningCall(handed: readonly Handed[], { callId }: Death): Handed | undefined {
  if (callId === undefined) return handed[0];
  return handed.find((other) => other.callId === callId);
}
