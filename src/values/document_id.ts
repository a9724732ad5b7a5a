/**
 * Document ids (http-api 98–103): Crockford base32 of the table number as a varint, 16 bytes that are
 * unique, and a checksum of what comes before.
 */
import { assert } from "../assert.ts";
import { DeveloperError } from "../errors.ts";

export interface DecodedId {
  readonly tableNumber: number;
  readonly internalId: Uint8Array;
}

export const internalIdBytes = 16;
/** Random bytes of an internal id; the day of its creation fills the rest. */
export const randomIdBytes = 14;

const textLengthMin = 31;
const textLengthMax = 37;
const footerBytes = 2;
const tableNumberMax = 2 ** 32 - 1;
const dayMs = 24 * 60 * 60 * 1000;

/** A new id from `randomIdBytes` random bytes. */
export function generateId(tableNumber: number, random: Uint8Array, nowMs: number): string {
  assert(random.length === randomIdBytes, "wrong number of random bytes for an id");
  const internalId = new Uint8Array(internalIdBytes);
  internalId.set(random);
  new DataView(internalId.buffer).setUint16(randomIdBytes, Math.floor(nowMs / dayMs));
  return encodeId(tableNumber, internalId);
}

/** The text of an id. */
export function encodeId(tableNumber: number, internalId: Uint8Array): string {
  assert(tableNumber >= 1 && tableNumber <= tableNumberMax, "table number out of range");
  assert(internalId.length === internalIdBytes, "wrong length of an internal id");
  const bytes: number[] = [];
  let rest = tableNumber;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  bytes.push(rest, ...internalId);
  const checksum = fletcher16(bytes, bytes.length);
  bytes.push(checksum & 0xff, checksum >> 8);
  return encodeBase32(bytes);
}

/** @throws DeveloperError when `text` is no id. */
export function decodeId(text: string): DecodedId {
  const result = decode(text);
  if (typeof result === "string") {
    throw new DeveloperError("InvalidArgument", `Unable to decode ID: ${result}`);
  }
  return result;
}

/** Like `decodeId`; undefined when `text` is no id. Whether its table exists is another question. */
export function tryDecodeId(text: string): DecodedId | undefined {
  const result = decode(text);
  return typeof result === "string" ? undefined : result;
}

/** The parts of an id, or what is wrong with it. Only the one canonical text of an id is accepted. */
function decode(text: string): DecodedId | string {
  const invalidLength = `Invalid ID length ${text.length}`;
  if (text.length < textLengthMin || text.length > textLengthMax) return invalidLength;
  const bytes = decodeBase32(text);
  if (bytes === undefined) return "ID wasn't valid base32";

  let tableNumber = 0;
  let length = 0;
  for (let more = true; more; length++) {
    if (length === 5) return "Invalid table number";
    const byte = bytes[length]!;
    tableNumber += (byte & 0x7f) * 0x80 ** length;
    more = byte >= 0x80;
  }
  const padded = length > 1 && bytes[length - 1] === 0;
  if (padded || tableNumber === 0 || tableNumber > tableNumberMax) return "Invalid table number";

  const footerStart = length + internalIdBytes;
  if (bytes.length !== footerStart + footerBytes) return invalidLength;
  const footer = bytes[footerStart]! | (bytes[footerStart + 1]! << 8);
  const version = footer ^ fletcher16(bytes, footerStart);
  if (version !== 0) return `Invalid ID version ${version} (expected 0)`;
  return { tableNumber, internalId: bytes.subarray(length, footerStart) };
}

function fletcher16(bytes: ArrayLike<number>, length: number): number {
  let first = 0;
  let second = 0;
  for (let i = 0; i < length; i++) {
    first = (first + bytes[i]!) & 0xff;
    second = (second + first) & 0xff;
  }
  return first | (second << 8);
}

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";
const invalidDigit = 255;
const digits = new Uint8Array(128).fill(invalidDigit);
for (let i = 0; i < alphabet.length; i++) digits[alphabet.charCodeAt(i)] = i;

function encodeBase32(bytes: readonly number[]): string {
  let text = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(buffer >> (bits - 5)) & 31];
    buffer &= 31;
  }
  return bits === 0 ? text : text + alphabet[(buffer << (5 - bits)) & 31];
}

/** Undefined unless `encodeBase32` would give the same text back. */
function decodeBase32(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor(text.length * 5 / 8));
  let length = 0;
  let buffer = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = digits[text.charCodeAt(i)] ?? invalidDigit;
    if (digit === invalidDigit) return undefined;
    buffer = (buffer << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[length++] = buffer >> bits;
      buffer &= 0xff;
    }
  }
  const unused = buffer & ((1 << bits) - 1);
  return bits < 5 && unused === 0 ? bytes : undefined;
}
