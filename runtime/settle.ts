/**
 * Waits for a function's promise as the event loop of a query or mutation does (function-abi 1.4): nothing is
 * finished before everything that the function started is, awaited or not.
 */
import { clearInterval, setImmediate, setInterval, setTimeout } from "node:timers";
import type { Execution } from "./execution.ts";
import { HostFailure } from "./failure.ts";

const neverResolves = "Returned promise will never resolve";

/** Turns of the event loop in which nothing happens before a promise is held to be stuck; then milliseconds. */
const quietTurnsMax = 3;
const quietMsMax = 50;

/** Resolves when no microtask is left, and rejections that nobody handled have been reported. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Of the host's clock; user code knows no such timer. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Work that was started and has its turn later; resolves when there is none left. */
export interface Queue {
  readonly isEmpty: boolean;
  drained(): Promise<void>;
}

/** The value of `promise`. @throws what the function fails with. */
export async function settle(
  promise: Promise<unknown>,
  execution: Execution,
  queue: Queue,
): Promise<unknown> {
  const settlement: { outcome?: { value: unknown } | { reason: unknown } } = {};
  promise.then(
    (value) => settlement.outcome = { value },
    (reason) => settlement.outcome = { reason },
  );
  for (let quiet = 0;; quiet++) {
    await turn();
    if (execution.failure !== null) throw execution.failure.reason;
    const { outcome } = settlement;
    if (outcome !== undefined && "reason" in outcome) throw outcome.reason;
    if (!queue.isEmpty) {
      await queue.drained();
      quiet = 0;
    } else if (execution.pendingOperations > 0) {
      await pause(1);
      quiet = 0;
    } else if (outcome !== undefined) {
      return outcome.value;
    } else if (quiet >= quietTurnsMax + quietMsMax) {
      throw new HostFailure(neverResolves);
    } else if (quiet >= quietTurnsMax) {
      await pause(1);
    }
  }
}

/** How often it is looked whether an action still waits for anything, and how often in vain it may. */
const checkMs = 100;
const vainChecksMax = 5;

/**
 * The same for an action: it ends with its promise. `isBusy` says whether work outside of the realm, the
 * network included, may still settle it.
 */
export async function settleAction(
  promise: Promise<unknown>,
  execution: Execution,
  isBusy: () => boolean,
): Promise<unknown> {
  const { promise: ended, resolve, reject } = Promise.withResolvers<unknown>();
  promise.then(resolve, reject);
  execution.onFailure = () => reject(execution.failure!.reason);
  let vainChecks = 0;
  const timer = setInterval(() => {
    vainChecks = isBusy() ? 0 : vainChecks + 1;
    if (vainChecks > vainChecksMax) reject(new HostFailure(neverResolves));
  }, checkMs);
  try {
    const value = await ended;
    await turn();
    if (execution.failure !== null) throw execution.failure.reason;
    return value;
  } finally {
    clearInterval(timer);
  }
}
