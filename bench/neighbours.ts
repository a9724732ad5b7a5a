/**
 * What clients that take much, or give little, do to the others: the times of a well-behaved client beside them. The
 * limit is its times alone, and for those that load the server its times beside many clients that ask for as much
 * together, each a little: what is left of the difference is unfairness.
 */
import { callFunction, functionCall, type Hull } from "./targets.ts";
import type { Neighbours } from "./greedy_client.ts";
import { load } from "./http_load.ts";
import type { Result } from "./report.ts";
import { Latencies } from "./statistics.ts";

/** Connections of the well-behaved client, and of the others together. */
const connections = 2, otherConnections = 200;
const slowReaders = 50;
/** Each measurement is taken so often, in turns with the one it is compared with: the machine is not always alike. */
const turns = 3;

/** Who else there is, until disposed of. */
interface Company extends Disposable {
  /** What they have been answered so far. */
  readonly answers: number;
}

export async function measureNeighbours(hull: Hull, durationMs: number): Promise<Result[]> {
  const { url } = hull.server;
  const start = (kind: Neighbours["kind"], perSecond?: number) => () =>
    startNeighbours({ url, kind, connections: otherConnections, ...perSecond && { perSecond } });
  const asMuch = `the same client beside ${otherConnections} that ask for as much together`;
  const results: Result[] = [];
  const compare = async (
    measure: string,
    clients: number,
    company: Start,
    limit: Start = none,
    limitMeaning = "the same client without the others",
  ) => {
    const [beside, without] = await inTurns(hull, durationMs, [company, limit]);
    results.push({
      ...{ measure, clients, unit: "ms" },
      value: beside.latencies.quantile(0.99),
      limit: without.latencies.quantile(0.99),
      limitMeaning,
      p50Ms: beside.latencies.quantile(0.5),
      p99Ms: beside.latencies.quantile(0.99),
    });
    const ratio = results.at(-1)!.value / results.at(-1)!.limit;
    console.log(`${measure}: ${ratio.toFixed(2)} × (others: ${beside.perSecond.toFixed(0)}/s)`);
    return beside.perSecond;
  };
  await compare("p99 beside slow clients", otherConnections, () => slowClients(hull));
  await compare(
    "p99 beside sockets that do not read",
    slowReaders,
    () => slowSockets(hull, slowReaders),
    () => slowSockets(hull, 0),
    "the same without these sockets",
  );
  for (
    const [kind, what] of [["http", "a greedy client"], ["socket", "a greedy socket"]] as const
  ) {
    const perSecond = await compare(`p99 beside ${what}`, otherConnections, start(kind));
    const others = start("others", perSecond);
    await compare(
      `p99 beside ${what}, its load alone`,
      otherConnections,
      start(kind),
      others,
      asMuch,
    );
  }
  return results;
}

type Start = () => Promise<Company>;

/** The well-behaved client beside the one company and beside the other. */
async function inTurns(
  hull: Hull,
  durationMs: number,
  companies: readonly [Start, Start],
): Promise<[Measured, Measured]> {
  const measured = [new Measured(), new Measured()] as const;
  for (let turn = 0; turn < turns; turn++) {
    for (const n of [0, 1] as const) {
      using company = await companies[n]();
      const { answers } = company;
      const startMs = performance.now();
      const { latencies } = await wellBehaved(hull, durationMs);
      measured[n].seconds += (performance.now() - startMs) / 1000;
      measured[n].answers += company.answers - answers;
      measured[n].latencies.addAll(latencies);
    }
  }
  return [measured[0], measured[1]];
}

class Measured {
  readonly latencies = new Latencies();
  /** Of the company: what it was answered, and in which time. */
  answers = 0;
  seconds = 0;

  get perSecond(): number {
    return this.answers / this.seconds;
  }
}

let nonce = 0;

function wellBehaved({ server, messageIds }: Hull, durationMs: number) {
  const id = (n: number) => messageIds[n * 7919 % messageIds.length];
  return load({
    url: server.url,
    connections,
    durationMs,
    address: () => "192.0.2.1",
    request: (n) => functionCall("query", "messages:get", { id: id(n), nonce: nonce++ }),
    check: (body) => {
      if (!body.startsWith('{"status":"success"')) throw new Error(body.slice(0, 300));
    },
  });
}

const none: Start = () => Promise.resolve({ answers: 0, [Symbol.dispose]: () => {} });

/** Requests that never end: half of them in the head, half in the body. */
async function slowClients({ server }: Hull): Promise<Company> {
  const { hostname, port } = new URL(server.url);
  const head = "POST /api/query HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n";
  const open: Deno.TcpConn[] = [];
  for (let n = 0; n < otherConnections; n++) {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    const text = n % 2 === 0 ? head : `${head}Content-Length: 1000\r\n\r\n{`;
    await connection.write(new TextEncoder().encode(text));
    open.push(connection);
  }
  return { answers: 0, [Symbol.dispose]: () => open.forEach((connection) => connection.close()) };
}

/** Subscribers whose results keep changing and who take none of them from the network. */
async function slowSockets({ server: { url } }: Hull, count: number): Promise<Company> {
  const { hostname, port } = new URL(url);
  const open: Deno.TcpConn[] = [];
  for (let n = 0; n < count; n++) {
    const connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(upgradeRequest);
    await connection.read(new Uint8Array(4096));
    for (const frame of subscription) await connection.write(frame);
    open.push(connection);
  }
  const timer = setInterval(() => {
    callFunction(url, "mutation", "messages:send", { channel: "c0", author: "a", body: "x" })
      .catch(() => {}); // The last one may find its server busy with what follows.
  }, 20);
  return {
    answers: 0,
    [Symbol.dispose]() {
      clearInterval(timer);
      open.forEach((connection) => connection.close());
    },
  };
}

const upgradeRequest = new TextEncoder().encode([
  "GET /api/1.48.0/sync HTTP/1.1",
  "Host: a",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
  "\r\n",
].join("\r\n"));

const subscription = [
  {
    type: "Connect",
    sessionId: crypto.randomUUID(),
    connectionCount: 0,
    lastCloseReason: "InitialConnect",
  },
  {
    type: "ModifyQuerySet",
    baseVersion: 0,
    newVersion: 1,
    modifications: [
      { type: "Add", queryId: 0, udfPath: "messages:list", args: [{ channel: "c0" }] },
    ],
  },
].map((message) => textFrame(JSON.stringify(message)));

/** A WebSocket frame under a mask of zeros. */
function textFrame(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return Uint8Array.of(
    0x81,
    0x80 | 126,
    bytes.length >> 8,
    bytes.length & 255,
    0,
    0,
    0,
    0,
    ...bytes,
  );
}

/** On a thread of its own: its waiting is not to be measured. */
async function startNeighbours(neighbours: Neighbours): Promise<Company> {
  const worker = new Worker(new URL("./greedy_client.ts", import.meta.url), { type: "module" });
  let answers = 0;
  const started = new Promise<void>((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }) => {
      answers = data;
      if (answers > 0) resolve();
    };
  });
  worker.postMessage(neighbours);
  await started;
  return {
    get answers() {
      return answers;
    },
    [Symbol.dispose]: () => worker.terminate(),
  };
}
