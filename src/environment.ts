/**
 * Time and randomness as one interface, so that a simulation can replay a run from a seed.
 * Everything under src/ takes its clock, timers and random bytes from here.
 */
export interface Environment {
  /** Wall clock in milliseconds since the epoch; may step backwards. */
  nowMs(): number;
  /** How far the wall clock is from the machine's, in milliseconds; absent: it is the machine's. */
  readonly clockOffsetMs?: number;
  /** Monotonic clock in milliseconds, for durations. */
  monotonicMs(): number;
  /** Runs `callback` once after `delayMs`; the returned function cancels it. */
  setTimer(delayMs: number, callback: () => void): () => void;
  /** Cryptographically strong random bytes. */
  randomBytes(length: number): Uint8Array;
  /** A number in [0, 1). */
  random(): number;
}

/** The clock, timers and randomness of the machine. */
export const systemEnvironment: Environment = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, callback) {
    const id = setTimeout(callback, delayMs);
    return () => clearTimeout(id);
  },
  randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
  random: () => Math.random(),
};
