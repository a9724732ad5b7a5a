/**
 * Ends isolates whose call overruns its time or fills the memory. It looks at the heartbeats often while something
 * runs and not at all otherwise.
 */
import { idleIsolateMiB } from "../src/isolate/isolate_data.ts";
import { type ExpiryReason, Heartbeat } from "../src/isolate/heartbeat.ts";

const MiB = 1024 * 1024;

/** How much later than its deadline a call may end. */
const periodMs = 20;
/**
 * How long to go on looking after the last message to an isolate. It covers the time between the message and the
 * heartbeat, during which modules may be loaded.
 */
const vigilanceMs = 10_000;
/** Every how many looks the memory is reported. */
const reportPeriod = 50;
/**
 * Share of its heap by which the process must have grown during a call for its time-out to be called by its real name:
 * collecting garbage in a heap that is nearly full takes all the time there is.
 */
const fullShare = 0.75;
/** Share of the process's memory at which the isolate that is busy filling it is ended. */
const alarmShare = 0.8;

export interface WatchEvents {
  /** The call that the isolate is running must be ended, and the isolate with it. */
  expired(isolate: number, reason: ExpiryReason): void;
  /** Resident memory of the process, now and then while something runs. */
  memory(residentBytes: number): void;
  /** Which of these isolates is filling the memory. */
  busiest(isolates: readonly number[]): Promise<number>;
}

interface Watched {
  readonly heartbeat: Heartbeat;
  /** The call that was running at the last look, and what the process took at the first look at it. */
  callId: number | null;
  residentAtFirst: number;
}

export class Watch {
  readonly #isolates = new Map<number, Watched>();
  readonly #heapMiB: number;
  /** For everything that isolates hold beyond what an idle one takes. */
  readonly #memoryMiB: number;
  readonly #events: WatchEvents;
  #timer: ReturnType<typeof setInterval> | undefined;
  #until = 0;
  #looks = 0;
  /** While the busiest isolate is being found, no second one is chosen. */
  #alarmed = false;

  constructor(memoryMiB: number, heapMiB: number, events: WatchEvents) {
    this.#memoryMiB = memoryMiB;
    this.#heapMiB = heapMiB;
    this.#events = events;
  }

  add(isolate: number, heartbeat: SharedArrayBuffer): void {
    this.#isolates.set(isolate, {
      heartbeat: new Heartbeat(heartbeat),
      callId: null,
      residentAtFirst: 0,
    });
  }

  remove(isolate: number): void {
    this.#isolates.delete(isolate);
  }

  /** The call that an isolate is running; null if none. */
  running(isolate: number): number | null {
    return this.#isolates.get(isolate)?.heartbeat.running ?? null;
  }

  /** To be called for each message to an isolate. */
  wake(): void {
    this.#until = Date.now() + vigilanceMs;
    this.#timer ??= setInterval(() => this.#look(), periodMs);
  }

  #look(): void {
    const now = Date.now();
    const resident = Deno.memoryUsage().rss;
    const running: number[] = [];
    for (const [isolate, watched] of this.#isolates) {
      const { heartbeat, callId } = watched;
      watched.callId = heartbeat.running;
      if (watched.callId !== null) running.push(isolate);
      if (watched.callId !== callId) watched.residentAtFirst = resident;
      const reason = heartbeat.expired(now);
      if (reason === null) continue;
      const isFull = resident - watched.residentAtFirst > this.#heapMiB * fullShare * MiB;
      this.#events.expired(isolate, reason === "timeout" && isFull ? "heap" : reason);
    }
    this.#checkMemory(resident, running);
    if (running.length > 0) this.#until = Math.max(this.#until, now + periodMs);
    if (now > this.#until) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #checkMemory(resident: number, running: readonly number[]): void {
    if (this.#looks++ % reportPeriod === 0) this.#events.memory(resident);
    const alarmMiB = this.#memoryMiB * alarmShare + this.#isolates.size * idleIsolateMiB;
    if (resident < alarmMiB * MiB || running.length === 0 || this.#alarmed) return;
    this.#alarmed = true;
    this.#events.busiest(running).then((isolate) => {
      this.#alarmed = false;
      if (this.running(isolate) !== null) this.#events.expired(isolate, "heap");
    });
  }
}
