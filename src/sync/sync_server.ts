/** All sockets of a server: where they come from, what they share, and the clock they have in common. */
import { RequestError } from "../errors.ts";
import { RequestIds } from "../functions/request_id.ts";
import {
  type SocketClient,
  SyncConnection,
  type SyncOptions,
  type SyncServices,
  upgradeSocket,
} from "./connection.ts";
import { HeldBytes } from "./held_bytes.ts";
import type { SyncSocket } from "./outbox.ts";
import { QueryEncodings } from "./query_encodings.ts";
import { requireUpgrade } from "./upgrade_request.ts";

/** Seconds would do: the shortest time that depends on it is that of the ping. */
const tickMs = 1_000;

/** All sockets of a server. */
export class SyncServer {
  readonly #services: SyncServices;
  readonly #connections = new Set<SyncConnection>();
  /** How many each client has. */
  readonly #counts = new Map<string, number>();
  #isTicking = false;
  #isDraining = false;

  constructor(options: SyncOptions) {
    const ids = new RequestIds(options.environment);
    this.#services = {
      ...options,
      ids,
      encodings: new QueryEncodings(ids),
      held: new HeldBytes(options.config.addressBytesMax),
    };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Answers a request for a WebSocket.
   * @throws RequestError when it is no proper one (sync-protocol 4), or one too many of its client.
   */
  accept(request: Request, options: SocketClient): Response {
    requireUpgrade(request);
    if (this.#isDraining) throw shuttingDown();
    const { socketIdleTimeoutS, addressSocketsMax } = this.#services.config;
    if ((this.#counts.get(options.client) ?? 0) >= addressSocketsMax) {
      throw tooManySockets(addressSocketsMax);
    }
    return upgradeSocket(request, socketIdleTimeoutS, (socket) => this.open(socket, options));
  }

  /** Serves a client over an open socket, whose messages and end the caller reports. */
  open(socket: SyncSocket, options: SocketClient): SyncConnection {
    const connection: SyncConnection = new SyncConnection(socket, this.#services, {
      ...options,
      onEnd: () => {
        if (this.#connections.delete(connection)) this.#count(options.client, -1);
      },
    });
    this.#connections.add(connection);
    this.#count(options.client, 1);
    if (!this.#isTicking) this.#tick();
    return connection;
  }

  /** Accepts no more connections, and ends each when it has answered what it runs. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await Promise.all([...this.#connections].map((connection) => connection.drain()));
  }

  /** To be called when tokens that were accepted may no longer be, before anything runs on the new deployment. */
  providersChanged(): void {
    for (const connection of this.#connections) connection.providersChanged();
  }

  /** Ends every connection. */
  close(): void {
    for (const connection of [...this.#connections]) connection.close();
  }

  #count(client: string, change: 1 | -1): void {
    const count = (this.#counts.get(client) ?? 0) + change;
    if (count > 0) this.#counts.set(client, count);
    else this.#counts.delete(client);
  }

  #tick(): void {
    this.#isTicking = this.#connections.size > 0;
    if (!this.#isTicking) return;
    const { environment } = this.#services;
    const now = environment.monotonicMs();
    for (const connection of [...this.#connections]) connection.tick(now);
    environment.setTimer(tickMs, () => this.#tick());
  }
}

function tooManySockets(max: number): RequestError {
  return new RequestError(
    "rateLimited",
    "TooManyConnections",
    `Too many connections from your address: it may have ${max} WebSockets open at a time. Try again later.`,
  );
}

function shuttingDown(): RequestError {
  return new RequestError("overloaded", "ShuttingDown", "The server is stopping. Connect again.");
}
