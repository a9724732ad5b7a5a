/**
 * Fairness between clients: of one address, a number of requests is worked on at a time, and further ones wait for
 * those. So a client that asks for much waits for itself, not others for it.
 *
 * Queries take nothing but the processor, and more of them at a time than there are isolates only makes a queue: so
 * while several clients ask, each has no more under way.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import type { ClientAddresses } from "./client_address.ts";
import { allowOrigin } from "./cors.ts";
import type { RequestHandler } from "./request_handler.ts";
import { errorResponse } from "./responses.ts";

/** Requests of one address that may wait; what comes then is refused at once. */
const waitingMax = 1000;

export interface ClientLimitsOptions {
  readonly addresses: ClientAddresses;
  readonly environment: Environment;
  readonly config: Pick<Config, "addressRequestsMax" | "queueWaitMs" | "transactionIsolates">;
}

const queryUrl = /^[^:]*:\/\/[^/]*\/api\/query/;

interface Client {
  /** Requests that are worked on, or whose response is being sent. */
  running: number;
  /** What lets each of the others begin, the longest waiting first. */
  readonly waiting: Set<() => void>;
  /** Whether it will be looked whether it has been back since; then it is forgotten unless it has. */
  isLeaving: boolean;
  isBack: boolean;
}

/** How long a client that has no request under way counts as one that asks, in milliseconds. */
const rememberedMs = 1_000;

export class ClientLimits {
  readonly #options: ClientLimitsOptions;
  /** Those that have requests, or had some a moment ago, by address; queries apart from all others. */
  readonly #queries = new Map<string, Client>();
  readonly #others = new Map<string, Client>();

  constructor(options: ClientLimitsOptions) {
    this.#options = options;
  }

  /** `handler`, for requests whose turn it is. */
  around(handler: RequestHandler): RequestHandler {
    return (request, info) => {
      const { hostname } = info.remoteAddr;
      const address = this.#options.addresses.of(hostname, request.headers.get("x-forwarded-for"));
      if (address === null) return handler(request, info);
      const clients = queryUrl.test(request.url) ? this.#queries : this.#others;
      const client = clients.get(address) ??
        { running: 0, waiting: new Set(), isLeaving: false, isBack: false };
      client.isBack = true;
      clients.set(address, client);
      const run = () => {
        info.completed.catch(ignoreLostConnection).then(() => this.#end(address, clients));
        return handler(request, info);
      };
      if (client.running >= this.#max(clients)) {
        return this.#wait(client, request.signal)
          .then(run, (error) => allowOrigin(request, errorResponse(error)));
      }
      client.running++;
      return run();
    };
  }

  /** How many of one client may run now. */
  #max(clients: ReadonlyMap<string, Client>): number {
    const { addressRequestsMax, transactionIsolates } = this.#options.config;
    const isShared = clients === this.#queries && clients.size > 1;
    return isShared ? Math.min(transactionIsolates, addressRequestsMax) : addressRequestsMax;
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

  #end(address: string, clients: Map<string, Client>): void {
    const client = clients.get(address)!;
    client.running--;
    for (const begin of client.waiting) {
      if (client.running >= this.#max(clients)) return;
      client.waiting.delete(begin);
      client.running++;
      begin();
    }
    if (client.running === 0 && !client.isLeaving) this.#leave(address, client, clients);
  }

  /** Forgets a client that asks for nothing more. */
  #leave(address: string, client: Client, clients: Map<string, Client>): void {
    client.isLeaving = true;
    client.isBack = false;
    this.#options.environment.setTimer(rememberedMs, () => {
      if (client.isBack || client.running > 0) return this.#leave(address, client, clients);
      clients.delete(address);
    });
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
