/** Memory of the processes that a server consists of. */
import type { Sample } from "./instruments.ts";

/** Resident bytes of this process and of `others`; on systems that do not tell, of this one alone. */
export function residentMemory(others: readonly { name: string; pid: number }[]): Sample[] {
  const samples = [{
    labels: { process: "server", pid: String(Deno.pid) },
    value: Deno.memoryUsage().rss,
  }];
  for (const { name, pid } of others) {
    const bytes = residentBytes(pid);
    if (bytes !== undefined) {
      samples.push({ labels: { process: name, pid: String(pid) }, value: bytes });
    }
  }
  return samples;
}

/** Undefined when the process is gone, or on systems without such files. */
function residentBytes(pid: number): number | undefined {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    const [, kib] = /^VmRSS:\s*(\d+) kB$/m.exec(status) ?? [];
    return kib === undefined ? undefined : Number(kib) * 1024;
  } catch {
    return undefined;
  }
}
