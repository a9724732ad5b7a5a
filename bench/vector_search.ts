/** Vector search: the 16 nearest of many, through an action over HTTP. */
import { ServerProcess } from "../tests/support/server_process.ts";
import { copyApp } from "../tests/support/apps.ts";
import type { Result } from "./report.ts";
import { Latencies } from "./statistics.ts";
import { callFunction } from "./targets.ts";

const dimensions = 768;
const addedAtOnce = 250;
const searches = 30;

/** On a server of its own with `count` vectors, which take some seconds for each ten thousand. */
export async function measureVectorSearch(folder: string, count: number): Promise<Result[]> {
  await using server = await ServerProcess.start({ dataFolder: `${folder}/vectors` });
  const app = await copyApp("tests/fixtures/bench");
  await server.deploy(app);
  await Deno.remove(app, { recursive: true });
  for (let added = 0; added < count; added += addedAtOnce) {
    await callFunction(server.url, "mutation", "vectors:addMany", { count: addedAtOnce });
  }
  const search = () => callFunction(server.url, "action", "vectors:search", {});
  // The first search loads the index.
  await search();
  const times = new Latencies();
  for (let i = 0; i < searches; i++) {
    const start = performance.now();
    await search();
    times.add(performance.now() - start);
  }
  const value = times.quantile(0.5);
  console.log(`vector search, ${count}: ${value.toFixed(1)} ms`);
  return [{
    measure: `16 nearest of ${count.toLocaleString("en")} vectors`,
    clients: 1,
    unit: "ms",
    value,
    limit: readingMs(count),
    limitMeaning: `reading ${dimensions} 32-bit floats of each from memory once`,
    p50Ms: value,
    p99Ms: times.quantile(0.99),
  }];
}

/** A pass over the bytes of so many vectors that does nothing but compare. */
function readingMs(count: number): number {
  const bytes = new BigUint64Array(count * dimensions * 4 / 8).fill(1n);
  const times = new Latencies();
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    bytes.indexOf(0n);
    times.add(performance.now() - start);
  }
  return times.quantile(0.5);
}
