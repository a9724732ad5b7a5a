/**
 * Calls that wait, and which of them an isolate takes next: the oldest one of the client that has had least.
 *
 * Calls of one lane stay on one isolate, each client's in order: those that do not fit into its queue wait in its
 * backlog.
 *
 * Where there are several clients, an isolate has at most `aheadMax` calls of each, and while several call, each is on
 * all isolates but one: so who comes meets an isolate that is free, or waits for what runs there and little more.
 */
import type { Config } from "../config.ts";
import { ClientShares } from "./client_shares.ts";
import { FairQueue } from "./fair_queue.ts";
import { callsOf, hasFresh, isSlow, type Slot, type Task } from "./pool_slot.ts";

/** Calls of one client on one isolate while others call, too: what runs, and what keeps it from idling after that. */
const aheadMax = 2;

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

export class Turns {
  readonly #config: Pick<Config, "transactionIsolates" | "queueWaitMs">;
  readonly #slots: ReadonlySet<Slot>;
  /** For whichever isolate. */
  readonly #waiting = new FairQueue<Task>();
  readonly #shares = new ClientShares();
  readonly #lanes = new Map<string, Lane>();

  /** @param slots The isolates that run calls, as they are at any time. */
  constructor(
    config: Pick<Config, "transactionIsolates" | "queueWaitMs">,
    slots: ReadonlySet<Slot>,
  ) {
    this.#config = config;
    this.#slots = slots;
  }

  /** Calls that any isolate could take. */
  get waiting(): Pick<FairQueue<Task>, "size" | typeof Symbol.iterator> {
    return this.#waiting;
  }

  /** A new call waits for its turn. */
  add(task: Task): void {
    this.#shares.arrived(task.client, task.queuedAtMs);
    const lane = task.lane === undefined ? undefined : this.#lanes.get(task.lane);
    if (lane === undefined) {
      this.#waiting.push(task);
    } else {
      lane.calls++;
      lane.slot.backlog.push(task);
    }
  }

  /** Takes out the call whose turn it is, for the isolate with the least to do; null when none has a call to take. */
  take(nowMs: number): { readonly slot: Slot; readonly task: Task } | null {
    for (let next = this.#next(nowMs); next !== null; next = this.#next(nowMs)) {
      const { slot, queue, task } = next;
      this.#shares.chosen(task.client);
      queue.shift(task.client);
      if (queue === this.#waiting && task.lane !== undefined) this.#enterLane(task.lane, slot);
      const lane = task.lane === undefined ? undefined : this.#lanes.get(task.lane)!;
      if (lane === undefined || lane.slot === slot) return { slot, task };
      // An earlier call of this lane left the shared queue before and went elsewhere.
      lane.slot.backlog.push(task);
    }
    return null;
  }

  /** An isolate was busy with a call. */
  used({ client }: Task, ms: number): void {
    this.#shares.used(client, ms);
  }

  /** A call is over. */
  left(task: Task): void {
    this.#shares.left(task.client);
    this.#leaveLane(task);
  }

  /**
   * Puts calls of an isolate back in front of all others, and with them what waits for it in lanes. Those of `keptLane`
   * stay.
   */
  putBack(slot: Slot, tasks: readonly Task[], keptLane?: string): void {
    const isKept = (task: Task) => task.lane !== undefined && task.lane === keptLane;
    const moved = [...tasks, ...slot.backlog.removeWhere((task) => !isKept(task))];
    for (const task of moved) this.#leaveLane(task);
    this.#waiting.unshift(moved);
  }

  /** Takes out the calls that have waited for too long. */
  removeExpired(nowMs: number): readonly Task[] {
    const inLanes = [...this.#slots].flatMap(({ backlog }) => this.#expired(backlog, nowMs));
    for (const task of inLanes) this.#leaveLane(task);
    const expired = [...inLanes, ...this.#expired(this.#waiting, nowMs)];
    for (const { client } of expired) this.#shares.left(client);
    return expired;
  }

  #expired(queue: FairQueue<Task>, nowMs: number): readonly Task[] {
    if (queue.size === 0) return [];
    const { queueWaitMs } = this.#config;
    return queue.removeWhere(({ queuedAtMs }) => nowMs - queuedAtMs > queueWaitMs);
  }

  #enterLane(name: string, slot: Slot): void {
    const lane = this.#lanes.get(name) ?? { slot, calls: 0 };
    this.#lanes.set(name, lane);
    lane.calls++;
  }

  #leaveLane(task: Task): void {
    if (task.lane === undefined) return;
    const lane = this.#lanes.get(task.lane);
    if (lane !== undefined && --lane.calls === 0) this.#lanes.delete(task.lane);
  }

  #next(nowMs: number): Turn | null {
    const anyFresh = hasFresh(this.#slots);
    let best: Turn | null = null;
    for (const slot of this.#slots) {
      if (slot.state === "starting" || (slot.state === "retiring" && anyFresh)) continue;
      if (slot.queue.length >= slot.depth || isSlow(slot, nowMs)) continue;
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
}
