/** What it costs when functions misbehave: time until others are served again, and the isolates that stand by. */
import { copyApp } from "../tests/support/apps.ts";
import { childrenOf, ServerProcess } from "../tests/support/server_process.ts";
import { memoryMiB } from "./processes.ts";
import type { Result } from "./report.ts";
import { Latencies } from "./statistics.ts";
import { callFunction } from "./targets.ts";

const isolates = 4;

export async function measureRecovery(folder: string, runs: number): Promise<Result[]> {
  return [...await measureTimes(folder, runs), ...await measureIsolate(folder)];
}

async function measureTimes(folder: string, runs: number): Promise<Result[]> {
  await using server = await startServer(`${folder}/recovery`, 2);
  const undisturbed = await timeToNextAnswer(server, runs, async () => {});
  const disturbed = [
    {
      measure: "next query after one was cut off",
      times: await timeToNextAnswer(server, runs, () => cutOff(server)),
    },
    {
      measure: "next query after the executor was killed",
      times: await timeToNextAnswer(server, runs, () => killExecutor(server)),
    },
  ];
  return disturbed.map(({ measure, times }) => ({
    measure,
    clients: null,
    unit: "ms" as const,
    value: times.quantile(0.5),
    limit: undisturbed.quantile(0.5),
    limitMeaning: "the same query undisturbed",
    p99Ms: times.quantile(0.99),
  }));
}

async function startServer(dataFolder: string, isolates: number): Promise<ServerProcess> {
  const server = await ServerProcess.start({
    dataFolder,
    environment: {
      HULL_TRANSACTION_ISOLATES: String(isolates),
      HULL_QUERY_CACHE_BYTES_MAX: "0",
      HULL_QUEUE_WAIT_MS: "60000",
    },
  });
  const app = await copyApp("tests/fixtures/bench");
  await server.deploy(app);
  await Deno.remove(app, { recursive: true });
  return server;
}

async function timeToNextAnswer(
  { url }: ServerProcess,
  runs: number,
  disturb: () => Promise<void>,
): Promise<Latencies> {
  const times = new Latencies();
  for (let run = 0; run < runs; run++) {
    await disturb();
    const start = performance.now();
    await callFunction(url, "query", "messages:list", { channel: "c0" });
    times.add(performance.now() - start);
  }
  return times;
}

async function cutOff({ url }: ServerProcess): Promise<void> {
  await callFunction(url, "query", "misbehaving:loop", {}).catch(() => {});
}

async function killExecutor({ pid }: ServerProcess): Promise<void> {
  for (const child of childrenOf(pid)) Deno.kill(child, "SIGKILL");
}

/** What each isolate after the first one takes, of a server in which all of them have run something. */
async function measureIsolate(folder: string): Promise<Result[]> {
  const one = await memoryWith(folder, 1);
  const value = (await memoryWith(folder, isolates) - one) / (isolates - 1);
  if (Number.isNaN(value)) return [];
  return [{
    measure: "memory of one more isolate",
    clients: null,
    unit: "MiB",
    value,
    limit: one,
    limitMeaning: "all processes with one isolate",
  }];
}

/** In MiB, of all processes. */
async function memoryWith(folder: string, isolates: number): Promise<number> {
  await using server = await startServer(`${folder}/isolates${isolates}`, isolates);
  const { url, pid } = server;
  const calls = Array.from(
    { length: 32 },
    () => callFunction(url, "query", "misbehaving:compute", {}),
  );
  await Promise.all(calls);
  return memoryMiB(pid);
}
