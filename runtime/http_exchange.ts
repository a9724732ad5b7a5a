/** Request and response of one HTTP action, as its router sees them (function-abi 2.5, 18). */
import type { HttpActionRequest, HttpActionResponse } from "../src/isolate/protocol.ts";
import type { Log } from "./log.ts";

/** What the router is given for its request. */
interface RequestJson {
  readonly headerPairs: readonly (readonly [string, string])[];
  readonly url: string;
  readonly method: string;
}

export interface FinishedResponse extends HttpActionResponse {
  readonly body: Uint8Array;
}

export class HttpExchange {
  readonly #request: HttpActionRequest;
  readonly #body: Uint8Array<ArrayBuffer>;
  #response: Response | null = null;

  constructor(request: HttpActionRequest, body: Uint8Array) {
    this.#request = request;
    this.#body = body.slice();
  }

  get method(): string {
    return this.#request.method;
  }

  get pathname(): string {
    return new URL(this.#request.url).pathname;
  }

  /** The text that the router gets for the request. */
  requestText(): string {
    const { headers, url, method } = this.#request;
    return JSON.stringify({ headerPairs: headers, url, method, streamId: null, signal: "" });
  }

  makeRequest({ headerPairs, url, method }: RequestJson): Request {
    const hasBody = this.#body.length > 0 && method !== "GET" && method !== "HEAD";
    const headers = new Headers(
      headerPairs.map(([name, value]): [string, string] => [name, value]),
    );
    return new Request(url, { method, headers, ...hasBody && { body: this.#body } });
  }

  /** Keeps the response; what the router gets for it says nothing. */
  takeResponse(response: unknown): Record<string, unknown> {
    if (!(response instanceof Response)) throw new Error("HTTP actions must return a Response");
    this.#response = response;
    return { status: response.status, headerPairs: [], streamId: null };
  }

  /** Reads the response to its end, or to `bodyBytesMax`. */
  async finish(bodyBytesMax: number, log: Log): Promise<FinishedResponse> {
    const response = this.#response;
    if (response === null) throw new Error("HTTP actions must return a Response");
    const body = response.body === null
      ? new Uint8Array(0)
      : await readBody(response.body, bodyBytesMax, log);
    return { status: response.status, headers: [...response.headers], body };
  }
}

async function readBody(
  stream: ReadableStream<Uint8Array>,
  bytesMax: number,
  log: Log,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    if (!(chunk instanceof Uint8Array)) throw new TypeError("Response body chunks must be bytes");
    if (length + chunk.length > bytesMax) {
      log.addSystem(
        "ERROR",
        `HttpResponseTooLarge: HTTP actions support responses up to ${bytesMax / 2 ** 20} MiB`,
        "error:httpAction",
      );
      break;
    }
    chunks.push(chunk);
    length += chunk.length;
  }
  const body = new Uint8Array(length);
  let position = 0;
  for (const chunk of chunks) {
    body.set(chunk, position);
    position += chunk.length;
  }
  return body;
}
