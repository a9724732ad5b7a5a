/**
 * Both bodies of one HTTP action, between its client and its isolate. Every piece is asked for by the side that
 * takes it, so a client that is slow makes the action wait, an action that is slow makes the client wait, and in
 * between lies no more than `piecesHeldMax` pieces.
 */
import { errorMessage } from "../errors.ts";
import type { HttpClient } from "./isolates.ts";
import { type FromHttpAction, pieceBytesMax, type ToHttpAction } from "./protocol.ts";

/** Pieces of a response that are held ready for its client. */
const piecesHeldMax = 4;

type Send = (message: ToHttpAction, piece?: Uint8Array) => void;
type Controller = ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;

export class HttpBodies {
  readonly #callId: number;
  readonly #client: HttpClient;
  readonly #send: Send;
  readonly #leave = () => this.#clientGone();
  #isReading = false;
  /** Set with the head of a response whose body follows; null again at its end. */
  #response: Controller | null = null;
  #hasResponded = false;
  /** Set while the isolate has been asked for a piece. */
  #takePiece: (() => void) | null = null;

  constructor(callId: number, client: HttpClient, send: Send) {
    this.#callId = callId;
    this.#client = client;
    this.#send = send;
  }

  /** To be called when the isolate has been told of the call. */
  begin(): void {
    const { gone } = this.#client;
    if (gone.aborted) this.#leave();
    else gone.addEventListener("abort", this.#leave, { once: true });
  }

  /** False: no isolate's own program would send this now. */
  receive(message: FromHttpAction, body: Uint8Array): boolean {
    switch (message.type) {
      case "wantRequestPiece":
        if (this.#isReading) return false;
        this.#read();
        return true;
      case "response": {
        if (this.#hasResponded) return false;
        this.#hasResponded = true;
        const { response, bodyBytes } = message;
        this.#client.respond(response, { stream: this.#responseStream(), bytes: bodyBytes });
        return true;
      }
      case "responsePiece":
        if (this.#takePiece === null || body.byteLength > pieceBytesMax) return false;
        // A copy: what arrived with it would be kept as well.
        this.#response?.enqueue(body.slice());
        this.#pieceTaken();
        return true;
    }
  }

  /** The action has ended; `failure`: not as it should. */
  end(failure: string | null): void {
    this.#client.gone.removeEventListener("abort", this.#leave);
    const response = this.#response;
    this.#response = null;
    // The head is gone: that the body breaks off is all that can be told (http-api 73).
    if (failure === null) response?.close();
    else response?.error(new Error(`The HTTP action failed: ${failure}`));
    this.#pieceTaken();
  }

  async #read(): Promise<void> {
    this.#isReading = true;
    const callId = this.#callId;
    try {
      const piece = await this.#client.readRequest();
      this.#send({ type: "requestPiece", callId }, piece);
    } catch (error) {
      this.#send({ type: "requestFailed", callId, message: errorMessage(error) });
    } finally {
      this.#isReading = false;
    }
  }

  #responseStream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      start: (controller) => {
        this.#response = controller;
      },
      pull: () => {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#takePiece = resolve;
        this.#send({ type: "wantResponsePiece", callId: this.#callId });
        return promise;
      },
      cancel: () => this.#clientGone(),
    }, { highWaterMark: piecesHeldMax });
  }

  #pieceTaken(): void {
    const taken = this.#takePiece;
    this.#takePiece = null;
    taken?.();
  }

  #clientGone(): void {
    this.#client.gone.removeEventListener("abort", this.#leave);
    this.#send({ type: "clientGone", callId: this.#callId });
    const response = this.#response;
    this.#response = null;
    response?.error(new Error("The client went away"));
  }
}
