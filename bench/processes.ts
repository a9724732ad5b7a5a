/** Memory of a process and all its descendants. */
import { childrenOf } from "../tests/support/server_process.ts";

/** Proportional set size in MiB: pages shared by several processes are counted once. NaN where /proc is missing. */
export function memoryMiB(pid: number): number {
  let kiB = 0;
  for (const one of [pid, ...descendantsOf(pid)]) {
    try {
      const text = Deno.readTextFileSync(`/proc/${one}/smaps_rollup`);
      kiB += Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? NaN);
    } catch {
      if (one === pid) return NaN; // Otherwise it ended while we looked.
    }
  }
  return kiB / 1024;
}

function descendantsOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...descendantsOf(child)]);
}
