/**
 * What an isolate says to the server. A message to another thread costs as much as running a small function, so
 * results of quick calls that follow each other leave together.
 */
import { encodeFrame, joinFrames } from "../src/isolate/frames.ts";
import type { FromIsolate } from "../src/isolate/protocol.ts";

const monotonicNow = performance.now.bind(performance); // kept: user code sees another

/** How long a result is held back at most while quick calls follow, in milliseconds. */
const heldMsMax = 1;

export class Outbox {
  readonly #port: MessagePort;
  readonly #isolate: number;
  #held: Uint8Array<ArrayBuffer>[] = [];
  /** When the first of them was put here. */
  #heldSinceMs = 0;

  constructor(port: MessagePort, isolate: number) {
    this.#port = port;
    this.#isolate = isolate;
  }

  /** Whether something has been held back for as long as it may be. */
  get isDue(): boolean {
    return this.#held.length > 0 && monotonicNow() - this.#heldSinceMs >= heldMsMax;
  }

  /** Holds a message back until `flush`. */
  hold(message: FromIsolate, body?: string | Uint8Array): void {
    if (this.#held.length === 0) this.#heldSinceMs = monotonicNow();
    this.#held.push(encodeFrame(this.#isolate, message, body));
  }

  /** Sends a message, after those that are held back. */
  send(message: FromIsolate, body?: string | Uint8Array): void {
    this.hold(message, body);
    this.flush();
  }

  flush(): void {
    if (this.#held.length === 0) return;
    const piece = joinFrames(this.#held);
    this.#held = [];
    this.#port.postMessage(piece, [piece.buffer]);
  }
}
