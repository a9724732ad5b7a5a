/** Request and response of one HTTP action, as its router sees them (function-abi 2.5, 18). */
import {
  type FromHttpAction,
  type HttpActionRequest,
  type HttpActionResponse,
  pieceBytesMax,
  type ToHttpAction,
} from "../src/isolate/protocol.ts";
import type { Log } from "./log.ts";
import { turn } from "./settle.ts";

/** What the router is given for its request. */
interface RequestJson {
  readonly headerPairs: readonly (readonly [string, string])[];
  readonly url: string;
  readonly method: string;
}

export interface FinishedResponse extends HttpActionResponse {
  /** Empty when the response has been sent already. */
  readonly body: Uint8Array;
}

export interface ExchangeOptions {
  readonly callId: number;
  readonly request: HttpActionRequest;
  /** The request's body, unless that follows. */
  readonly body: Uint8Array;
  /** Of the response. */
  readonly bodyBytesMax: number;
  readonly log: Log;
  readonly send: (message: FromHttpAction, piece?: Uint8Array) => void;
}

/** A response that is ready at once and not larger leaves whole, in bytes. */
const wholeBytesMax = pieceBytesMax;
const methodsWithoutBody = ["GET", "HEAD", "OPTIONS"];
const noBytes = new Uint8Array(0);

type RequestController = ReadableStreamDefaultController<Uint8Array>;

export class HttpExchange {
  readonly #options: ExchangeOptions;
  readonly #gone = new AbortController();
  #signalSeen = false;
  #response: Response | null = null;
  /** Set while a piece of the request's body has been asked for. */
  #takeRequestPiece: ((piece: Uint8Array | Error) => void) | null = null;
  /** Whether the response's head has been sent ahead of its body. */
  #isStreaming = false;
  /** Whether the client waits for a piece of the response's body, and who waits for it to. */
  #isPieceWanted = false;
  #onPieceWanted: () => void = () => {};

  constructor(options: ExchangeOptions) {
    this.#options = options;
  }

  get method(): string {
    return this.#options.request.method;
  }

  get pathname(): string {
    return new URL(this.#options.request.url).pathname;
  }

  /** Whether the client may still bring something about that the action waits for. */
  get awaitsClient(): boolean {
    if (this.#gone.signal.aborted) return false;
    return this.#takeRequestPiece !== null || this.#isStreaming || this.#signalSeen;
  }

  /** The text that the router gets for the request. */
  requestText(): string {
    const { headers, url, method } = this.#options.request;
    return JSON.stringify({ headerPairs: headers, url, method, streamId: null, signal: "" });
  }

  makeRequest({ headerPairs, url, method }: RequestJson): Request {
    const headers = new Headers(
      headerPairs.map(([name, value]): [string, string] => [name, value]),
    );
    const { signal } = this.#gone;
    const body = methodsWithoutBody.includes(method) ? null : this.#requestBody();
    const request = new Request(url, { method, headers, body, signal });
    // Who looks at it may wait for the client to leave, and is not stuck.
    Object.defineProperty(request, "signal", {
      configurable: true,
      get: () => {
        this.#signalSeen = true;
        return signal;
      },
    });
    return request;
  }

  /** Keeps the response; what the router gets for it says nothing. */
  takeResponse(response: unknown): Record<string, unknown> {
    if (!(response instanceof Response)) throw new Error("HTTP actions must return a Response");
    this.#response = response;
    return { status: response.status, headerPairs: [], streamId: null };
  }

  /** Reads the response to its end, or to its limit, and sends it while it is produced unless it is there at once. */
  async finish(): Promise<FinishedResponse> {
    const response = this.#response;
    if (response === null) throw new Error("HTTP actions must return a Response");
    const head = { status: response.status, headers: [...response.headers] };
    if (response.body === null) return { ...head, body: noBytes };
    const chunks = this.#withinLimit(response.body);
    const { ready, rest } = await readyChunks(chunks);
    const readyBytes = ready.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    if (rest === null && readyBytes <= wholeBytesMax) return { ...head, body: concatenate(ready) };

    const { callId, send } = this.#options;
    this.#isStreaming = true;
    const bodyBytes = rest === null ? readyBytes : null;
    send({ type: "response", callId, response: head, bodyBytes });
    for (const chunk of ready) await this.#sendChunk(chunk);
    for (let next = await rest; next?.done === false; next = await chunks.next()) {
      await this.#sendChunk(next.value);
    }
    return { ...head, body: noBytes };
  }

  /** What the server says about the exchange. */
  receive(message: ToHttpAction, piece: Uint8Array): void {
    switch (message.type) {
      case "requestPiece":
        return this.#takeRequestPiece?.(piece.slice());
      case "requestFailed":
        return this.#takeRequestPiece?.(new TypeError(message.message));
      case "wantResponsePiece":
        this.#isPieceWanted = true;
        return this.#onPieceWanted();
      case "clientGone":
        this.#gone.abort();
        return this.#onPieceWanted();
    }
  }

  #requestBody(): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
    const { request, body, callId, send } = this.#options;
    if (!request.bodyFollows) return body.slice();
    return new ReadableStream<Uint8Array>({
      pull: (controller) =>
        new Promise<void>((resolve) => {
          this.#takeRequestPiece = (piece) => {
            this.#takeRequestPiece = null;
            enqueue(piece, controller);
            resolve();
          };
          send({ type: "wantRequestPiece", callId });
        }),
      // Whoever gives the body up is not to be handed the piece that is on its way.
      cancel: () => {
        this.#takeRequestPiece = null;
      },
    }, { highWaterMark: 0 });
  }

  /** The chunks of the response, up to the first one that does not fit. */
  async *#withinLimit(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
    const { bodyBytesMax, log } = this.#options;
    let length = 0;
    for await (const chunk of stream) {
      if (!(chunk instanceof Uint8Array)) throw new TypeError("Response body chunks must be bytes");
      length += chunk.byteLength;
      if (length > bodyBytesMax) {
        log.addSystem(
          "ERROR",
          `HttpResponseTooLarge: HTTP actions support responses up to ${
            bodyBytesMax / 2 ** 20
          } MiB`,
          "error:httpAction",
        );
        return;
      }
      yield chunk;
    }
  }

  /** Waits for the client to take each piece; what nobody takes any more is dropped. */
  async #sendChunk(chunk: Uint8Array): Promise<void> {
    const { callId, send } = this.#options;
    for (let start = 0; start < chunk.byteLength; start += pieceBytesMax) {
      while (!this.#isPieceWanted && !this.#gone.signal.aborted) {
        await new Promise<void>((resolve) => this.#onPieceWanted = resolve);
      }
      if (this.#gone.signal.aborted) return;
      this.#isPieceWanted = false;
      send({ type: "responsePiece", callId }, chunk.subarray(start, start + pieceBytesMax));
    }
  }
}

/** The end of the body is an empty piece. */
function enqueue(piece: Uint8Array | Error, controller: RequestController): void {
  if (piece instanceof Error) controller.error(piece);
  else if (piece.byteLength === 0) controller.close();
  else controller.enqueue(piece);
}

type Next = IteratorResult<Uint8Array, unknown>;

/**
 * What is there without waiting, unless it is very much. `rest`: what comes next; null: nothing, so the length of
 * the whole is known.
 */
async function readyChunks(
  chunks: AsyncIterator<Uint8Array>,
): Promise<{ ready: Uint8Array[]; rest: Promise<Next> | null }> {
  const ready: Uint8Array[] = [];
  for (let bytes = 0;;) {
    const rest = chunks.next();
    // A body made of one text or buffer of whatever size ends after its only chunk.
    if (ready.length > 1 && bytes > wholeBytesMax) return { ready, rest };
    const next = await Promise.race([rest, turn()]);
    if (next === undefined) return { ready, rest };
    if (next.done) return { ready, rest: null };
    ready.push(next.value);
    bytes += next.value.byteLength;
  }
}

function concatenate(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0));
  let position = 0;
  for (const chunk of chunks) {
    whole.set(chunk, position);
    position += chunk.byteLength;
  }
  return whole;
}
