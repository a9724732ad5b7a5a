/** The published npm clients, connected to a server under test. */
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import type { ConvexClientOptions } from "convex/browser";
import type { FunctionReference } from "convex/server";
import { SyncSocket } from "./sync_socket.ts";
import { within } from "./waiting.ts";

/** Where to connect; a `ServerProcess`, or anything that listens. */
export interface Address {
  readonly url: string;
}

/** Makes clients and closes them together. */
export class Clients {
  readonly #address: Address;
  readonly #open: { close(): unknown }[] = [];

  constructor(address: Address) {
    this.#address = address;
  }

  /** `ConvexHttpClient`; silent, because tests look at results. */
  http(options: { readonly adminKey?: string } = {}): ConvexHttpClient {
    const client = new ConvexHttpClient(this.#address.url, { logger: false });
    // deno-lint-ignore no-explicit-any -- setAdminAuth is there but marked internal in the types
    if (options.adminKey !== undefined) (client as any).setAdminAuth(options.adminKey);
    return client;
  }

  /** `ConvexClient` over its own WebSocket. */
  live(options: ConvexClientOptions = {}): ConvexClient {
    const client = new ConvexClient(this.#address.url, { logger: false, ...options });
    this.#open.push(client);
    return client;
  }

  /** The protocol by hand, for what no well-behaved client does. */
  async socket(path?: string): Promise<SyncSocket> {
    const socket = await SyncSocket.open(this.#address.url, path);
    this.#open.push(socket);
    return socket;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((client) => client.close()));
  }
}

/** A live query: every value it had, and waiting for one. */
export interface Watched<T> {
  /** Values and errors in the order in which they came. */
  readonly history: readonly (T | Error)[];
  readonly current: T | Error | undefined;
  /** The first value from now on, the current one included, that satisfies `condition`. */
  until(condition: (value: T) => boolean, what: string): Promise<T>;
  untilError(): Promise<Error>;
  unsubscribe(): void;
}

/** Subscribes to a query and keeps what arrives. */
export function watch<Query extends FunctionReference<"query">>(
  client: ConvexClient,
  query: Query,
  args: Query["_args"],
): Watched<Query["_returnType"]> {
  type Value = Query["_returnType"];
  const history: (Value | Error)[] = [];
  const listeners = new Set<() => void>();
  const add = (value: Value | Error) => {
    history.push(value);
    for (const listener of [...listeners]) listener();
  };
  const unsubscribe = client.onUpdate(query, args, add, add);
  const wait = (isDone: () => boolean, what: string) =>
    within(
      new Promise<void>((resolve) => {
        const check = () => {
          if (!isDone()) return;
          listeners.delete(check);
          resolve();
        };
        listeners.add(check);
        check();
      }),
      20_000,
      what,
    );
  return {
    history,
    get current() {
      return history.at(-1);
    },
    async until(condition, what) {
      const holds = () => {
        const value = history.at(-1);
        return value !== undefined && !(value instanceof Error) && condition(value);
      };
      await wait(holds, what).catch((error) => {
        throw new Error(`${error.message}; last: ${JSON.stringify(history.at(-1))?.slice(0, 500)}`);
      });
      return history.at(-1);
    },
    async untilError() {
      await wait(() => history.at(-1) instanceof Error, "an error of the query");
      return history.at(-1) as Error;
    },
    unsubscribe: () => unsubscribe(),
  };
}
