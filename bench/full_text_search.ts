/** Full-text search: the ten best of many short texts, through a query over HTTP. */
import { DatabaseSync } from "node:sqlite";
import { copyApp } from "../tests/support/apps.ts";
import { ServerProcess } from "../tests/support/server_process.ts";
import type { Result } from "./report.ts";
import { Latencies } from "./statistics.ts";
import { callFunction } from "./targets.ts";

const addedAtOnce = 500;
const wordsInText = 10;
/** Each stands in one text out of a hundred. */
const vocabulary = Array.from({ length: 1000 }, (_, i) => `word${i}x`);
const searches = 30;

/** On a server of its own with `count` texts. Every search has another word, so none is answered from the cache. */
export async function measureFullTextSearch(folder: string, count: number): Promise<Result[]> {
  await using server = await ServerProcess.start({ dataFolder: `${folder}/texts` });
  const app = await copyApp("tests/fixtures/bench");
  await server.deploy(app);
  await Deno.remove(app, { recursive: true });
  const texts = Array.from({ length: count }, (_, i) => textNumber(i));
  for (let added = 0; added < count; added += addedAtOnce) {
    const bodies = texts.slice(added, added + addedAtOnce);
    await callFunction(server.url, "mutation", "texts:addMany", { bodies });
  }
  const times = new Latencies();
  for (const text of vocabulary.slice(0, searches)) {
    const start = performance.now();
    await callFunction(server.url, "query", "texts:search", { text });
    times.add(performance.now() - start);
  }
  const value = times.quantile(0.5);
  console.log(`full-text search, ${count}: ${value.toFixed(1)} ms`);
  return [{
    measure: `10 best of ${count.toLocaleString("en")} texts`,
    clients: 1,
    unit: "ms",
    value,
    limit: rankingMs(texts),
    limitMeaning: "FTS5 with its own ranking, in memory, without a server",
    p50Ms: value,
    p99Ms: times.quantile(0.99),
  }];
}

function textNumber(n: number): string {
  const word = (i: number) => vocabulary[(n * 7919 + i * 104_729 * (n % 13 + 1)) % 1000];
  return Array.from({ length: wordsInText }, (_, i) => word(i)).join(" ");
}

function rankingMs(texts: readonly string[]): number {
  const database = new DatabaseSync(":memory:");
  database.exec("CREATE VIRTUAL TABLE texts USING fts5(body); BEGIN");
  const insert = database.prepare("INSERT INTO texts VALUES (?)");
  for (const text of texts) insert.run(text);
  database.exec("COMMIT");
  const search = database.prepare("SELECT body FROM texts(?) ORDER BY rank LIMIT 10");
  const times = new Latencies();
  for (const text of vocabulary.slice(0, searches)) {
    const start = performance.now();
    search.all(text);
    times.add(performance.now() - start);
  }
  database.close();
  return times.quantile(0.5);
}
