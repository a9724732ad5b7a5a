/** What leaves through one socket: order, pieces of large transitions, and when there is room for more. */
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { encodeTransitionChunk } from "./protocol.ts";

/** The part of a WebSocket that a connection uses. */
export interface SyncSocket {
  /** Bytes that were sent and are not yet written to the network. */
  readonly bufferedAmount: number;
  send(text: string): void;
  /** Without a code the close frame has no body. */
  close(code?: number, reason?: string): void;
}

/** A transition that is larger goes out in pieces, in UTF-8 bytes (sync-protocol 114). */
const chunkBytesMax = 5_000_000;
const bytesPerCharacterMax = 3;
/** Transitions that wait for the network; further ones are not computed (sync-protocol 110). */
const unwrittenTransitionsMax = 2;
/**
 * Other messages wait for the network without being counted; a client that lets so many bytes of them pile
 * up does not read at all.
 */
const bufferedBytesMax = 64 * 1024 * 1024;
/** How often a socket without room is looked at again, in milliseconds: nothing tells when it was written. */
const roomPollMs = 20;

export class Outbox {
  readonly #socket: SyncSocket;
  readonly #environment: Environment;
  /** Whether the client understands `TransitionChunk`. */
  readonly #chunks: boolean;
  /** Transitions sent since the buffer was last seen empty. */
  #unwrittenTransitions = 0;
  #lastSentMs: number;
  #cancelPoll: (() => void) | undefined;

  constructor(socket: SyncSocket, environment: Environment, options: { readonly chunks: boolean }) {
    this.#socket = socket;
    this.#environment = environment;
    this.#chunks = options.chunks;
    this.#lastSentMs = environment.monotonicMs();
  }

  /** Monotonic time of the last message. */
  get lastSentMs(): number {
    return this.#lastSentMs;
  }

  get hasRoom(): boolean {
    if (this.#unwrittenTransitions < unwrittenTransitionsMax) return true;
    if (this.#socket.bufferedAmount > 0) return false;
    this.#unwrittenTransitions = 0;
    return true;
  }

  /** @throws RequestError when the client does not read what it is sent. */
  sendResponse(text: string): void {
    if (this.#socket.bufferedAmount > bufferedBytesMax) {
      throw new RequestError("clientDisconnect", "ClientDisconnected", "The client does not read");
    }
    this.send(text);
  }

  send(text: string): void {
    this.#lastSentMs = this.#environment.monotonicMs();
    this.#socket.send(text);
  }

  sendTransition(text: string): void {
    this.#unwrittenTransitions++;
    if (!this.#chunks || text.length * bytesPerCharacterMax <= chunkBytesMax) {
      this.send(text);
      return;
    }
    const chunks = split(text);
    if (chunks.length === 1) this.send(text);
    // One after the other without a pause: the client discards what it has when something else comes between.
    else for (const chunk of encodeChunks(chunks)) this.send(chunk);
  }

  /** Calls back once when there is room; a second call changes nothing before that. */
  whenRoom(callback: () => void): void {
    if (this.#cancelPoll !== undefined) return;
    const poll = () => {
      if (this.hasRoom) {
        this.#cancelPoll = undefined;
        callback();
      } else this.#cancelPoll = this.#environment.setTimer(roomPollMs, poll);
    };
    this.#cancelPoll = this.#environment.setTimer(roomPollMs, poll);
  }

  close(code?: number, reason?: string): void {
    this.stop();
    if (code === undefined) this.#socket.close();
    else this.#socket.close(code, reason);
  }

  stop(): void {
    this.#cancelPoll?.();
    this.#cancelPoll = undefined;
  }
}

/** Pieces of at most `chunkBytesMax` UTF-8 bytes, cut between characters. */
function split(text: string): string[] {
  const encoder = new TextEncoder();
  const buffer = new Uint8Array(chunkBytesMax);
  const chunks: string[] = [];
  for (let start = 0; start < text.length;) {
    // A piece has at most as many characters as bytes; encodeInto stops before a character that does not fit.
    const { read } = encoder.encodeInto(text.slice(start, start + chunkBytesMax), buffer);
    chunks.push(text.slice(start, start + read));
    start += read;
  }
  return chunks;
}

function* encodeChunks(chunks: readonly string[]): Iterable<string> {
  const transitionId = String(chunks.reduce((length, chunk) => length + chunk.length, 0));
  for (const [partNumber, chunk] of chunks.entries()) {
    yield encodeTransitionChunk({
      chunk,
      partNumber,
      totalParts: chunks.length,
      transitionId,
    });
  }
}
