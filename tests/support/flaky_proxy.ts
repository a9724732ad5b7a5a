/**
 * A TCP proxy as bad as networks are: it breaks connections in mid-air, so that what was cut off may or may not have
 * arrived, and holds bytes back, so that what was sent over a broken connection may arrive after what the client sent
 * again over the next one. Bytes of one connection stay in order, as TCP has it.
 */
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import type { SeededRandom } from "./random.ts";

export interface FlakyProxy {
  readonly url: string;
  /** How many connections it broke so far. */
  readonly broken: number;
  close(): Promise<void>;
}

export interface FlakyProxyOptions {
  readonly random: SeededRandom;
  /** A connection lives for a random number of bytes up to this, both directions together. */
  readonly bytesMax: number;
  /** After this many broken connections the network is well: clients back off longer after each. */
  readonly breaksMax: number;
  /** How long bytes are held back at most. */
  readonly delayMsMax: number;
}

export async function startFlakyProxy(
  target: string,
  { random, bytesMax, breaksMax, delayMsMax }: FlakyProxyOptions,
): Promise<FlakyProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let broken = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let left = 300 + random.integer(bytesMax);
    const pass = (from: Socket, to: Socket) => {
      let delivered = Promise.resolve();
      const deliver = (action: () => void) => {
        const delayMs = random.integer(delayMsMax + 1);
        delivered = delivered.then(() => sleep(delayMs)).then(action);
      };
      from.on("data", (bytes: Uint8Array) => {
        left -= bytes.length;
        if (left > 0 || broken >= breaksMax) return deliver(() => to.write(bytes));
        broken++;
        // The beginning may still get through, the rest never does.
        deliver(() => to.write(bytes.subarray(0, random.integer(bytes.length))));
        from.destroy();
      });
      from.on("error", () => {});
      // What is on its way arrives before the end does.
      from.on("close", () => deliver(() => to.destroy()));
      from.on("close", () => open.delete(from));
      open.add(from);
    };
    pass(client, upstream);
    pass(upstream, client);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get broken() {
      return broken;
    },
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
