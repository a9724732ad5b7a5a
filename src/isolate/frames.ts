/** Packing and unpacking of frames; the layout is in protocol.ts. */
import type { FromExecutor, FromNode, ToExecutor, ToNode } from "./protocol.ts";

/** Before the header: length of the rest, isolate, header length. */
const prefixBytes = 12;

/**
 * Bounds the memory that one message can take on either side, in bytes. The largest regular ones are 20 MiB
 * (bodies of HTTP actions); files that actions store arrive whole.
 */
const frameBytesMax = 256 * 1024 * 1024;

export type Message = ToNode | FromNode | ToExecutor | FromExecutor;

export interface Frame {
  readonly isolate: number;
  /** Parsed JSON, not checked. */
  readonly header: unknown;
  readonly body: Uint8Array;
}

/** Bytes that are no frame, or a frame that is too large. */
export class FrameError extends Error {
  override name = "FrameError";
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const noBytes = new Uint8Array(0);

/** Frames are put together here if they fit: encoding into memory that is there takes half the time. */
const workspace = new Uint8Array(64 * 1024);
/** No UTF-16 unit takes more bytes in UTF-8. */
const bytesPerUnitMax = 3;

/**
 * One message as a frame of its own buffer.
 * @throws FrameError when it is too large.
 */
export function encodeFrame(
  isolate: number,
  message: Message,
  body: Uint8Array | string = noBytes,
): Uint8Array<ArrayBuffer> {
  const header = JSON.stringify(message);
  checkSize(prefixBytes + header.length + body.length);
  const bodyBytesMax = typeof body === "string" ? body.length * bytesPerUnitMax : body.length;
  const bytesMax = prefixBytes + header.length * bytesPerUnitMax + bodyBytesMax;
  const space = bytesMax <= workspace.byteLength ? workspace : new Uint8Array(bytesMax);
  const bodyStart = prefixBytes + put(header, space, prefixBytes);
  const total = bodyStart + put(body, space, bodyStart);
  checkSize(total);
  const view = viewOf(space);
  view.setUint32(0, total - 4, true);
  view.setUint32(4, isolate, true);
  view.setUint32(8, bodyStart - prefixBytes, true);
  return space.slice(0, total);
}

/** Writes text or bytes from `start` on; the number of bytes that it took. */
function put(content: Uint8Array | string, space: Uint8Array<ArrayBuffer>, start: number): number {
  if (typeof content === "string") {
    return encoder.encodeInto(content, space.subarray(start)).written;
  }
  space.set(content, start);
  return content.byteLength;
}

function checkSize(bytes: number): void {
  if (bytes <= frameBytesMax) return;
  throw new FrameError(`A message of ${bytes} bytes is too large (limit: ${frameBytesMax} bytes)`);
}

/**
 * Unpacks one whole frame.
 * @throws FrameError when it is none, or its header is not JSON.
 */
export function decodeFrame(frame: Uint8Array): Frame {
  checkFrame(frame);
  const view = viewOf(frame);
  const bodyStart = prefixBytes + view.getUint32(8, true);
  let header: unknown;
  try {
    header = JSON.parse(decoder.decode(frame.subarray(prefixBytes, bodyStart)));
  } catch (cause) {
    throw new FrameError("The header of a frame is not JSON", { cause });
  }
  return { isolate: view.getUint32(4, true), header, body: frame.subarray(bodyStart) };
}

/** Throws FrameError unless the lengths in `frame` fit its size: a relay must not pass on anything else. */
export function checkFrame(frame: Uint8Array): void {
  const size = frame.byteLength;
  if (size >= prefixBytes && size <= frameBytesMax) {
    const view = viewOf(frame);
    if (view.getUint32(0, true) === size - 4 && view.getUint32(8, true) <= size - prefixBytes) {
      return;
    }
  }
  throw new FrameError(`Not a frame (${size} bytes)`);
}

/**
 * The frames that `joinFrames` joined, as views of `piece`.
 * @throws FrameError when it is anything else.
 */
export function splitFrames(piece: Uint8Array): Uint8Array[] {
  const frames: Uint8Array[] = [];
  for (let start = 0; start < piece.byteLength;) {
    const rest = piece.subarray(start);
    const size = rest.byteLength < prefixBytes ? 0 : viewOf(rest).getUint32(0, true) + 4;
    const frame = rest.subarray(0, size);
    checkFrame(frame);
    frames.push(frame);
    start += size;
  }
  return frames;
}

/** Which isolate a checked frame is for, or from. */
export function frameIsolate(frame: Uint8Array): number {
  return viewOf(frame).getUint32(4, true);
}

/** Overwrites the isolate number: senders are not believed about who they are. */
export function stampFrame(frame: Uint8Array, isolate: number): void {
  viewOf(frame).setUint32(4, isolate, true);
}

/** Several frames as one piece for one write or message. */
export function joinFrames(frames: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  if (frames.length === 1) return frames[0]!;
  const whole = new Uint8Array(frames.reduce((sum, frame) => sum + frame.byteLength, 0));
  let position = 0;
  for (const frame of frames) {
    whole.set(frame, position);
    position += frame.byteLength;
  }
  return whole;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Cuts a byte stream into frames, each with a buffer of its own so that it can be transferred. */
export class FrameDecoder {
  /** The frame that has begun to arrive. Its first four bytes gather in `#length` until its size is known. */
  #frame: Uint8Array<ArrayBuffer> | null = null;
  readonly #length = new Uint8Array(4);
  /** Bytes of the current frame that have arrived. */
  #filled = 0;

  /**
   * Frames that `chunk` completes, in order.
   * @throws FrameError when the stream is no sequence of frames; it cannot be read any further then.
   */
  push(chunk: Uint8Array): Uint8Array<ArrayBuffer>[] {
    const frames: Uint8Array<ArrayBuffer>[] = [];
    for (let position = 0; position < chunk.byteLength;) {
      const target = this.#frame ?? this.#length;
      const count = Math.min(target.byteLength - this.#filled, chunk.byteLength - position);
      target.set(chunk.subarray(position, position + count), this.#filled);
      this.#filled += count;
      position += count;
      if (this.#filled < target.byteLength) break;
      if (this.#frame === null) {
        this.#frame = this.#allocate();
      } else {
        checkFrame(this.#frame);
        frames.push(this.#frame);
        this.#frame = null;
        this.#filled = 0;
      }
    }
    return frames;
  }

  #allocate(): Uint8Array<ArrayBuffer> {
    const size = viewOf(this.#length).getUint32(0, true) + 4;
    if (size < prefixBytes || size > frameBytesMax) {
      throw new FrameError(`A frame of ${size} bytes (limit: ${frameBytesMax} bytes)`);
    }
    const frame = new Uint8Array(size);
    frame.set(this.#length);
    return frame;
  }
}
