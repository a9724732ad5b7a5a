/**
 * Reading request bodies without letting a client make the server hold more than it must: each body has a
 * limit, which is enforced while it arrives, and large ones share a budget and must arrive in time.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";

/** A body up to this size is read without accounting: a connection holds about as much for its buffers. */
const smallBodyBytes = 64 * 1024;

/** The body is longer than its route allows. */
export class BodyTooLargeError extends Error {
  override name = "BodyTooLargeError";
  constructor(readonly bytesMax: number) {
    super(`The request body exceeds the maximum of ${bytesMax} bytes`);
  }
}

export class BodyReader {
  readonly #config: Pick<Config, "requestBodiesBytesMax" | "requestBodyTimeoutS">;
  readonly #environment: Environment;
  /** Bytes of large bodies that are announced or have arrived, of all requests now being read. */
  #bytesHeld = 0;

  constructor(
    config: Pick<Config, "requestBodiesBytesMax" | "requestBodyTimeoutS">,
    environment: Environment,
  ) {
    this.#config = config;
    this.#environment = environment;
  }

  /** @throws BodyTooLargeError, or RequestError when the body does not arrive or there is no room for it. */
  async text(request: Request, bytesMax: number): Promise<string> {
    if (announcedBytes(request, bytesMax) <= smallBodyBytes) return await request.text();
    return new TextDecoder().decode(await this.#readLarge(request, bytesMax));
  }

  /** Like `text`. */
  async bytes(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
    if (announcedBytes(request, bytesMax) <= smallBodyBytes) return await request.bytes();
    return await this.#readLarge(request, bytesMax);
  }

  async #readLarge(request: Request, bytesMax: number): Promise<Uint8Array<ArrayBuffer>> {
    if (request.body === null) return new Uint8Array(0);
    const reader = request.body.getReader();
    const cancelTimer = this.#environment.setTimer(this.#config.requestBodyTimeoutS * 1000, () => {
      timedOut = true;
      reader.cancel().catch(ignoreCancelFailure);
    });
    const chunks: Uint8Array[] = [];
    let length = 0;
    let timedOut = false;
    try {
      for (let next = await read(reader); next !== undefined; next = await read(reader)) {
        length += next.byteLength;
        this.#bytesHeld += next.byteLength;
        if (length > bytesMax) throw new BodyTooLargeError(bytesMax);
        if (this.#bytesHeld > this.#config.requestBodiesBytesMax) throw tooManyBodies();
        chunks.push(next);
      }
      if (timedOut) throw bodyTimeout();
    } catch (error) {
      reader.cancel().catch(ignoreCancelFailure);
      throw error;
    } finally {
      cancelTimer();
      this.#bytesHeld -= length;
    }
    return concatenate(chunks, length);
  }
}

/** What `Content-Length` says; Infinity for a body whose length is not known before it ends. */
function announcedBytes(request: Request, bytesMax: number): number {
  const header = request.headers.get("content-length");
  if (header === null) return request.body === null ? 0 : Infinity;
  const length = Number(header);
  if (length > bytesMax) throw new BodyTooLargeError(bytesMax);
  return length;
}

async function read(
  reader: ReadableStreamDefaultReader<Uint8Array>,
): Promise<Uint8Array | undefined> {
  try {
    return (await reader.read()).value;
  } catch (cause) {
    throw new RequestError(
      "clientDisconnect",
      "ClientDisconnected",
      "The request body ended early",
      { cause },
    );
  }
}

function concatenate(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(length);
  let position = 0;
  for (const chunk of chunks) {
    whole.set(chunk, position);
    position += chunk.byteLength;
  }
  return whole;
}

function bodyTimeout(): RequestError {
  return new RequestError(
    "clientDisconnect",
    "RequestTimeout",
    "The request body did not arrive in time",
  );
}

function tooManyBodies(): RequestError {
  return new RequestError(
    "overloaded",
    "TooManyConcurrentRequests",
    "Too many large requests are being received at the same time. Try again later.",
  );
}

/** The connection may be gone already; then there is nothing left to cancel. */
function ignoreCancelFailure(): void {}
