/** What is measured, and beside what. */
import { callOnce, type HttpRequest, load } from "./http_load.ts";
import { memoryMiB } from "./processes.ts";
import type { Result } from "./report.ts";
import { Latencies } from "./statistics.ts";
import { measureSubscribers, subscribeToBroadcast, subscribeToQuery } from "./subscribers.ts";
import {
  callFunction,
  channels,
  functionCall,
  type Hull,
  type RawServer,
  startRawServer,
} from "./targets.ts";
import { ServerProcess } from "../tests/support/server_process.ts";

export interface Plan {
  readonly durationMs: number;
  readonly connections: readonly number[];
  readonly subscribers: readonly number[];
  readonly writes: number;
  readonly starts: number;
}

export interface Targets {
  readonly hull: Hull;
  readonly raw: RawServer;
  readonly plan: Plan;
}

const hotDocumentTurns = 2;

interface Comparison {
  readonly measure: string;
  readonly limitMeaning: string;
  hull(n: number): HttpRequest;
  raw(n: number): HttpRequest;
}

/** Queries over HTTP, from the cache and without it. */
export async function measureReads(targets: Targets): Promise<Result[]> {
  const { messageIds } = targets.hull;
  const id = (n: number) => messageIds[n * 7919 % messageIds.length];
  const channel = (n: number) => `c${n * 7 % channels}`;
  const get = (path: string): HttpRequest => ({ method: "GET", path });
  return await compareAll(targets, [
    {
      measure: "point query, cached",
      limitMeaning: "Deno.serve answering a constant",
      hull: (n) => functionCall("query", "messages:get", { id: id(n % 100) }),
      raw: () => get("/hello"),
    },
    {
      measure: "point query, not cached",
      limitMeaning: "Deno.serve and one SQLite read",
      hull: (n) => functionCall("query", "messages:get", { id: id(n), nonce: n }),
      raw: (n) => get(`/get?id=${1 + n % 10_000}`),
    },
    {
      measure: "newest 50, cached",
      limitMeaning: "Deno.serve answering a constant of that size",
      hull: (n) => functionCall("query", "messages:list", { channel: channel(n) }),
      raw: () => get("/cached"),
    },
    {
      measure: "newest 50, not cached",
      limitMeaning: "Deno.serve and one SQLite range read",
      hull: (n) => functionCall("query", "messages:list", { channel: channel(n), nonce: n }),
      raw: (n) => get(`/list?channel=${channel(n)}`),
    },
  ]);
}

/** Functions that do nothing, over HTTP: what a call costs. */
export async function measureCalls(targets: Targets): Promise<Result[]> {
  const compared = (measure: string, call: (n: number) => HttpRequest): Comparison => ({
    measure,
    limitMeaning: "Deno.serve and a round trip to another process",
    hull: call,
    raw: () => ({ method: "GET", path: "/echo" }),
  });
  return await compareAll(targets, [
    compared(
      "query that does nothing, not cached",
      (nonce) => functionCall("query", "nothing:read", { nonce }),
    ),
    compared("mutation that does nothing", () => functionCall("mutation", "nothing:write", {})),
    compared("action that does nothing", () => functionCall("action", "actions:nothing", {})),
    compared(
      "Node action that does nothing",
      () => functionCall("action", "node_actions:nothing", {}),
    ),
  ]);
}

/** Durable mutations over HTTP: without conflicts, and all on one document. */
export async function measureWrites(targets: Targets): Promise<Result[]> {
  const [counter] = await createCounters(targets.hull, 1);
  const message = (n: number) => ({
    channel: `new${n % channels}`,
    author: `user${n % 50}`,
    body: "x".repeat(100),
  });
  const raw = (n: number): HttpRequest => ({
    method: "POST",
    path: "/group",
    body: JSON.stringify(message(n)),
  });
  const limitMeaning = "Deno.serve and SQLite, one sync for all that wait";
  return await compareAll(targets, [
    {
      measure: "insert",
      limitMeaning,
      hull: (n) => functionCall("mutation", "messages:send", message(n)),
      raw,
    },
    {
      measure: "increment of one counter",
      limitMeaning,
      hull: () => functionCall("mutation", "counters:increment", { id: counter }),
      raw,
    },
  ]);
}

/**
 * How much of the throughput of clients that increment a counter each is left when all increment the same one. The
 * two take turns, so that whatever else the machine does meanwhile meets both.
 */
export async function measureHotDocument({ hull, plan }: Targets): Promise<Result[]> {
  const connections = plan.connections.at(-1)!;
  const counters = await createCounters(hull, connections);
  const rate = async (counterOf: (n: number) => unknown) => {
    const { perSecond } = await load({
      url: hull.server.url,
      connections,
      durationMs: plan.durationMs,
      request: (n) => functionCall("mutation", "counters:increment", { id: counterOf(n) }),
      check: mustSucceed,
    });
    return perSecond;
  };
  let spread = 0;
  let hot = 0;
  for (let turn = 0; turn < hotDocumentTurns; turn++) {
    spread += await rate((n) => counters[n % connections]) / hotDocumentTurns;
    hot += await rate(() => counters[0]) / hotDocumentTurns;
  }
  const measure = "increment of one hot counter";
  console.log(`${measure}, ${connections}: ${hot.toFixed(0)}/s of ${spread.toFixed(0)}/s spread`);
  return [{
    measure,
    clients: connections,
    unit: "/s",
    value: hot,
    limit: spread,
    limitMeaning: "Hull, as many counters as clients; a third is the aim",
  }];
}

async function createCounters({ server }: Hull, count: number): Promise<unknown[]> {
  return await Promise.all(
    Array.from(
      { length: count },
      () => callFunction(server.url, "mutation", "counters:create", {}),
    ),
  );
}

async function compareAll(
  { hull, raw, plan }: Targets,
  comparisons: readonly Comparison[],
): Promise<Result[]> {
  const results: Result[] = [];
  for (const comparison of comparisons) {
    for (const connections of plan.connections) {
      const options = { connections, durationMs: plan.durationMs };
      const limit = await load({ ...options, url: raw.url, request: comparison.raw });
      const { perSecond, latencies } = await load({
        ...options,
        url: hull.server.url,
        request: comparison.hull,
        check: mustSucceed,
      });
      results.push({
        measure: comparison.measure,
        clients: connections,
        unit: "/s",
        value: perSecond,
        limit: limit.perSecond,
        limitMeaning: comparison.limitMeaning,
        p50Ms: latencies.quantile(0.5),
        p99Ms: latencies.quantile(0.99),
      });
      console.log(`${comparison.measure}, ${connections}: ${perSecond.toFixed(0)}/s`);
    }
  }
  return results;
}

function mustSucceed(body: string): void {
  if (!body.startsWith('{"status":"success"')) throw new Error(body.slice(0, 300));
}

/** From sending a mutation to the update at the last subscriber of the query that it changes. */
export async function measureUpdates({ hull, raw, plan }: Targets): Promise<Result[]> {
  const results: Result[] = [];
  const { url } = hull.server;
  // As large as what a subscriber of the newest 50 is sent.
  const padding = "x".repeat(10_000);
  for (const count of plan.subscribers) {
    const limit = await measureSubscribers({
      count,
      writes: plan.writes,
      open: (onMessage) => subscribeToBroadcast(raw.url, onMessage),
      write: async (marker) => {
        await callOnce(raw.url, { method: "POST", path: "/broadcast", body: marker + padding });
      },
    });
    const measured = await measureSubscribers({
      count,
      writes: plan.writes,
      open: (onMessage) => subscribeToQuery(url, "messages:list", { channel: "c0" }, onMessage),
      write: async (marker) => {
        const args = { channel: "c0", author: "bench", body: marker };
        await callFunction(url, "mutation", "messages:send", args);
      },
    });
    results.push({
      measure: "mutation to the last subscriber's update",
      clients: count,
      unit: "ms",
      value: measured.last.quantile(0.5),
      limit: limit.last.quantile(0.5),
      limitMeaning: "one durable write and a broadcast of that size",
      p50Ms: measured.each.quantile(0.5),
      p99Ms: measured.each.quantile(0.99),
    });
    console.log(`updates, ${count}: ${measured.last.quantile(0.5).toFixed(1)} ms`);
  }
  return results;
}

/** All processes together; nothing where the system does not tell. */
export function measureMemory({ hull, raw }: Targets, measure: string): Result[] {
  const value = memoryMiB(hull.server.pid);
  if (Number.isNaN(value)) return [];
  return [{
    measure,
    clients: null,
    unit: "MiB",
    value,
    limit: memoryMiB(raw.pid),
    limitMeaning: "the raw server's process",
  }];
}

/** From the start of the process to the first answered query, on the data that is there. */
export async function measureStart(folder: string, runs: number): Promise<Result[]> {
  const times = new Latencies();
  const limits = new Latencies();
  for (let n = 0; n < runs; n++) {
    const start = performance.now();
    const server = await ServerProcess.start({ dataFolder: `${folder}/data` });
    await callFunction(server.url, "query", "messages:list", { channel: "c0" });
    times.add(performance.now() - start);
    await server.stop();

    const rawStart = performance.now();
    await using raw = await startRawServer(folder);
    await callOnce(raw.url, { method: "GET", path: "/list?channel=c0" });
    limits.add(performance.now() - rawStart);
  }
  return [{
    measure: "start to first answer",
    clients: null,
    unit: "ms",
    value: times.quantile(0.5),
    limit: limits.quantile(0.5),
    limitMeaning: "the raw server",
  }];
}
