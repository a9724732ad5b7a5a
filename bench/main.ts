/**
 * `deno task bench deploys [COUNT]`: many deploys in a row, and some under load; about five minutes.
 *
 * `deno task bench executable`: what `deno task compile` makes, beside Deno alone; a minute.
 *
 * `deno task bench [--quick]`: what Hull does on this machine, each measure beside the limit that a raw server showed
 * a moment earlier. The full run rewrites the table in BENCHMARKS.md and takes some minutes.
 */
import { fileURLToPath } from "node:url";
import { measureDeploysUnderLoad } from "./deploys_under_load.ts";
import { measureExecutable } from "./executable.ts";
import { measureFullTextSearch } from "./full_text_search.ts";
import {
  measureDistinctQueries,
  measureIdle,
  measureReturn,
  measureUntouched,
} from "./live_queries.ts";
import {
  measureCalls,
  measureHotDocument,
  measureMemory,
  measureReads,
  measureStart,
  measureUpdates,
  measureWrites,
} from "./measures.ts";
import { measureManyDeploys } from "./many_deploys.ts";
import { measureRecovery } from "./recovery.ts";
import { measureNeighbours } from "./neighbours.ts";
import { renderTable, replaceTable, type Result } from "./report.ts";
import { type RawServer, startHull, startRawServer } from "./targets.ts";
import { measureVectorSearch } from "./vector_search.ts";

if (Deno.args[0] === "deploys") {
  await measureManyDeploys(Number(Deno.args[1] ?? 200));
  await measureDeploysUnderLoad({ deploys: 10, callsPerSecond: 200, subscriptions: 1000 });
  Deno.exit();
}

if (Deno.args[0] === "executable") {
  console.log(await measureExecutable(5));
  Deno.exit();
}

const isQuick = Deno.args.includes("--quick");
const plan = isQuick
  ? {
    durationMs: 500,
    connections: [16],
    subscribers: [1, 100],
    distinct: [100],
    writes: 20,
    idle: 200,
    untouched: [10, 1000] as const,
    returning: 200,
    starts: 1,
    texts: 5000,
    vectors: 2000,
  }
  : {
    durationMs: 1500,
    connections: [1, 16, 64],
    subscribers: [1, 100, 1000, 5000],
    distinct: [100, 1000, 5000],
    writes: 50,
    idle: 10_000,
    untouched: [10, 10_000] as const,
    returning: 2000,
    starts: 3,
    texts: 100_000,
    vectors: 100_000,
  };

const loadBefore = Deno.loadavg()[0]!;
const folder = await Deno.makeTempDir({ prefix: "hull-bench-" });
const results: Result[] = [];
try {
  results.push(...await measureRunning(folder));
  results.push(...await measureStart(folder, plan.starts));
  results.push(...await measureRecovery(folder, plan.starts));
  results.push(...await measureFullTextSearch(folder, plan.texts));
  results.push(...await measureVectorSearch(folder, plan.vectors));
} finally {
  await Deno.remove(folder, { recursive: true });
}

const machine = [
  new Date().toISOString().slice(0, 10),
  `${navigator.hardwareConcurrency} cores`,
  `Deno ${Deno.version.deno}`,
  `load before the run ${loadBefore.toFixed(1)} (anything else that runs takes its share)`,
].join(", ") + ".";
const table = renderTable(results);
console.log(`\n${machine}\n\n${table}`);
if (!isQuick) {
  const path = fileURLToPath(new URL("../BENCHMARKS.md", import.meta.url));
  await Deno.writeTextFile(path, replaceTable(await Deno.readTextFile(path), machine, table));
}

async function measureRunning(folder: string): Promise<Result[]> {
  await using raw = await startRawServer(folder);
  const results = await measureServer(folder, raw);
  results.push(...await measureReturn(`${folder}/data`, { raw, plan }));
  return results;
}

async function measureServer(folder: string, raw: RawServer): Promise<Result[]> {
  await using hull = await startHull(`${folder}/data`);
  const targets = { hull, raw, plan };
  return [
    ...measureMemory(targets, "memory after start"),
    // Before any load: memory that was taken once is used again.
    ...await measureIdle(targets),
    ...await measureReads(targets),
    ...await measureWrites(targets),
    ...await measureHotDocument(targets),
    ...await measureCalls(targets),
    ...await measureUpdates(targets),
    ...await measureDistinctQueries(targets),
    ...await measureUntouched(targets),
    ...await measureNeighbours(hull, plan.durationMs),
    ...measureMemory(targets, "memory after load"),
  ];
}
