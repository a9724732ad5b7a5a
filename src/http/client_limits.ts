/**
 * Fairness between clients: of one address, a number of requests is worked on at a time, with a number of bytes, and
 * further ones wait for those before their bodies are read. So a client that asks for much waits for itself, not others
 * for it. What requests and sockets call takes turns among clients once more where it waits for isolates
 * (src/isolate/pool.ts).
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import type { ClientAddresses } from "./client_address.ts";
import { allowOrigin } from "./cors.ts";
import type { ClientHandler, RequestHandler } from "./request_handler.ts";
import { errorResponse } from "./responses.ts";

/** Requests of one address that may wait; what comes then is refused at once. */
const waitingMax = 1000;

export interface ClientLimitsOptions {
  readonly addresses: ClientAddresses;
  readonly environment: Environment;
  readonly config: Pick<
    Config,
    "addressRequestsMax" | "addressBytesMax" | "requestBodyBytesMax" | "queueWaitMs"
  >;
}

interface Client {
  /** Requests that are worked on, or whose response is being sent. */
  running: number;
  /** Of their bodies. */
  bytes: number;
  /** The others, the longest waiting first. */
  readonly waiting: Set<Waiting>;
}

interface Waiting {
  readonly bytes: number;
  begin(): void;
}

const uploadUrl = /^[^:]*:\/\/[^/]*\/api\/storage\/upload/;

export class ClientLimits {
  readonly #options: ClientLimitsOptions;
  /** Those that have requests, by address. */
  readonly #clients = new Map<string, Client>();

  constructor(options: ClientLimitsOptions) {
    this.#options = options;
  }

  /** `handler`, for requests whose turn it is. Of those on this machine each connection is a client, and none waits. */
  around(handler: ClientHandler): RequestHandler {
    return (request, info) => {
      const { hostname, port } = info.remoteAddr;
      const address = this.#options.addresses.of(hostname, request.headers.get("x-forwarded-for"));
      if (address === null) return handler(request, `port ${port}`);
      const client = this.#clients.get(address) ?? { running: 0, bytes: 0, waiting: new Set() };
      const bytes = bodyBytes(request, this.#options.config.requestBodyBytesMax);
      this.#clients.set(address, client);
      const run = () => {
        info.completed.catch(ignoreLostConnection).then(() => this.#end(address, client, bytes));
        return handler(request, address);
      };
      // Small ones do not overtake a large one that waits: it would never have its turn.
      if (client.waiting.size > 0 || !this.#hasRoom(client, bytes)) {
        return this.#wait(client, bytes, request.signal)
          .then(run, (error) => allowOrigin(request, errorResponse(error)));
      }
      begin(client, bytes);
      return run();
    };
  }

  /** One that has nothing under way may be as large as its route allows. */
  #hasRoom({ running, bytes }: Client, more: number): boolean {
    const { addressRequestsMax, addressBytesMax } = this.#options.config;
    return running === 0 || (running < addressRequestsMax && bytes + more <= addressBytesMax);
  }

  /** Resolves when there is a place, which is taken by then. */
  #wait({ waiting }: Client, bytes: number, gone: AbortSignal): Promise<void> {
    const { config, environment } = this.#options;
    const refusal = tooMany(config);
    if (waiting.size >= waitingMax) return Promise.reject(refusal);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const turn = { bytes, begin: resolve };
    const giveUp = () => {
      waiting.delete(turn);
      reject(refusal);
    };
    const cancelTimer = environment.setTimer(config.queueWaitMs, giveUp);
    gone.addEventListener("abort", giveUp);
    waiting.add(turn);
    return promise.finally(() => {
      cancelTimer();
      gone.removeEventListener("abort", giveUp);
    });
  }

  /** A request is over, and its place goes to those that wait. */
  #end(address: string, client: Client, bytes: number): void {
    client.running--;
    client.bytes -= bytes;
    for (const turn of client.waiting) {
      if (!this.#hasRoom(client, turn.bytes)) return;
      client.waiting.delete(turn);
      begin(client, turn.bytes);
      turn.begin();
    }
    if (client.running === 0) this.#clients.delete(address);
  }
}

/** Whether a response arrived is not known here, only that no more of it is sent. */
function ignoreLostConnection(): void {}

function begin(client: Client, bytes: number): void {
  client.running++;
  client.bytes += bytes;
}

/** What a request will have in memory, or the most that it may have. Uploads go to disk as they come. */
function bodyBytes({ url, headers }: Request, bytesMax: number): number {
  const length = headers.get("content-length");
  if (uploadUrl.test(url)) return 0;
  if (length !== null) return Number(length);
  return headers.has("transfer-encoding") ? bytesMax : 0;
}

function tooMany(
  { addressRequestsMax, addressBytesMax }: ClientLimitsOptions["config"],
): RequestError {
  return new RequestError(
    "rateLimited",
    "TooManyConcurrentRequests",
    `Too many concurrent requests from your address: ${addressRequestsMax} are worked on at a time, with bodies of ` +
      `${addressBytesMax} bytes together. Try again later.`,
  );
}
