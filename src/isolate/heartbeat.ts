/**
 * How an isolate's watcher, on another thread of the same process, learns that a call overran its
 * time. The isolate notes each change between running user code and waiting for the database in shared
 * memory; the watcher polls. A call has two clocks and only one runs at a time: user time stops while the
 * database works.
 *
 * Times are milliseconds since the epoch, because that is the only clock that two threads agree on.
 *
 *     i32[0] version   grows with every change; a reader that sees it move discards what it read
 *     i32[1] phase     0 idle, 1 user code, 2 database, 3 out of memory
 *     i32[2] callId
 *     f64[2] when the running phase overruns
 *     f64[3] what is left for the other phase
 */
const { add, load } = Atomics;
const now = Date.now; // kept: user code later sees another Date

const versionIndex = 0, phaseIndex = 1, callIdIndex = 2;
const idle = 0, user = 1, database = 2, outOfMemory = 3;
const deadlineIndex = 2, otherRemainingIndex = 3;

/** By phase. */
const reasons: readonly (Expiry["reason"] | null)[] = [null, "timeout", "databaseTimeout", "heap"];

export interface Expiry {
  readonly callId: number;
  readonly reason: "timeout" | "databaseTimeout" | "heap";
}

export class Heartbeat {
  readonly #integers: Int32Array;
  readonly #times: Float64Array;

  /** The memory for one isolate. */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(32);
  }

  constructor(memory: SharedArrayBuffer) {
    this.#integers = new Int32Array(memory);
    this.#times = new Float64Array(memory);
  }

  /** Isolate: a call starts with user code. It may use `userMs` for that and `databaseMs` for the database. */
  begin(callId: number, userMs: number, databaseMs: number): void {
    this.#integers[callIdIndex] = callId;
    this.#change(user, now() + userMs, databaseMs);
  }

  /** Isolate: from here the time is the database's. */
  pauseUser(): void {
    if (this.#integers[phaseIndex] === user) this.#swap(database);
  }

  /** Isolate: from here the time is user code's again. */
  resumeUser(): void {
    if (this.#integers[phaseIndex] === database) this.#swap(user);
  }

  /** Isolate: the call ended. */
  end(): void {
    this.#change(idle, Infinity, 0);
  }

  /** Isolate: the call that is running was cut off because the heap is full; it will never end by itself. */
  exhausted(): void {
    if (this.#integers[phaseIndex] !== idle) this.#change(outOfMemory, -Infinity, 0);
  }

  /** Watcher: the call that must be ended at `nowMs`, if any. */
  expired(nowMs: number): Expiry | null {
    const version = load(this.#integers, versionIndex);
    const phase = this.#integers[phaseIndex];
    const callId = this.#integers[callIdIndex]!;
    const overrun = phase !== idle && nowMs > this.#times[deadlineIndex]!;
    if (!overrun || load(this.#integers, versionIndex) !== version) return null;
    return { callId, reason: reasons[phase!] ?? "timeout" };
  }

  /** Watcher: the call that is running now, or null. */
  get running(): number | null {
    return this.#integers[phaseIndex] === idle ? null : this.#integers[callIdIndex]!;
  }

  #swap(phase: number): void {
    const time = now();
    const remaining = this.#times[deadlineIndex]! - time;
    this.#change(phase, time + this.#times[otherRemainingIndex]!, remaining);
  }

  #change(phase: number, deadline: number, otherRemaining: number): void {
    add(this.#integers, versionIndex, 1);
    this.#times[deadlineIndex] = deadline;
    this.#times[otherRemainingIndex] = otherRemaining;
    this.#integers[phaseIndex] = phase;
    add(this.#integers, versionIndex, 1);
  }
}
