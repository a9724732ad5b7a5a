/**
 * The listening sockets. Deno reads and writes HTTP on them; what a request means is the handler's.
 *
 * Deno bounds neither the number of connections, nor the time in which a request's head or a WebSocket's message
 * arrives, nor the fragments of which a message is made, and lets nobody close a connection; when no file can be
 * opened any more it gives up listening. What it can do is to end a listener with every connection that is not in the
 * middle of a response, WebSockets included, and to listen again at once. That is `renew`, for when there are too many
 * (connection_watch.ts): clients of sockets connect again and go on where they were.
 */
import { type Environment, systemEnvironment } from "../environment.ts";
import { log } from "../logger.ts";
import { errorResponse } from "./responses.ts";
import type { RequestHandler } from "./request_handler.ts";

export interface Listener {
  readonly port: number;
  /** Origin to reach it at from this machine. */
  readonly url: string;
  /** Closes all connections but those that are being answered, and goes on listening. */
  renew(): void;
  /** Accepts nothing new and resolves when the requests in flight are answered. */
  drain(): Promise<void>;
  /** Breaks what is open; what is being drained ends by itself, or with the process. */
  abort(): void;
}

/** What listens between one renewal and the next. */
interface Generation {
  readonly server: Deno.HttpServer<Deno.NetAddr>;
  readonly abortion: AbortController;
}

/** Between attempts to have the port back, in milliseconds. */
const relistenMs = 20;

/**
 * Listens on `port`; 0 takes a free one.
 * @throws Error that names the cause and the remedy when the port cannot be had.
 */
export function listen(
  hostname: string,
  port: number,
  handler: RequestHandler,
  environment: Environment = systemEnvironment,
): Listener {
  let isEnding = false;
  const serve = (port: number): Generation => {
    const abortion = new AbortController();
    const { signal } = abortion;
    const options = { hostname, port, signal, onListen: ignore, onError: errorResponse };
    const server = Deno.serve(options, handler);
    const generation = { server, abortion };
    server.finished.catch((error) => {
      log("error", "A listener failed and is replaced", { error });
      if (generation === current) renew();
    });
    return generation;
  };
  const renew = () => {
    if (isEnding) return;
    // Why it failed, if it did, has been logged.
    current.server.shutdown().catch(ignore);
    // The runtime lets go of the port in one of its next turns.
    environment.setTimer(relistenMs, relisten);
  };
  const relisten = () => {
    if (isEnding) return;
    try {
      current = serve(bound);
    } catch (error) {
      log("warn", "The port is not free yet", { error: listenError(hostname, bound, error) });
      environment.setTimer(relistenMs, relisten);
    }
  };
  let current: Generation;
  try {
    current = serve(port);
  } catch (cause) {
    throw listenError(hostname, port, cause);
  }
  const bound = current.server.addr.port;
  const reachable = hostname === "0.0.0.0" || hostname === "::" ? "127.0.0.1" : hostname;
  return {
    port: bound,
    url: `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${bound}`,
    renew,
    drain() {
      isEnding = true;
      return current.server.shutdown();
    },
    // The runtime throws at a signal for a server that ends, or has ended, in another way.
    abort() {
      if (!isEnding) current.abortion.abort();
      isEnding = true;
    },
  };
}

function ignore(): void {}

function listenError(hostname: string, port: number, cause: unknown): Error {
  const address = `${hostname}:${port}`;
  if (cause instanceof Deno.errors.AddrInUse) {
    return new Error(
      `Port ${port} is in use by another process, so Hull cannot listen on ${address}. ` +
        "Stop that process, or choose another port with --port (0 takes a free one).",
      { cause },
    );
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new Error(
      `Hull may not listen on ${address}: ports below 1024 are reserved for the administrator. ` +
        "Choose a higher port with --port.",
      { cause },
    );
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(
    `Hull cannot listen on ${address}: ${reason}. ` +
      "Give --host an address of this machine: 127.0.0.1 for itself alone, 0.0.0.0 for all of its networks.",
    { cause },
  );
}
