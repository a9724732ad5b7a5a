/**
 * Notices that an isolate ran out of memory. V8 then cuts the running JavaScript off in mid-air: no error is
 * thrown, no event arrives, and its call would hang until its deadline, which is half an hour for an action. But
 * the event loop goes on, and V8 has raised the heap's limit to make that possible: that is the sign.
 */
import v8 from "node:v8";
import type { Heartbeat } from "../src/isolate/heartbeat.ts";

const periodMs = 100;

/** What the heap holds now, garbage included, in bytes. */
export function heapBytes(): number {
  return v8.getHeapStatistics().used_heap_size;
}

/**
 * Call once, when the isolate starts: from then on the watcher is told when the heap is full. The returned function says
 * whether it ever was.
 */
export function watchHeap(heartbeat: Heartbeat): () => boolean {
  const limit = () => v8.getHeapStatistics().heap_size_limit;
  const initialLimit = limit();
  const wasFull = () => limit() > initialLimit;
  setInterval(() => {
    if (wasFull()) heartbeat.exhausted();
  }, periodMs);
  return wasFull;
}
