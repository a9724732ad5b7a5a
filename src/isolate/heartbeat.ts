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
 *     f64[1] callId
 *     f64[2] when the running phase overruns
 *     f64[3] what is left for the other phase
 */
const { add, load } = Atomics;
const now = Date.now; // kept: user code later sees another Date

const versionIndex = 0, phaseIndex = 1;
const idle = 0, user = 1, database = 2, outOfMemory = 3;
const callIdIndex = 1, deadlineIndex = 2, otherRemainingIndex = 3;

/** Why a call must be ended. */
export type ExpiryReason = "timeout" | "databaseTimeout" | "heap";

/** By phase. */
const reasons: readonly (ExpiryReason | null)[] = [null, "timeout", "databaseTimeout", "heap"];

export class Heartbeat {
  readonly #integers: Int32Array;
  readonly #numbers: Float64Array;

  /** The memory for one isolate. */
  static allocate(): SharedArrayBuffer {
    return new SharedArrayBuffer(32);
  }

  constructor(memory: SharedArrayBuffer) {
    this.#integers = new Int32Array(memory);
    this.#numbers = new Float64Array(memory);
  }

  /** Isolate: a call starts with user code. It may use `userMs` for that and `databaseMs` for the database. */
  begin(callId: number, userMs: number, databaseMs: number): void {
    this.#numbers[callIdIndex] = callId;
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

  /** Isolate: what the call has left for user code, in milliseconds. */
  get userMsLeft(): number {
    const isUser = this.#integers[phaseIndex] === user;
    return isUser ? this.#numbers[deadlineIndex]! - now() : this.#numbers[otherRemainingIndex]!;
  }

  /** Isolate: the call ended. */
  end(): void {
    this.#change(idle, Infinity, 0);
  }

  /** Isolate: the call that is running was cut off because the heap is full; it will never end by itself. */
  exhausted(): void {
    if (this.#integers[phaseIndex] !== idle) this.#change(outOfMemory, -Infinity, 0);
  }

  /** Watcher: when the running phase overruns. */
  get deadlineMs(): number {
    return this.#numbers[deadlineIndex]!;
  }

  /** Watcher: why the running call must be ended at `nowMs`; null if it need not be. */
  expired(nowMs: number): ExpiryReason | null {
    const version = load(this.#integers, versionIndex);
    const phase = this.#integers[phaseIndex]!;
    const overrun = nowMs > this.#numbers[deadlineIndex]!;
    if (load(this.#integers, versionIndex) !== version) return null;
    return overrun ? reasons[phase] ?? null : null;
  }

  /** Watcher: the call that is running now, or null. */
  get running(): number | null {
    return this.#integers[phaseIndex] === idle ? null : this.#numbers[callIdIndex]!;
  }

  #swap(phase: number): void {
    const time = now();
    const remaining = this.#numbers[deadlineIndex]! - time;
    this.#change(phase, time + this.#numbers[otherRemainingIndex]!, remaining);
  }

  #change(phase: number, deadline: number, otherRemaining: number): void {
    add(this.#integers, versionIndex, 1);
    this.#numbers[deadlineIndex] = deadline;
    this.#numbers[otherRemainingIndex] = otherRemaining;
    this.#integers[phaseIndex] = phase;
    add(this.#integers, versionIndex, 1);
  }
}
