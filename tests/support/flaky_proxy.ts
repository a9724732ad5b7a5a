/** A TCP proxy that breaks connections in mid-air, as networks do: what was cut off may or may not have arrived. */
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
}

export async function startFlakyProxy(
  target: string,
  { random, bytesMax, breaksMax }: FlakyProxyOptions,
): Promise<FlakyProxy> {
  const { hostname, port } = new URL(target);
  const open = new Set<Socket>();
  let broken = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let left = 300 + random.integer(bytesMax);
    const end = () => {
      client.destroy();
      upstream.destroy();
      open.delete(client);
    };
    const pass = (from: Socket, to: Socket) => {
      from.on("data", (bytes: Uint8Array) => {
        left -= bytes.length;
        if (left > 0 || broken >= breaksMax) return to.write(bytes);
        broken++;
        // The beginning may still get through, the rest never does.
        to.write(bytes.subarray(0, random.integer(bytes.length)), end);
      });
      from.on("error", end);
      from.on("close", end);
    };
    open.add(client);
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
