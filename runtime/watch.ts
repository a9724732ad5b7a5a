/**
 * Ends isolates whose call overruns its time or fills the memory. It looks at the heartbeats often while something
 * runs and not at all otherwise.
 *
 * On a crowded machine a thread may go without the processor for seconds, which is not its function's fault. So where a
 * limit is meant for computing, a call that seems to have overrun it gets the time back that its thread did not run.
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
/** How much time a call gets back at most: it may be asleep, or wait for work that it gave to other threads. */
const returnedMsMax = 4000;
/**
 * Share of its heap by which the process must have grown for a time-out to be suspected of having another cause:
 * collecting garbage in a heap that is nearly full takes all the time there is.
 */
const fullShare = 0.75;
/** How long after the time-out V8 may take to find out that the heap is full, in milliseconds. */
const fullMsMax = 2000;
/** Share of the process's memory at which the isolate that is busy filling it is ended. */
const alarmShare = 0.8;
/** Processor times come in steps of 10 ms; this is long enough to tell a busy thread from an idle one. */
const sampleMs = 60;

export interface WatchOptions {
  readonly memoryMiB: number;
  readonly heapMiB: number;
  /** Whether calls may use their time on the processor, however long that takes; otherwise real time counts. */
  readonly countsProcessorTime: boolean;
}

export interface WatchEvents {
  /** The call that the isolate is running must be ended, and the isolate with it. */
  expired(isolate: number, reason: ExpiryReason): void;
  /** Resident memory of the process, now and then while something runs. */
  memory(residentBytes: number): void;
  /** See Host. */
  processorTimes(isolates: readonly number[]): Promise<number[]>;
}

interface Watched {
  readonly heartbeat: Heartbeat;
  /** The call that was running at the last look, and what the process took at the first look at it. */
  callId: number | null;
  /** What the process took before that call, in bytes. */
  residentBefore: number;
  /** How many isolates had been added before. */
  addedBefore: number;
  /** When that call had not begun yet. */
  notBegunMs: number;
  /** Processor time of the thread at the second look at that call, in milliseconds: most calls are over by then. */
  firstUsedMs: Promise<number> | null;
}

export class Watch {
  readonly #isolates = new Map<number, Watched>();
  readonly #options: WatchOptions;
  readonly #events: WatchEvents;
  /** When the last look was, and resident memory then, in bytes. */
  #lookedMs = 0;
  #resident = 0;
  /** Isolates so far. */
  #added = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  #until = 0;
  #looks = 0;
  /**
   * Only one isolate is ever blamed: its thread may go on filling the memory, and the process is about to be replaced.
   * Until then the operating system's limit holds.
   */
  #alarmed = false;

  constructor(options: WatchOptions, events: WatchEvents) {
    this.#options = options;
    this.#events = events;
  }

  add(isolate: number, heartbeat: SharedArrayBuffer): void {
    this.#added++;
    this.#isolates.set(isolate, {
      heartbeat: new Heartbeat(heartbeat),
      callId: null,
      residentBefore: 0,
      addedBefore: 0,
      notBegunMs: 0,
      firstUsedMs: null,
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
    if (this.#timer !== undefined) return;
    this.#lookedMs = Date.now();
    this.#resident = Deno.memoryUsage().rss;
    this.#timer = setInterval(() => this.#look(), periodMs);
  }

  #look(): void {
    const now = Date.now();
    const lookedBeforeMs = this.#lookedMs, residentBefore = this.#resident;
    this.#lookedMs = now;
    this.#resident = Deno.memoryUsage().rss;
    const running: number[] = [];
    for (const [isolate, watched] of this.#isolates) {
      const { heartbeat, callId } = watched;
      watched.callId = heartbeat.running;
      if (watched.callId !== null) running.push(isolate);
      if (watched.callId !== callId) {
        watched.residentBefore = residentBefore;
        watched.addedBefore = this.#added;
        watched.notBegunMs = lookedBeforeMs;
        watched.firstUsedMs = null;
      } else if (watched.callId !== null && this.#options.countsProcessorTime) {
        watched.firstUsedMs ??= this.#usedMs(isolate);
      }
      const reason = heartbeat.expired(now);
      if (reason === "timeout") this.#checkTime(isolate, watched);
      else if (reason !== null) this.#events.expired(isolate, reason);
    }
    this.#checkMemory(running);
    if (running.length > 0) this.#until = Math.max(this.#until, now + periodMs);
    if (now > this.#until) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  /** Ends a call that is over its time, unless its thread has not had the processor for that long. */
  async #checkTime(isolate: number, watched: Watched): Promise<void> {
    const { heartbeat, callId, firstUsedMs, notBegunMs } = watched;
    if (this.#options.countsProcessorTime) {
      if (firstUsedMs === null) return; // This thread went without the processor, too.
      const usedBeforeMs = await firstUsedMs;
      const usedMs = await this.#usedMs(isolate) - usedBeforeMs;
      const now = Date.now();
      if (heartbeat.running !== callId || heartbeat.expired(now) !== "timeout") return;
      const returnedMs = Math.min(now - notBegunMs - usedMs, returnedMsMax);
      if (now < heartbeat.deadlineMs + returnedMs) return;
    }
    const mayBeFull = this.#mayBeFull(watched);
    if (mayBeFull && Date.now() < heartbeat.deadlineMs + fullMsMax) return;
    this.#events.expired(isolate, mayBeFull ? "heap" : "timeout");
  }

  #mayBeFull({ residentBefore, addedBefore }: Watched): boolean {
    const addedMiB = (this.#added - addedBefore) * idleIsolateMiB;
    const grownMiB = (this.#resident - residentBefore) / MiB - addedMiB;
    return grownMiB > this.#options.heapMiB * fullShare;
  }

  async #usedMs(isolate: number): Promise<number> {
    const [usedMs] = await this.#events.processorTimes([isolate]);
    return usedMs!;
  }

  #checkMemory(running: readonly number[]): void {
    if (this.#looks++ % reportPeriod === 0) this.#events.memory(this.#resident);
    const alarmMiB = this.#options.memoryMiB * alarmShare + this.#isolates.size * idleIsolateMiB;
    if (this.#resident < alarmMiB * MiB || running.length === 0 || this.#alarmed) return;
    this.#alarmed = true;
    this.#busiest(running).then((isolate) => {
      this.#alarmed = this.running(isolate) !== null;
      if (this.#alarmed) this.#events.expired(isolate, "heap");
    });
  }

  /** Which isolate is filling the memory. */
  async #busiest(isolates: readonly number[]): Promise<number> {
    const before = await this.#events.processorTimes(isolates);
    await new Promise((resolve) => setTimeout(resolve, sampleMs));
    const after = await this.#events.processorTimes(isolates);
    const used = isolates.map((_, index) => after[index]! - before[index]!);
    return isolates[used.indexOf(Math.max(...used))]!;
  }
}
