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

const internalIdBytes = 16;
/** Random bytes of an internal id; the day of its creation fills the rest. */
export const randomIdBytes = 14;

const textLengthMin = 31;
const textLengthMax = 37;
const footerBytes = 2;
/** What each group of seven bits of a varint counts, the least significant first. */
const groupWeights = [1, 2 ** 7, 2 ** 14, 2 ** 21, 2 ** 28];
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
  const tableNumber = mustIdTableNumber(text);
  const length = decodeBase32(text);
  return {
    tableNumber,
    internalId: scratch.slice(length - footerBytes - internalIdBytes, length - footerBytes),
  };
}

/** The table number of an id. @throws DeveloperError when `text` is no id. */
export function mustIdTableNumber(text: string): number {
  const result = decodeTableNumber(text);
  if (typeof result === "number") return result;
  throw new DeveloperError("InvalidArgument", `Unable to decode ID: ${result}`);
}

/** The table number of an id; undefined when `text` is no id. Whether that table exists is another question. */
export function idTableNumber(text: string): number | undefined {
  const result = decodeTableNumber(text);
  return typeof result === "number" ? result : undefined;
}

/** The table number, or what is wrong with the id. Only the one canonical text of an id is accepted. */
function decodeTableNumber(text: string): number | string {
  if (text.length < textLengthMin || text.length > textLengthMax) return invalidLength(text);
  const length = decodeBase32(text);
  if (length === 0) return "ID wasn't valid base32";

  let tableNumber = 0;
  let groups = 0;
  for (let more = true; more; groups++) {
    if (groups === groupWeights.length) return "Invalid table number";
    const byte = scratch[groups]!;
    tableNumber += (byte & 0x7f) * groupWeights[groups]!;
    more = byte >= 0x80;
  }
  const padded = groups > 1 && scratch[groups - 1] === 0;
  if (padded || tableNumber === 0 || tableNumber > tableNumberMax) return "Invalid table number";

  const footerStart = groups + internalIdBytes;
  if (length !== footerStart + footerBytes) return invalidLength(text);
  const footer = scratch[footerStart]! | (scratch[footerStart + 1]! << 8);
  const version = footer ^ fletcher16(scratch, footerStart);
  return version === 0 ? tableNumber : `Invalid ID version ${version} (expected 0)`;
}

function invalidLength(text: string): string {
  return `Invalid ID length ${text.length}`;
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
const digits = new Uint8Array(256).fill(invalidDigit);
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

/** The bytes of the text in hand; reused, because ids are read all the time. */
const scratch = new Uint8Array(Math.floor(textLengthMax * 5 / 8));

/** Fills `scratch` and returns the number of bytes: zero unless `encodeBase32` would give the same text back. */
function decodeBase32(text: string): number {
  let length = 0;
  let buffer = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    const digit = unit < digits.length ? digits[unit]! : invalidDigit;
    if (digit === invalidDigit) return 0;
    buffer = (buffer << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      scratch[length++] = buffer >> bits;
      buffer &= 0xff;
    }
  }
  const unused = buffer & ((1 << bits) - 1);
  return bits < 5 && unused === 0 ? length : 0;
}
