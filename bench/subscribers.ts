/** Many WebSocket subscribers in this process, and how long each write takes to reach all of them. */
import { Latencies, sleep } from "./statistics.ts";

export interface Subscribers {
  /** From the write's sending to the update at each subscriber, and at the last one of each write. */
  readonly each: Latencies;
  readonly last: Latencies;
}

export interface SubscriberOptions {
  readonly count: number;
  readonly writes: number;
  /** Opens one subscription and resolves when it has its first state; calls `onMessage` for each text after that. */
  open(onMessage: (text: string) => void): Promise<WebSocket>;
  /** Writes something whose update contains the marker. */
  write(marker: string): Promise<void>;
}

const openAtOnce = 50;
const pauseMs = 10;

/** Opens the subscribers, writes one after the other, and waits each time until everybody has seen it. */
export async function measureSubscribers(options: SubscriberOptions): Promise<Subscribers> {
  const each = new Latencies();
  const last = new Latencies();
  let marker = "";
  let start = 0;
  let missing = 0;
  let onAll = () => {};
  const sockets: WebSocket[] = [];
  const open = () => {
    let seen = "";
    return options.open((text) => {
      if (seen === marker || !text.includes(marker)) return;
      seen = marker;
      each.add(performance.now() - start);
      if (--missing === 0) onAll();
    });
  };
  try {
    sockets.push(...await openMany(options.count, open));
    for (let n = 0; n < options.writes; n++) {
      const all = new Promise<void>((resolve) => onAll = resolve);
      marker = `~${crypto.randomUUID()}~`;
      missing = options.count;
      start = performance.now();
      await Promise.all([options.write(marker), all]);
      last.add(performance.now() - start);
      await sleep(pauseMs);
    }
  } finally {
    for (const socket of sockets) socket.close();
  }
  return { each, last };
}

/** Opens sockets, some at a time. */
export async function openMany(
  count: number,
  open: (n: number) => Promise<WebSocket>,
): Promise<WebSocket[]> {
  const sockets: WebSocket[] = [];
  while (sockets.length < count) {
    const first = sockets.length;
    const size = Math.min(openAtOnce, count - first);
    sockets.push(...await Promise.all(Array.from({ length: size }, (_, i) => open(first + i))));
  }
  return sockets;
}

/** A subscription to a Convex query over the sync protocol. */
export function subscribeToQuery(
  url: string,
  udfPath: string,
  args: Record<string, unknown>,
  onMessage: (text: string) => void,
): Promise<WebSocket> {
  return subscribeToQueries(url, udfPath, [args], onMessage);
}

/** Subscriptions to one query with several arguments, over one socket. */
export function subscribeToQueries(
  url: string,
  udfPath: string,
  args: readonly Record<string, unknown>[],
  onMessage: (text: string) => void,
): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/api/1.48.0/sync`);
  return new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("a subscriber could not connect"));
    socket.onopen = () => {
      socket.send(JSON.stringify({
        type: "Connect",
        sessionId: crypto.randomUUID(),
        connectionCount: 0,
        lastCloseReason: "InitialConnect",
      }));
      socket.send(JSON.stringify({
        type: "ModifyQuerySet",
        baseVersion: 0,
        newVersion: 1,
        modifications: args.map((one, queryId) => ({ type: "Add", queryId, udfPath, args: [one] })),
      }));
    };
    socket.onmessage = ({ data }) => {
      if (!data.includes('"QueryUpdated"')) return;
      socket.onmessage = ({ data }) => onMessage(data);
      resolve(socket);
    };
  });
}

/** A subscription to everything that the raw server broadcasts. */
export function subscribeToBroadcast(
  url: string,
  onMessage: (text: string) => void,
): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace("http", "ws")}/socket`);
  socket.onmessage = ({ data }) => onMessage(data);
  return new Promise((resolve, reject) => {
    socket.onerror = () => reject(new Error("a subscriber could not connect"));
    socket.onopen = () => resolve(socket);
  });
}
