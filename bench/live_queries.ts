/** What many live queries cost: those that a commit touches, those that it does not, idle and returning clients. */
import { ServerProcess } from "../tests/support/server_process.ts";
import { memoryMiB } from "./processes.ts";
import type { Result } from "./report.ts";
import { Latencies, sleep } from "./statistics.ts";
import {
  measureSubscribers,
  openMany,
  subscribeToBroadcast,
  subscribeToQueries,
  subscribeToQuery,
} from "./subscribers.ts";
import { callFunction, type Hull, type RawServer } from "./targets.ts";

export interface LiveTargets {
  readonly hull: Hull;
  readonly raw: RawServer;
  readonly plan: LivePlan;
}

export interface LivePlan {
  /** Subscribers of a query each. */
  readonly distinct: readonly number[];
  readonly writes: number;
  readonly idle: number;
  /** Subscriptions that commits do not touch: few and many. */
  readonly untouched: readonly [number, number];
  readonly returning: number;
}

const list = "messages:list";
const channel = (n: number) => ({ channel: `live ${n}` });

async function send(url: string, args: { channel: string }, body: string): Promise<void> {
  await callFunction(url, "mutation", "messages:send", { ...args, author: "bench", body });
}

/** Each subscriber has a query of its own, and each write touches one of them. */
export async function measureDistinctQueries({ hull, plan }: LiveTargets): Promise<Result[]> {
  const { url } = hull.server;
  const touched = { channel: "live touched" };
  const measure = async (others: number) => {
    const sockets = await openMany(
      others,
      (n) => subscribeToQuery(url, list, channel(n), () => {}),
    );
    const measured = await measureSubscribers({
      count: 1,
      writes: plan.writes,
      open: (onMessage) => subscribeToQuery(url, list, touched, onMessage),
      write: (marker) => send(url, touched, marker),
    });
    for (const socket of sockets) socket.close();
    return measured;
  };
  const alone = await measure(0);
  const results: Result[] = [];
  for (const clients of plan.distinct) {
    const { last } = await measure(clients - 1);
    results.push({
      measure: "mutation to the update of one of as many queries",
      clients,
      unit: "ms",
      value: last.quantile(0.5),
      limit: alone.last.quantile(0.5),
      limitMeaning: "one subscriber alone",
      p50Ms: last.quantile(0.5),
      p99Ms: last.quantile(0.99),
    });
    console.log(`distinct queries, ${clients}: ${last.quantile(0.5).toFixed(1)} ms`);
  }
  return results;
}

/** How long commits take that touch none of the subscriptions, of which each socket has a hundred. */
export async function measureUntouched({ hull, plan }: LiveTargets): Promise<Result[]> {
  const { url } = hull.server;
  const perSocket = 100;
  const measure = async (subscriptions: number) => {
    const sockets = await openMany(
      Math.ceil(subscriptions / perSocket),
      (n) => {
        const size = Math.min(perSocket, subscriptions - n * perSocket);
        const queries = Array.from({ length: size }, (_, i) => channel(n * perSocket + i));
        return subscribeToQueries(url, list, queries, () => {});
      },
    );
    const times = new Latencies();
    for (let n = 0; n < plan.writes * 4; n++) {
      const start = performance.now();
      await send(url, { channel: "live elsewhere" }, "x");
      times.add(performance.now() - start);
    }
    for (const socket of sockets) socket.close();
    return times;
  };
  const [few, many] = plan.untouched;
  const limit = await measure(few);
  const times = await measure(many);
  console.log(`commits beside ${many}: ${times.quantile(0.5).toFixed(2)} ms`);
  return [{
    measure: "commit that touches none of as many subscriptions",
    clients: many,
    unit: "ms",
    value: times.quantile(0.5),
    limit: limit.quantile(0.5),
    limitMeaning: `the same beside ${few}`,
    p50Ms: times.quantile(0.5),
    p99Ms: times.quantile(0.99),
  }];
}

/** What idle subscribers of one query add to the memory of all processes. */
export async function measureIdle({ hull, raw, plan }: LiveTargets): Promise<Result[]> {
  const measure = async (pid: number, open: () => Promise<WebSocket>) => {
    const before = memoryMiB(pid);
    const sockets = await openMany(plan.idle, open);
    await sleep(1000);
    const after = memoryMiB(pid);
    for (const socket of sockets) socket.close();
    return after - before;
  };
  const { url, pid } = hull.server;
  const value = await measure(pid, () => subscribeToQuery(url, list, channel(0), () => {}));
  const limit = await measure(raw.pid, () => subscribeToBroadcast(raw.url, () => {}));
  if (Number.isNaN(value)) return [];
  console.log(`idle, ${plan.idle}: ${value.toFixed(0)} MiB more`);
  return [{
    measure: "memory of idle subscribers",
    clients: plan.idle,
    unit: "MiB",
    value,
    limit,
    limitMeaning: "as many sockets of the raw server",
  }];
}

/** All clients of a server that comes back connect at once, each with a query: until the last one has its result. */
export async function measureReturn(
  dataFolder: string,
  { raw, plan }: Pick<LiveTargets, "raw" | "plan">,
): Promise<Result[]> {
  const measure = async (open: (n: number) => Promise<WebSocket>) => {
    const start = performance.now();
    const sockets = await Promise.all(Array.from({ length: plan.returning }, (_, n) => open(n)));
    const durationMs = performance.now() - start;
    for (const socket of sockets) socket.close();
    return durationMs;
  };
  const limit = await measure(() => subscribeToBroadcast(raw.url, () => {}));
  await using server = await ServerProcess.start({ dataFolder });
  const value = await measure((n) =>
    subscribeToQuery(server.url, list, channel(n % 100), () => {})
  );
  console.log(`return of ${plan.returning}: ${value.toFixed(0)} ms`);
  return [{
    measure: "return of all clients after a restart",
    clients: plan.returning,
    unit: "ms",
    value,
    limit,
    limitMeaning: "connecting as many to the raw server",
  }];
}
