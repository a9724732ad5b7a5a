/**
 * The listening sockets. Deno reads and writes HTTP on them; what a request means is the handler's.
 *
 * Deno limits the size of a request's head, but not the time in which it arrives, nor the number of
 * connections: idle ones cost a few KiB each, up to the process's limit of open files. A server that faces
 * the internet belongs behind a proxy that has both limits.
 */
import { log } from "../logger.ts";
import { errorResponse } from "./responses.ts";
import type { RequestHandler } from "./request_handler.ts";

export interface Listener {
  readonly port: number;
  /** Origin to reach it at from this machine. */
  readonly url: string;
  /** Accepts nothing new and resolves when the requests in flight are answered. */
  drain(): Promise<void>;
  /** Breaks what is open; what is being drained ends by itself, or with the process. */
  abort(): void;
}

/**
 * Listens on `port`; 0 takes a free one.
 * @throws Error that names the cause and the remedy when the port cannot be had.
 */
export function listen(hostname: string, port: number, handler: RequestHandler): Listener {
  const abortion = new AbortController();
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({
      hostname,
      port,
      signal: abortion.signal,
      onListen: logAddress,
      onError: errorResponse,
    }, handler);
  } catch (cause) {
    throw listenError(hostname, port, cause);
  }
  let isEnding = false;
  server.finished.then(() => isEnding = true);
  const reachable = hostname === "0.0.0.0" || hostname === "::" ? "127.0.0.1" : hostname;
  return {
    port: server.addr.port,
    url: `http://${reachable.includes(":") ? `[${reachable}]` : reachable}:${server.addr.port}`,
    drain() {
      isEnding = true;
      return server.shutdown();
    },
    // The runtime throws at a signal for a server that ends, or has ended, in another way.
    abort() {
      if (!isEnding) abortion.abort();
    },
  };
}

function logAddress({ hostname, port }: Deno.NetAddr): void {
  log("debug", "Listening", { hostname, port });
}

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
  return new Error(`Hull cannot listen on ${address}: ${reason}`, { cause });
}
