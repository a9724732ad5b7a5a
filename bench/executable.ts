/** What the executable costs beside the source, and beside Deno alone: size, starts, memory when idle. */
import { fileURLToPath } from "node:url";
import { makeExecutable } from "../tests/support/program.ts";
import { type ServerOptions, ServerProcess } from "../tests/support/server_process.ts";
import { memoryMiB } from "./processes.ts";
import { Latencies, sleep } from "./statistics.ts";

/** After a start, in milliseconds: what follows the first answer is over. */
const settlingMs = 2000;

/** Measures `runs` starts of each kind and returns a table, of medians. */
export async function measureExecutable(runs: number): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "hull-bench-" });
  try {
    const executable = await makeExecutable(folder);
    const cache = `${folder}/cache`;
    const deno = `${folder}/deno`;
    await Deno.copyFile(Deno.execPath(), deno);
    const source = { executable: await fromSource(folder, deno) };
    const packed = { executable, environment: { HULL_CACHE_DIR: cache } };
    const remove = () => Deno.remove(cache, { recursive: true }).catch(() => {});
    const version = () => run(executable, ["--version"]);
    const rows = [
      ["size of the executable", mib(await size(executable))],
      ["size of Deno alone", mib(await size(Deno.execPath()))],
      ["`deno eval 0`", await median(runs, () => run(Deno.execPath(), ["eval", "0"]))],
      ["`hull --version`", await median(runs, version)],
      [
        "first start in an empty folder, to the first answer",
        await median(runs, start(packed), remove),
      ],
      ["size of what it unpacked, Deno's cache included", mib(await folderSize(cache))],
      ["later starts", await median(runs, start(packed))],
      ["start from source", await median(runs, start(source))],
      ["memory when idle", mib(await idleMemory(packed))],
      ["memory when idle, from source", mib(await idleMemory(source))],
      ["memory of `deno eval` that waits", mib(await waitingMemory(deno))],
    ];
    return ["| what | |", "| --- | --- |", ...rows.map((row) => `| ${row.join(" | ")} |`)].join(
      "\n",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The source as an executable. Its Deno is a copy: pages that it shared with this process would not be counted. */
async function fromSource(folder: string, deno: string): Promise<string> {
  const path = `${folder}/from-source`;
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  await Deno.writeTextFile(path, `#!/bin/sh\nexec '${deno}' run -A '${main}' "$@"\n`, {
    mode: 0o755,
  });
  return path;
}

type StartOptions = Pick<ServerOptions, "executable" | "environment">;

/** Resolves with milliseconds from the start of the process to the first answer over HTTP. */
function start(options: StartOptions): () => Promise<number> {
  return async () => {
    const begin = performance.now();
    await using server = await ServerProcess.start(options);
    await (await fetch(`${server.url}/version`)).text();
    return performance.now() - begin;
  };
}

async function run(program: string, args: string[]): Promise<number> {
  const begin = performance.now();
  await new Deno.Command(program, { args }).output();
  return performance.now() - begin;
}

async function median(
  runs: number,
  measure: () => Promise<number>,
  before: () => Promise<void> = () => Promise.resolve(),
): Promise<string> {
  const times = new Latencies();
  for (let n = 0; n < runs; n++) {
    await before();
    times.add(await measure());
  }
  return `${times.quantile(0.5).toFixed(0)} ms`;
}

async function idleMemory(options: StartOptions): Promise<number> {
  await using server = await ServerProcess.start(options);
  await sleep(settlingMs);
  return memoryMiB(server.pid);
}

async function waitingMemory(deno: string): Promise<number> {
  const process = new Deno.Command(deno, {
    args: ["eval", "setTimeout(() => {}, 1e6)"],
  }).spawn();
  await sleep(settlingMs);
  const memory = memoryMiB(process.pid);
  process.kill();
  await process.status;
  return memory;
}

async function size(path: string): Promise<number> {
  return (await Deno.stat(path)).size / 1024 ** 2;
}

async function folderSize(folder: string): Promise<number> {
  let sum = 0;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    sum += await (isDirectory ? folderSize : size)(`${folder}/${name}`);
  }
  return sum;
}

function mib(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} MiB`;
}
