/**
 * One WebSocket of a client (sync-protocol 8). The protocol's state is in connection_state.ts; here is the
 * loop around it:
 *
 *     client messages ──► in order, one after the other
 *                            │ Mutation ──► queue, one at a time ──► MutationResponse ─┐
 *                            │ Action ────► at once ─────────────► ActionResponse ────┤
 *                            ▼                                                         ▼
 *     commits ──────────► does the client wait for a transition? ◄─────────────────────┘
 *                            │ yes, none is being computed, and the network has room
 *                            ▼
 *                         compute: all results at one timestamp ─► durable ─► Transition
 *
 * What has to happen next is read off the state (`#needsTransition`) after every step. Nothing is sent
 * before what it tells is on disk, and no transition overtakes the response of a mutation it contains.
 */
import type { Config } from "../config.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { agree } from "../functions/followed_queries.ts";
import type {
  CallContext,
  Caller,
  FollowableFunctions,
  FunctionResult,
} from "../functions/functions.ts";
import { hostFailure } from "../functions/host_failures.ts";
import { type RequestIds, sessionRequestId } from "../functions/request_id.ts";
import { log } from "../logger.ts";
import { type Computation, ConnectionState } from "./connection_state.ts";
import { endingFor, internalEnding } from "./ending.ts";
import type { HeldBytes } from "./held_bytes.ts";
import { MutationQueue } from "./mutation_queue.ts";
import { Outbox, type SyncSocket } from "./outbox.ts";
import {
  type Authenticate,
  type ClientMessage,
  type Connect,
  encodeActionResponse,
  encodeMutationResponse,
  encodeTransition,
  encodeVersion,
  type FunctionMessage,
  type ModifyQuerySet,
  parseClientMessage,
  ping,
} from "./protocol.ts";
import {
  outcomeOf,
  type QueryEncodings,
  type Visibility,
  visibleLogLines,
} from "./query_encodings.ts";
import { SocketIdentity, type VerifyCredential } from "./socket_identity.ts";

export interface SyncOptions {
  readonly functions: FollowableFunctions;
  readonly verify: VerifyCredential;
  readonly environment: Environment;
  readonly config: Config;
  /** Hide log lines and the details of errors from everybody but admins. */
  readonly redact: boolean;
}

/** What all sockets of a server share. */
export interface SyncServices extends SyncOptions {
  readonly ids: RequestIds;
  readonly encodings: QueryEncodings;
  readonly held: HeldBytes;
}

/** Silence after which a client is told that we are still there, in milliseconds (sync-protocol 99). */
const pingAfterMs = 15_000;
/** A mutation that takes longer ends its socket, in milliseconds (sync-protocol 79). */
const mutationMsMax = 60_000;
/** Back-off while a query cannot run for reasons that pass, in milliseconds (sync-protocol 54). */
const retryDelayMs = 500;
const retryDelayMsMax = 600_000;

/** What is known of a client when it connects. */
export interface SocketClient {
  /** It understands `TransitionChunk` (sync-protocol 9). */
  readonly chunks: boolean;
  /** See `CallContext.client`. */
  readonly client: string;
}

export interface ConnectionOptions extends SocketClient {
  readonly onEnd: () => void;
}

/** Turns a request into an open socket; `open` is called as soon as it can send. */
export function upgradeSocket(
  request: Request,
  idleTimeoutS: number,
  open: (socket: SyncSocket) => SyncConnection,
): Response {
  const { socket, response } = Deno.upgradeWebSocket(request, { idleTimeout: idleTimeoutS });
  socket.onopen = () => {
    const connection = open(socket);
    socket.onmessage = ({ data }) => connection.receive(data);
    socket.onclose = () => connection.disconnected();
  };
  // A broken connection closes as well; there is nothing to do for the error itself.
  socket.onerror = () => {};
  return response;
}

export class SyncConnection {
  readonly #services: SyncServices;
  readonly #state = new ConnectionState();
  readonly #identity: SocketIdentity;
  readonly #outbox: Outbox;
  readonly #mutations: MutationQueue;
  readonly #client: string;
  /** Length of the arguments of its calls that wait or run. */
  #heldBytes = 0;
  readonly #onEnd: () => void;

  #sessionId: string | null = null;
  #clientClockSkewMs: number | null = null;
  readonly #actions = new Set<Promise<void>>();
  /** Messages that wait for the one that is being handled. */
  readonly #inbox: string[] = [];
  #inboxCharacters = 0;
  #isReading = false;

  /** A response was sent that no transition has followed, or none that contains its mutation. */
  #owesTransition = false;
  /** Of the responses that were sent. */
  #respondedThrough: Timestamp = zeroTimestamp;
  /** A result that the client holds is no longer right. */
  #isInvalidated = false;
  #isComputing = false;
  #currentVersion: string;
  #isEnded = false;
  #isDraining = false;
  #endPause: () => void = () => {};

  constructor(socket: SyncSocket, services: SyncServices, options: ConnectionOptions) {
    const { environment, config, verify } = services;
    this.#services = services;
    this.#identity = new SocketIdentity(verify, environment);
    this.#outbox = new Outbox(socket, environment, options);
    this.#mutations = new MutationQueue({
      waitingMax: config.socketMutationsMax,
      monotonicMs: () => environment.monotonicMs(),
      onError: (error) => this.#fail(error),
    });
    this.#client = options.client;
    this.#onEnd = options.onEnd;
    this.#currentVersion = encodeVersion(this.#state.current);
  }

  /** A message from the client. */
  receive(data: unknown): void {
    if (this.#isEnded || this.#isDraining) return;
    if (typeof data !== "string") return this.#fail(clientError("a binary message"));
    this.#inboxCharacters += data.length;
    if (this.#inboxCharacters > this.#services.config.socketMessageBytesMax) {
      return this.#fail(clientError("too large a message, or too many at once"));
    }
    this.#inbox.push(data);
    if (!this.#isReading) void this.#read();
  }

  /** The socket is gone. Actions and a mutation that has begun go on; their results are dropped. */
  disconnected(): void {
    if (!this.#isEnded) this.#end();
  }

  /**
   * Takes nothing new and ends the socket when what runs has been answered. What has not begun the client
   * sends again when it has found a server.
   */
  async drain(): Promise<void> {
    this.#isDraining = true;
    this.#inbox.length = 0;
    this.#mutations.clear();
    await Promise.all([this.#mutations.answered, ...this.#actions]);
    this.close();
  }

  /** Ends the socket because the server stops. */
  close(): void {
    if (this.#isEnded) return;
    this.#end();
    this.#outbox.close(1001, "InternalServerError");
  }

  /** See `SocketIdentity.providersChanged`. */
  providersChanged(): void {
    this.#identity.providersChanged();
  }

  /** To be called about once a second. */
  tick(monotonicMs: number): void {
    const since = this.#mutations.runningSinceMs;
    if (since !== undefined && monotonicMs - since > mutationMsMax) {
      this.#fail(new RequestError("internal", "InternalServerError", "A mutation took too long"));
    } else if (monotonicMs - this.#outbox.lastSentMs >= pingAfterMs) this.#outbox.send(ping);
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    try {
      for (;;) {
        const text = this.#inbox.shift();
        if (text === undefined || this.#isEnded) break;
        this.#inboxCharacters -= text.length;
        const wait = this.#handle(parseClientMessage(text));
        if (wait !== undefined) await wait;
      }
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isReading = false;
    }
    this.#advance();
  }

  /** Finished when the returned promise is, or at once. */
  #handle(message: ClientMessage): Promise<void> | undefined {
    switch (message.type) {
      case "Connect":
        return this.#connect(message);
      case "ModifyQuerySet":
        return this.#modifyQuerySet(message);
      case "Mutation":
        return this.#afterRevalidation(() => this.#queueMutation(message));
      case "Action":
        return this.#afterRevalidation(() => this.#startAction(message));
      case "Authenticate":
        return this.#authenticate(message);
      case "Event":
        return undefined;
    }
  }

  #connect({ sessionId, clientTs, maxObservedTimestamp }: Connect): undefined {
    const { functions, environment } = this.#services;
    if (maxObservedTimestamp !== null && maxObservedTimestamp > functions.appliedTimestamp) {
      throw clientError("a timestamp from the future: the server has lost data");
    }
    this.#sessionId = sessionId;
    if (clientTs !== null) this.#clientClockSkewMs = Math.round(clientTs - environment.nowMs());
  }

  #modifyQuerySet(message: ModifyQuerySet): undefined {
    for (const modification of message.modifications) {
      if (modification.type === "Add") this.#requireComponentAccess(modification.componentPath);
    }
    this.#state.modify(message);
  }

  async #authenticate({ baseVersion, credential }: Authenticate): Promise<void> {
    const identity = await this.#identity.verify(credential, baseVersion);
    this.#state.requireIdentityVersion(baseVersion);
    // Both in one turn: no computation sees the one without the other.
    this.#identity.set(identity);
    this.#state.identityChanged();
  }

  #queueMutation(message: FunctionMessage): void {
    this.#requireComponentAccess(message.componentPath);
    const context = this.#contextOf(message);
    const session = this.#sessionId === null
      ? undefined
      : { sessionId: this.#sessionId, requestId: message.requestId };
    const { functions } = this.#services;
    this.#hold(message.args.length);
    this.#mutations.push(async (onCommitted) => {
      const { udfPath, args, requestId } = message;
      const result = await functions.mutation(udfPath, args, context, session, onCommitted);
      this.#release(args.length);
      if (this.#isEnded) return;
      const visibility = this.#visibilityFor(context.caller);
      const outcome = outcomeOf(result, context.requestId, visibility);
      const logLines = visibleLogLines(result, visibility);
      const timestamp = result.timestamp ?? null;
      if (timestamp !== null && timestamp > this.#respondedThrough) {
        this.#respondedThrough = timestamp;
      }
      this.#respond(encodeMutationResponse(requestId, outcome, logLines, timestamp));
    });
  }

  #startAction(message: FunctionMessage): void {
    this.#requireComponentAccess(message.componentPath);
    const { socketActionsMax } = this.#services.config;
    if (this.#actions.size >= socketActionsMax) {
      throw new RequestError(
        "rateLimited",
        "TooManyInflightActionsForSingleClient",
        `Too many actions in flight. Only up to ${socketActionsMax} allowed on a single websocket.`,
      );
    }
    const { length } = message.args;
    this.#hold(length);
    const action = this.#runAction(message, this.#contextOf(message))
      .catch((error) => this.#fail(error))
      .finally(() => {
        this.#actions.delete(action);
        this.#release(length);
      });
    this.#actions.add(action);
  }

  /** @throws RequestError when the client's calls hold more than they may. */
  #hold(bytes: number): void {
    this.#services.held.take(this.#client, bytes);
    this.#heldBytes += bytes;
  }

  #release(bytes: number): void {
    if (this.#isEnded) return;
    this.#services.held.give(this.#client, bytes);
    this.#heldBytes -= bytes;
  }

  async #runAction(message: FunctionMessage, context: CallContext): Promise<void> {
    const { udfPath, args, requestId } = message;
    const result = await this.#actionResult(udfPath, args, context);
    if (this.#isEnded) return;
    const visibility = this.#visibilityFor(context.caller);
    const outcome = outcomeOf(result, context.requestId, visibility);
    this.#respond(encodeActionResponse(requestId, outcome, visibleLogLines(result, visibility)));
  }

  /** What may not be called is a failed action, not the end of the socket (sync-protocol 84e). */
  async #actionResult(path: string, args: string, context: CallContext): Promise<FunctionResult> {
    try {
      return await this.#services.functions.action(path, args, context);
    } catch (error) {
      if (!(error instanceof RequestError) || error.kind !== "forbidden") throw error;
      return { ok: false, failure: hostFailure(error.message), logLines: [] };
    }
  }

  #respond(text: string): void {
    this.#outbox.sendResponse(text);
    this.#owesTransition = true;
    this.#advance();
  }

  get #needsTransition(): boolean {
    return this.#state.isBehind || this.#owesTransition || this.#isInvalidated;
  }

  /** Begins what is due. Client messages that have arrived come first. */
  #advance(): void {
    if (this.#isEnded || this.#isReading || this.#isComputing || !this.#needsTransition) return;
    if (this.#outbox.hasRoom) void this.#compute();
    else this.#outbox.whenRoom(() => this.#advance());
  }

  async #compute(): Promise<void> {
    this.#isComputing = true;
    try {
      const wait = this.#identity.revalidate(this.#state.identityVersion);
      if (wait !== undefined) await wait;
      const { caller } = this.#identity;
      const computation = this.#state.begin();
      const timestamp = await this.#agree(caller);
      // Each wait costs every follower of a query memory and a turn: nearly always there is none.
      const { functions } = this.#services;
      if (timestamp > functions.durableTimestamp) await functions.durable(timestamp);
      if (this.#mutations.owesAnswer(timestamp)) await this.#mutations.answeredThrough(timestamp);
      if (!this.#isEnded) this.#sendTransition(computation, timestamp, caller);
    } catch (error) {
      this.#fail(error);
    } finally {
      this.#isComputing = false;
    }
    this.#advance();
  }

  /** Brings all results to one timestamp, however long that takes. */
  async #agree(caller: Caller): Promise<Timestamp> {
    const { functions } = this.#services;
    const queries = [...this.#state.queries.values()];
    const options = {
      notBefore: Math.max(this.#state.current.ts, this.#respondedThrough) as Timestamp,
      context: () => this.#queryContext(caller),
      onInvalidated: this.#onInvalidated,
    };
    for (let delayMs = retryDelayMs;; delayMs = Math.min(2 * delayMs, retryDelayMsMax)) {
      try {
        return await agree(functions, queries, options);
      } catch (error) {
        if (this.#isEnded || !willPass(error)) throw error;
        log("warn", "a query cannot run now", { error });
        await this.#pause(delayMs);
        if (this.#isEnded) throw error;
      }
    }
  }

  #sendTransition(computation: Computation, timestamp: Timestamp, caller: Caller): void {
    const { encodings, environment } = this.#services;
    const visibility = this.#visibilityFor(caller);
    const modifications = encodings.news(this.#state.queries, computation.removed, visibility);
    this.#state.finish(computation, timestamp);
    const start = this.#currentVersion;
    this.#currentVersion = encodeVersion(this.#state.current);
    this.#owesTransition = timestamp < this.#respondedThrough;
    this.#isInvalidated = this.#state.hasInvalidResults;
    this.#outbox.sendTransition(encodeTransition({
      start,
      end: this.#currentVersion,
      modifications,
      clientClockSkewMs: this.#clientClockSkewMs,
      serverTimeMs: environment.nowMs(),
    }));
  }

  readonly #onInvalidated = (): void => {
    this.#isInvalidated = true;
    this.#advance();
  };

  #contextOf({ requestId, componentPath }: FunctionMessage): CallContext {
    return {
      caller: this.#identity.caller,
      requestId: this.#sessionId === null
        ? this.#services.ids.requestId()
        : sessionRequestId(this.#sessionId, requestId),
      origin: "SyncWorker",
      client: this.#client,
      componentPath,
    };
  }

  #queryContext(caller: Caller): CallContext {
    const requestId = this.#services.ids.requestId();
    return { caller, requestId, origin: "SyncWorker", client: this.#client };
  }

  #visibilityFor(caller: Caller): Visibility {
    return { redact: this.#services.redact && caller.kind !== "admin" };
  }

  /** Only admins reach into components (sync-protocol 85). */
  #requireComponentAccess(componentPath: string): void {
    const { caller } = this.#identity;
    if (componentPath === "") return;
    if (caller.kind !== "admin" || caller.impersonating !== null) {
      throw clientError("the path of a component without being an admin");
    }
  }

  #afterRevalidation(step: () => void): Promise<void> | undefined {
    const wait = this.#identity.revalidate(this.#state.identityVersion);
    if (wait === undefined) step();
    return wait?.then(() => this.#isEnded ? undefined : step());
  }

  async #pause(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = this.#services.environment.setTimer(delayMs, resolve);
    this.#endPause = () => {
      cancelTimer();
      resolve();
    };
    await promise;
  }

  #fail(error: unknown): void {
    if (this.#isEnded) return;
    const ending = endingFor(error);
    if (ending === undefined) log("error", "a sync connection failed", { error });
    const { announcement, code, reason } = ending ?? internalEnding;
    if (announcement !== undefined) this.#outbox.send(announcement);
    this.#end();
    this.#outbox.close(code, reason);
  }

  #end(): void {
    this.#isEnded = true;
    this.#services.held.give(this.#client, this.#heldBytes);
    this.#inbox.length = 0;
    this.#mutations.clear();
    this.#state.stop();
    this.#outbox.stop();
    this.#endPause();
    this.#onEnd();
  }
}

/** Reasons that a later attempt may not meet (sync-protocol 54). */
function willPass(error: unknown): boolean {
  return error instanceof RequestError &&
    (error.kind === "internal" || error.kind === "overloaded");
}

/** What a client does in error, and reconnecting may cure: the socket ends with 1011. */
function clientError(what: string): RequestError {
  return new RequestError("internal", "InternalServerError", `The client sent ${what}`);
}
