/** All sockets of a server: where they come from, what they share, and the clock they have in common. */
import { RequestError } from "../errors.ts";
import { RequestIds } from "../functions/request_id.ts";
import {
  type ClientFeatures,
  SyncConnection,
  type SyncOptions,
  type SyncServices,
  upgradeSocket,
} from "./connection.ts";
import type { SyncSocket } from "./outbox.ts";
import { QueryEncodings } from "./query_encodings.ts";
import { requireUpgrade } from "./upgrade_request.ts";

/** Seconds would do: the shortest time that depends on it is that of the ping. */
const tickMs = 1_000;

/** All sockets of a server. */
export class SyncServer {
  readonly #services: SyncServices;
  readonly #connections = new Set<SyncConnection>();
  #isTicking = false;
  #isDraining = false;

  constructor(options: SyncOptions) {
    const ids = new RequestIds(options.environment);
    this.#services = { ...options, ids, encodings: new QueryEncodings(ids) };
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Answers a request for a WebSocket.
   * @throws RequestError when it is no proper one (sync-protocol 4).
   */
  accept(request: Request, options: ClientFeatures): Response {
    requireUpgrade(request);
    if (this.#isDraining) throw shuttingDown();
    const { socketIdleTimeoutS } = this.#services.config;
    return upgradeSocket(request, socketIdleTimeoutS, (socket) => this.open(socket, options));
  }

  /** Serves a client over an open socket, whose messages and end the caller reports. */
  open(socket: SyncSocket, features: ClientFeatures): SyncConnection {
    const connection: SyncConnection = new SyncConnection(socket, this.#services, {
      ...features,
      onEnd: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
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

  #tick(): void {
    this.#isTicking = this.#connections.size > 0;
    if (!this.#isTicking) return;
    const { environment } = this.#services;
    const now = environment.monotonicMs();
    for (const connection of [...this.#connections]) connection.tick(now);
    environment.setTimer(tickMs, () => this.#tick());
  }
}

function shuttingDown(): RequestError {
  return new RequestError("overloaded", "ShuttingDown", "The server is stopping. Connect again.");
}
