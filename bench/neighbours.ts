/** What clients that take much, or give little, do to the others: one client's times alone and beside them. */
import { functionCall, type Hull } from "./targets.ts";
import { load, type LoadResult } from "./http_load.ts";
import type { Result } from "./report.ts";

/** Connections of the well-behaved client, and of the others together. */
const connections = 2, otherConnections = 200;

export async function measureNeighbours(hull: Hull, durationMs: number): Promise<Result[]> {
  const alone = await wellBehaved(hull, durationMs);
  const result = (measure: string, { latencies }: LoadResult): Result => ({
    measure,
    clients: otherConnections,
    unit: "ms",
    value: latencies.quantile(0.99),
    limit: alone.latencies.quantile(0.99),
    limitMeaning: "the same client without the others",
    p50Ms: latencies.quantile(0.5),
    p99Ms: latencies.quantile(0.99),
  });
  const results: Result[] = [];
  {
    using _slow = await slowClients(hull);
    results.push(result("p99 beside slow clients", await wellBehaved(hull, durationMs)));
  }
  {
    using _greedy = await greedyClient(hull);
    results.push(result("p99 beside a greedy client", await wellBehaved(hull, durationMs)));
  }
  return results;
}

async function wellBehaved({ server, messageIds }: Hull, durationMs: number): Promise<LoadResult> {
  const id = (n: number) => messageIds[n * 7919 % messageIds.length];
  return await load({
    url: server.url,
    connections,
    durationMs,
    address: "192.0.2.1",
    request: (n) =>
      functionCall("query", "messages:get", { id: id(n), nonce: crypto.randomUUID() }),
  });
}

/** Requests that never end: half of them in the head, half in the body. */
async function slowClients({ server }: Hull): Promise<Disposable> {
  const { hostname, port } = new URL(server.url);
  const head = "POST /api/query HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
  const open: Deno.TcpConn[] = [];
  for (let n = 0; n < otherConnections; n++) {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const text = n % 2 === 0 ? head : `${head}Content-Length: 1000\r\n\r\n{`;
    await connection.write(new TextEncoder().encode(text));
    open.push(connection);
  }
  return { [Symbol.dispose]: () => open.forEach((connection) => connection.close()) };
}

/** As many requests as the connections take, on a thread of its own: its waiting is not to be measured. */
async function greedyClient({ server }: Hull): Promise<Disposable> {
  const worker = new Worker(new URL("./greedy_client.ts", import.meta.url), { type: "module" });
  const started = new Promise((resolve) => worker.onmessage = resolve);
  worker.postMessage({ url: server.url, connections: otherConnections });
  await started;
  return { [Symbol.dispose]: () => worker.terminate() };
}
