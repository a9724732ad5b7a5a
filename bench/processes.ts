/** Memory of a process and all its descendants. */
import { childrenOf } from "../tests/support/server_process.ts";

/** Proportional set size in MiB: pages shared by several processes are counted once. NaN where /proc is missing. */
export function memoryMiB(pid: number): number {
  const own = ownMemoryMiB(pid);
  const others = descendantsOf(pid).map(ownMemoryMiB)
    .filter((each) => !Number.isNaN(each)); // Otherwise it ended while we looked.
  return others.reduce((sum, each) => sum + each, own);
}

/** The same of one process alone. */
export function ownMemoryMiB(pid: number): number {
  try {
    const text = Deno.readTextFileSync(`/proc/${pid}/smaps_rollup`);
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? NaN) / 1024;
  } catch {
    return NaN;
  }
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}
