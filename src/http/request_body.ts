/**
 * Reading request bodies without letting a client make the server hold more than it must: each body has a
 * limit, which is enforced while it arrives, and must arrive in time; large ones share a budget.
 *
 * A body without Content-Length comes in the chunks that its client made, and each costs the runtime 60 to 200 µs
 * however small it is (Deno 2.9.6; one with a length comes in pieces of 64 KiB). So the small pieces of one client are
 * paced, or 100 KB/s of chunks of one byte would take a processor.
 */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import type { BodySource } from "../functions/functions.ts";

/** A body up to this size is read without accounting: a connection holds about as much for its buffers. */
const smallBodyBytes = 64 * 1024;
const noBytes = new Uint8Array(0);
/** Pieces below this size are small, and so many of them are taken of one client in a second. */
const smallPieceBytes = 1024;
const smallPiecesPerSecond = 500;

/** The body is longer than its route allows. */
export class BodyTooLargeError extends RequestError {
  override name = "BodyTooLargeError";
  constructor(bytesMax: number) {
    super(
      "badRequest",
      "BodyTooLarge",
      `The request body exceeds the maximum of ${bytesMax} bytes`,
    );
  }
}

export class BodyReader {
  readonly #config: Pick<Config, "requestBodiesBytesMax" | "requestBodyTimeoutS">;
  readonly #environment: Environment;
  /** What has arrived of large bodies that are being read, all requests together. */
  #bytesHeld = 0;
  /** Small pieces of each client in the current second, and when that began, monotonic. */
  readonly #smallPieces = new Map<string, number>();
  #secondBeganMs = 0;

  constructor(
    config: Pick<Config, "requestBodiesBytesMax" | "requestBodyTimeoutS">,
    environment: Environment,
  ) {
    this.#config = config;
    this.#environment = environment;
  }

  /**
   * `client`: see `CallContext.client`.
   * @throws BodyTooLargeError, or RequestError when the body does not arrive or there is no room for it.
   */
  async text(request: Request, bytesMax: number, client = ""): Promise<string> {
    if (announcedBytes(request, bytesMax) <= smallBodyBytes) {
      return await this.#whole(() => request.text());
    }
    return new TextDecoder().decode(await this.#readLarge(request, bytesMax, client));
  }

  /** Like `text`. */
  async bytes(
    request: Request,
    bytesMax: number,
    client = "",
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (announcedBytes(request, bytesMax) <= smallBodyBytes) {
      return await this.#whole(() => request.bytes());
    }
    return await this.#readLarge(request, bytesMax, client);
  }

  /** A body of any length, piece by piece, for who does not hold it. Each piece must arrive in time. */
  async *chunks(request: Request, client = ""): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const reader = request.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        const next = await this.#inTime(reader, () => read(reader));
        if (next === undefined) return;
        yield next;
        await this.#pace(next, client);
      }
    } finally {
      cancelReading(reader);
    }
  }

  /**
   * A body to be read while it arrives, for who holds a piece at a time. All waiting for the client counts towards the
   * time in which a body must arrive; what the reader does in between does not. A small body of known length is read
   * here, so that nobody downstream waits for a slow client.
   */
  async open(
    request: Request,
    bytesMax: number,
    client = "",
  ): Promise<Uint8Array<ArrayBuffer> | BodySource> {
    if (announcedBytes(request, bytesMax) <= smallBodyBytes) {
      return await this.#whole(() => request.bytes());
    }
    const reader = request.body!.getReader();
    let length = 0;
    let timeLeftMs = this.#config.requestBodyTimeoutS * 1000;
    return {
      read: async () => {
        const startMs = this.#environment.monotonicMs();
        const piece = await this.#inTime(reader, () => read(reader), timeLeftMs) ?? noBytes;
        timeLeftMs -= this.#environment.monotonicMs() - startMs;
        length += piece.byteLength;
        if (length > bytesMax) {
          cancelReading(reader);
          throw new BodyTooLargeError(bytesMax);
        }
        await this.#pace(piece, client);
        return piece;
      },
      cancel: () => cancelReading(reader),
    };
  }

  async #readLarge(
    request: Request,
    bytesMax: number,
    client: string,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const reader = request.body?.getReader();
    if (reader === undefined) return new Uint8Array(0);
    const chunks: Uint8Array[] = [];
    let length = 0;
    try {
      await this.#inTime(reader, async () => {
        for (let next = await read(reader); next !== undefined; next = await read(reader)) {
          length += next.byteLength;
          this.#bytesHeld += next.byteLength;
          if (length > bytesMax) throw new BodyTooLargeError(bytesMax);
          if (this.#bytesHeld > this.#config.requestBodiesBytesMax) throw tooManyBodies();
          chunks.push(next);
          await this.#pace(next, client);
        }
      });
      return concatenate(chunks, length);
    } finally {
      cancelReading(reader);
      this.#bytesHeld -= length;
    }
  }

  /** Waits before the next piece if the client has sent too many small ones. */
  async #pace({ byteLength }: Uint8Array, client: string): Promise<void> {
    if (byteLength >= smallPieceBytes || byteLength === 0) return;
    const now = this.#environment.monotonicMs();
    if (now - this.#secondBeganMs >= 1000) {
      this.#secondBeganMs = now;
      this.#smallPieces.clear();
    }
    const count = (this.#smallPieces.get(client) ?? 0) + 1;
    this.#smallPieces.set(client, count);
    if (count <= smallPiecesPerSecond) return;
    const restMs = this.#secondBeganMs + 1000 - now;
    await new Promise<void>((resolve) => this.#environment.setTimer(restMs, resolve));
  }

  /** A small body. Waiting for it ends in time; what it would have been read into is gone with its request. */
  async #whole<T>(work: () => Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancelTimer = this.#environment.setTimer(
      this.#config.requestBodyTimeoutS * 1000,
      () => reject(bodyTimeout()),
    );
    try {
      return await Promise.race([whole(work), late]);
    } finally {
      cancelTimer();
    }
  }

  /** @throws RequestError when `work`, which reads, takes too long. */
  async #inTime<T>(
    reader: Reader,
    work: () => Promise<T>,
    timeoutMs = this.#config.requestBodyTimeoutS * 1000,
  ): Promise<T> {
    let isLate = false;
    const cancelTimer = this.#environment.setTimer(timeoutMs, () => {
      isLate = true;
      cancelReading(reader);
    });
    try {
      const result = await work();
      if (isLate) throw bodyTimeout();
      return result;
    } finally {
      cancelTimer();
    }
  }
}

type Reader = ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>;

/** What `Content-Length` says; Infinity for a body whose length is not known before it ends. */
function announcedBytes(request: Request, bytesMax: number): number {
  const header = request.headers.get("content-length");
  if (header === null) return request.body === null ? 0 : Infinity;
  const length = Number(header);
  if (length > bytesMax) throw new BodyTooLargeError(bytesMax);
  return length;
}

async function read(reader: Reader): Promise<Uint8Array<ArrayBuffer> | undefined> {
  return (await whole(() => reader.read())).value;
}

/** @throws RequestError when the client goes away before it has sent what it announced. */
async function whole<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw new RequestError(
      "clientDisconnect",
      "ClientDisconnected",
      "The request body ended early",
      { cause },
    );
  }
}

/** Gives up what has not arrived, if anything; the connection may be gone already, and then nothing is left. */
function cancelReading(reader: Reader): void {
  reader.cancel().catch(() => {});
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
