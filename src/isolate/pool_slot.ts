/** Isolates of the transaction pool, and the calls that wait for them or are handed to them. */
import { type FairQueue } from "./fair_queue.ts";
import type { Isolate } from "./isolate.ts";
import type { CallResult } from "./isolates.ts";
import type { DeploymentManifest, FunctionCall } from "./protocol.ts";

/**
 * A running call older than this no longer keeps others waiting behind it, in milliseconds. Longer than collecting
 * garbage and a busy machine stall a quick one: calls that were taken back needlessly are work for nothing.
 */
const slowMs = 25;

/** What the pool needs of an isolate; see isolate.ts. */
export type PooledIsolate = Pick<Isolate, "number" | "send" | "load" | "unload" | "terminate">;

/** A call. */
export interface Task {
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

export interface Handed {
  readonly callId: number;
  readonly task: Task;
}

export interface Slot {
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

/** How many calls of a client an isolate has. */
export function callsOf({ queue }: Slot, client: string): number {
  let count = 0;
  for (const { task } of queue) if (task.client === client) count++;
  return count;
}

/** Whether an isolate is busy with a slow call. */
export function isSlow(slot: Slot, nowMs: number): boolean {
  return slot.queue.length > 0 && nowMs - slot.headSinceMs > slowMs;
}

/** Whether one of them takes calls, and is not about to end. */
export function hasFresh(slots: Iterable<Slot>): boolean {
  for (const { state } of slots) if (state === "ready") return true;
  return false;
}
