/**
 * A binary index key whose byte order is the total order of values (semantics 6). Held as a string with
 * one character (0–255) a byte: such strings compare like memcmp with `<`, hash, and cross process
 * boundaries in JSON; `keyToBytes` makes the BLOB that SQLite stores.
 *
 * A key is the concatenation of its values, each one tag byte and a payload (http-api 97). No encoding
 * of a value is the beginning of another's except where 0x00 is escaped as 0x00 0xFF; tags are below
 * 0x16. So whatever continues a whole prefix compares below `prefix + 0xFF`, and whatever merely begins
 * with the same bytes compares above it.
 *
 * Keys that a running mutation writes may hold its commit timestamp, which is no byte yet.
 */
import { CommitTimestamp, commitTimestampKey } from "./commit_timestamp.ts";
import type { Value } from "./value.ts";

export type IndexKey = string & { readonly brand: "IndexKey" };

/** The keys k with lower <= k < upper. `upper` null: no upper end. */
export interface KeyRange {
  readonly lower: IndexKey;
  readonly upper: IndexKey | null;
}

/** What `indexKeyOf` needs to know of an index; `DatabaseIndex` has it. */
export interface IndexShape {
  readonly name: string;
  readonly fields: readonly string[];
}

/** Below every key. */
export const lowestKey = "" as IndexKey;

/** The key, or the beginning of one, made of these values; `undefined` is a missing field. */
export function encodeKey(values: readonly (Value | undefined)[]): IndexKey {
  let key = "";
  for (const value of values) key += encodeKeyValue(value);
  return key as IndexKey;
}

/**
 * The key under which `document` (with its system fields) stands in an index: its values at the declared
 * fields, then `_creationTime`, then `_id`; `by_id` has `_id` alone.
 */
export function indexKeyOf(index: IndexShape, document: Record<string, Value>): IndexKey {
  const id = encodeKeyValue(document._id);
  if (index.name === "by_id") return id;
  let key = "";
  for (const path of index.fields) key += encodeKeyValue(valueAtPath(document, path));
  return (key + encodeKeyValue(document._creationTime) + id) as IndexKey;
}

/** The value at a dotted path; undefined where a step is missing or not an object. */
export function valueAtPath(document: Record<string, Value>, path: string): Value | undefined {
  if (!path.includes(".")) return Object.hasOwn(document, path) ? document[path] : undefined;
  let value: Value | undefined = document;
  for (const step of path.split(".")) {
    if (!isObject(value) || !Object.hasOwn(value, step)) return undefined;
    value = value[step];
  }
  return value;
}

function isObject(value: Value | undefined): value is Record<string, Value> {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof ArrayBuffer) && !(value instanceof CommitTimestamp);
}

/** The smallest key above `key`. */
export function keySuccessor(key: IndexKey): IndexKey {
  return (key + "\0") as IndexKey;
}

/** The interval that holds `key` alone. */
export function pointInterval(key: IndexKey): KeyRange {
  return { lower: key, upper: keySuccessor(key) };
}

/** The smallest string above every key that continues `prefix`, a concatenation of whole values. */
export function afterPrefix(prefix: IndexKey): IndexKey {
  return (prefix + "\xff") as IndexKey;
}

/** The keys that begin with the values of `prefix`; with an empty prefix, all keys. */
export function prefixInterval(prefix: IndexKey): KeyRange {
  return { lower: prefix, upper: prefix === "" ? null : afterPrefix(prefix) };
}

/** The key as SQLite stores it. */
export function keyToBytes(key: IndexKey): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(key.length);
  // What stands for a commit timestamp is above every integer, and no stored key holds it.
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.min(key.charCodeAt(i), 0xff);
  return bytes;
}

/** The key with the commit timestamp, an Int64 in nanoseconds, in its places. */
export function resolveKey(key: IndexKey, timestamp: bigint): IndexKey {
  if (!key.includes(commitTimestampKey)) return key;
  return key.replaceAll(tag.int64Widest + commitTimestampKey, encodeInteger(timestamp)) as IndexKey;
}

/** The inverse of `keyToBytes`. */
export function bytesToKey(bytes: Uint8Array): IndexKey {
  return binaryString(bytes) as IndexKey;
}

const tag = {
  undefined: "\x01",
  null: "\x03",
  /** Zero; the distance from it gives sign and width of other integers. */
  int64: 0x08,
  /** Of positive integers of eight bytes. */
  int64Widest: "\x0c",
  float64: 0x0d,
  false: "\x0e",
  true: "\x0f",
  string: "\x10",
  bytes: "\x11",
  array: "\x12",
  object: "\x15",
} as const;

const terminator = "\0";
const notANumberKey = "\x0d\xff\xf8\0\0\0\0\0\0";

/** The bytes of one value. Concatenations of these compare like sequences of the values. */
export function encodeKeyValue(value: Value | undefined): IndexKey {
  return encode(value) as IndexKey;
}

function encode(value: Value | undefined): string {
  switch (typeof value) {
    case "string":
      return tag.string + escapedText(value) + terminator;
    case "number":
      return encodeFloat(value);
    case "boolean":
      return value ? tag.true : tag.false;
    case "bigint":
      return encodeInteger(value);
    case "undefined":
      return tag.undefined;
  }
  if (value === null) return tag.null;
  if (Array.isArray(value)) {
    let key: string = tag.array;
    for (const element of value) key += encode(element);
    return key + terminator;
  }
  if (value instanceof ArrayBuffer) {
    return tag.bytes + escaped(binaryString(new Uint8Array(value))) + terminator;
  }
  if (value instanceof CommitTimestamp) return tag.int64Widest + commitTimestampKey;
  let key: string = tag.object;
  for (const name of Object.keys(value).sort()) {
    // Names hold no control characters. The empty one must not look like the end of the object.
    key += (name === "" ? "\0\xff" : name + terminator) + encode(value[name]);
  }
  return key + terminator;
}

const scratch = new DataView(new ArrayBuffer(8));

function encodeFloat(value: number): string {
  // Engines do not keep the sign and payload of NaN, so there is one NaN, above infinity.
  if (value !== value) return notANumberKey;
  scratch.setFloat64(0, value);
  let high = scratch.getUint32(0);
  let low = scratch.getUint32(4);
  if (high >= 0x8000_0000) {
    high = ~high;
    low = ~low;
  } else {
    high |= 0x8000_0000;
  }
  return String.fromCharCode(
    tag.float64,
    high >>> 24,
    (high >>> 16) & 0xff,
    (high >>> 8) & 0xff,
    high & 0xff,
    low >>> 24,
    (low >>> 16) & 0xff,
    (low >>> 8) & 0xff,
    low & 0xff,
  );
}

function encodeInteger(value: bigint): string {
  if (value === 0n) return String.fromCharCode(tag.int64);
  const step = [8, 16, 32, 64].findIndex((bits) => BigInt.asIntN(bits, value) === value);
  scratch.setBigInt64(0, value);
  let key = String.fromCharCode(tag.int64 + (value < 0n ? -1 - step : 1 + step));
  for (let i = 8 - 2 ** step; i < 8; i++) key += String.fromCharCode(scratch.getUint8(i));
  return key;
}

// deno-lint-ignore no-control-regex -- exactly the characters whose UTF-8 byte needs no escape
const plainAscii = /^[\x01-\x7f]*$/;
const textEncoder = new TextEncoder();

function escapedText(text: string): string {
  return plainAscii.test(text) ? text : escaped(binaryString(textEncoder.encode(text)));
}

function escaped(bytes: string): string {
  return bytes.includes("\0") ? bytes.replaceAll("\0", "\0\xff") : bytes;
}

/** In pieces, because the number of arguments of a call is limited. */
function binaryString(bytes: Uint8Array): string {
  const pieceLength = 4096;
  if (bytes.length <= pieceLength) return String.fromCharCode(...bytes);
  let text = "";
  for (let start = 0; start < bytes.length; start += pieceLength) {
    text += String.fromCharCode(...bytes.subarray(start, start + pieceLength));
  }
  return text;
}
