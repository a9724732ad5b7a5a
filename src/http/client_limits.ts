/**
 * Fairness between clients: of one address, a number of requests is worked on at a time, and further ones wait for
 * those. So a client that asks for much waits for itself, not others for it. What requests and sockets call takes turns
 * among clients once more where it waits for isolates (src/isolate/pool.ts).
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
  readonly config: Pick<Config, "addressRequestsMax" | "queueWaitMs">;
}

interface Client {
  /** Requests that are worked on, or whose response is being sent. */
  running: number;
  /** What lets each of the others begin, the longest waiting first. */
  readonly waiting: Set<() => void>;
}

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
      const client = this.#clients.get(address) ?? { running: 0, waiting: new Set() };
      this.#clients.set(address, client);
      const run = () => {
        info.completed.catch(ignoreLostConnection).then(() => this.#end(address, client));
        return handler(request, address);
      };
      if (client.running >= this.#options.config.addressRequestsMax) {
        return this.#wait(client, request.signal)
          .then(run, (error) => allowOrigin(request, errorResponse(error)));
      }
      client.running++;
      return run();
    };
  }

  /** Resolves when there is a place, which is taken by then. */
  #wait({ waiting }: Client, gone: AbortSignal): Promise<void> {
    const { config, environment } = this.#options;
    const refusal = tooMany(config.addressRequestsMax);
    if (waiting.size >= waitingMax) return Promise.reject(refusal);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const giveUp = () => {
      waiting.delete(resolve);
      reject(refusal);
    };
    const cancelTimer = environment.setTimer(config.queueWaitMs, giveUp);
    gone.addEventListener("abort", giveUp);
    waiting.add(resolve);
    return promise.finally(() => {
      cancelTimer();
      gone.removeEventListener("abort", giveUp);
    });
  }

  /** A request is over, and its place goes to one that waits. */
  #end(address: string, client: Client): void {
    const [begin] = client.waiting;
    if (begin !== undefined) {
      client.waiting.delete(begin);
      begin();
    } else if (--client.running === 0) this.#clients.delete(address);
  }
}

/** Whether a response arrived is not known here, only that no more of it is sent. */
function ignoreLostConnection(): void {}

function tooMany(max: number): RequestError {
  return new RequestError(
    "rateLimited",
    "TooManyConcurrentRequests",
    `Too many concurrent requests from your address: ${max} are worked on at a time. Try again later.`,
  );
}
