/**
 * The values that documents, arguments and results are made of (http-api 8), and their JSON form
 * `convex_encoded_json` (http-api 11). Missing fields are `undefined`, which is not a value.
 *
 * Canonical JSON text, as `encodeValue` writes it, has sorted fields and no white space: two values are
 * equal exactly when their canonical texts are.
 */
import { DeveloperError } from "../errors.ts";
import { fromBase64, toBase64 } from "./bytes_text.ts";
import { CommitTimestamp, commitTimestamp, commitTimestampJson } from "./commit_timestamp.ts";
import {
  checkArrayLength,
  checkFieldCount,
  checkFieldName,
  checkValueNesting,
  checkValueSize,
} from "./limits.ts";
import { utf8Length } from "./size.ts";
import { unsupportedText } from "./unsupported_value.ts";

export type Value =
  | null
  | bigint
  | number
  | boolean
  | string
  | ArrayBuffer
  | CommitTimestamp
  | Value[]
  | ValueObject;

export interface ValueObject {
  [field: string]: Value;
}

export function isValueObject(value: Value | undefined): value is ValueObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof ArrayBuffer) && value !== commitTimestamp;
}

export interface EncodedValue {
  /** Canonical JSON text. */
  readonly json: string;
  /** Size that counts towards limits (http-api 92). */
  readonly bytes: number;
  /** Scalars 0, containers one more than their deepest member. */
  readonly nesting: number;
  /** Whether a part of it is the placeholder for the commit timestamp. */
  readonly isUnresolved: boolean;
}

export interface DecodeOptions {
  /** Whether the placeholder for the commit timestamp is a value here: only inside of a mutation. */
  readonly inMutation?: boolean;
}

/**
 * The value of a JSON text that came from outside, with every check of the data model.
 * @throws SyntaxError when it is no JSON, DeveloperError when it is no value.
 */
export function parseValue(json: string, options?: DecodeOptions): Value {
  return decodeValue(JSON.parse(json), options);
}

/**
 * Turns parsed JSON into the value it encodes. Containers are checked and converted in place: `json`
 * must not be used any more.
 * @throws DeveloperError when it is no value.
 */
export function decodeValue(json: unknown, options?: DecodeOptions): Value {
  if (json === undefined) throw invalidValue("A value is missing");
  const decoder = new Decoder(options?.inMutation ?? false);
  const value = decoder.decode(json, 0);
  checkValueSize(decoder.bytes);
  return value;
}

/** Like `decodeValue`, with `{"$undefined":null}` for a missing field: literals of filters and ranges. */
export function decodeValueOrUndefined(
  json: unknown,
  options?: DecodeOptions,
): Value | undefined {
  return isUndefinedToken(json) ? undefined : decodeValue(json, options);
}

/** Like `decodeValue` for a patch in a mutation, where `{"$undefined":null}` as a field's value removes the field. */
export function decodePatch(json: unknown): Value | Record<string, Value | undefined> {
  const options = { inMutation: true };
  if (!isJsonObject(json) || isSpecial(json)) return decodeValue(json, options);
  const removed = Object.keys(json).filter((field) => isUndefinedToken(json[field]));
  for (const field of removed) {
    checkFieldName(field);
    json[field] = null;
  }
  const patch = decodeValue(json, options) as Record<string, Value | undefined>;
  for (const field of removed) patch[field] = undefined;
  return patch;
}

/** The document of a canonical JSON text that Hull itself wrote; nothing is checked again. */
export function parseDocument(json: string): ValueObject {
  const parsed = JSON.parse(json);
  // In canonical text this sequence begins every special value. A string that happens to hold it writes
  // its quotation mark as \", so it cannot be mistaken.
  return json.includes('{"$') ? new Decoder(true).decode(parsed, 0) as ValueObject : parsed;
}

/**
 * The canonical form of anything that user code hands over. Fields that are undefined are left out.
 * Error texts show `original`: what the user passed, when `value` was made from it.
 * @throws DeveloperError when it is no value, with the texts of the function library.
 */
export function encodeValue(value: unknown, original: unknown = value): EncodedValue {
  const encoder = new Encoder(original);
  const json = encoder.encode(value, 0);
  checkValueSize(encoder.bytes);
  const { bytes, nesting, isUnresolved } = encoder;
  return { json, bytes, nesting, isUnresolved };
}

type JsonObject = Record<string, unknown>;

function isJsonObject(json: unknown): json is JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function isSpecial(json: JsonObject): boolean {
  const fields = Object.keys(json);
  return fields.length === 1 && fields[0]!.startsWith("$");
}

function isUndefinedToken(json: unknown): boolean {
  return isJsonObject(json) && isSpecial(json) && json.$undefined === null;
}

class Decoder {
  /** Size of what was decoded so far. */
  bytes = 0;
  readonly #inMutation: boolean;

  constructor(inMutation: boolean) {
    this.#inMutation = inMutation;
  }

  decode(json: unknown, depth: number): Value {
    switch (typeof json) {
      case "string":
        checkWellFormed(json);
        this.bytes += 2 + utf8Length(json);
        return json;
      case "number":
        this.bytes += 9;
        return json;
      case "boolean":
        this.bytes += 1;
        return json;
    }
    if (json === null) {
      this.bytes += 1;
      return null;
    }
    if (Array.isArray(json)) return this.#decodeArray(json, depth + 1);
    return this.#decodeObject(json as JsonObject, depth + 1);
  }

  #decodeArray(json: unknown[], depth: number): Value[] {
    checkValueNesting(depth);
    checkArrayLength(json.length);
    this.bytes += 2;
    for (let i = 0; i < json.length; i++) {
      const element = json[i];
      const value = this.decode(element, depth);
      if (value !== element) json[i] = value;
    }
    return json as Value[];
  }

  #decodeObject(json: JsonObject, depth: number): Value {
    const fields = Object.keys(json);
    if (fields.length === 1 && fields[0]!.startsWith("$")) {
      return this.#decodeSpecial(fields[0]!, json[fields[0]!]);
    }
    checkValueNesting(depth);
    checkFieldCount(fields.length);
    this.bytes += 2;
    for (const field of fields) {
      checkFieldName(field);
      this.bytes += field.length + 1;
      const member = json[field];
      const value = this.decode(member, depth);
      if (value !== member) json[field] = value;
    }
    return json as ValueObject;
  }

  #decodeSpecial(name: string, payload: unknown): Value {
    switch (name) {
      case "$bytes": {
        const { buffer } = decodePayload(name, payload);
        this.bytes += 2 + buffer.byteLength;
        return buffer;
      }
      case "$integer":
        this.bytes += 9;
        return decodeEightBytes(name, payload).getBigInt64(0, true);
      case "$float": {
        this.bytes += 9;
        const float = decodeEightBytes(name, payload).getFloat64(0, true);
        if (Number.isFinite(float) && !Object.is(float, -0)) {
          throw invalidValue(`Float64 ${float} should be encoded as a number`);
        }
        return float;
      }
      case "$commitTs":
        if (!this.#inMutation || payload !== null) break;
        this.bytes += 9;
        return commitTimestamp;
    }
    checkFieldName(name); // throws: it starts with $
    return null;
  }
}

function decodeEightBytes(name: string, payload: unknown): DataView {
  const bytes = decodePayload(name, payload);
  if (bytes.length !== 8) {
    throw invalidValue(`Received ${bytes.length} bytes, expected 8 for ${name}`);
  }
  return new DataView(bytes.buffer);
}

function decodePayload(name: string, payload: unknown): Uint8Array<ArrayBuffer> {
  if (typeof payload !== "string") {
    throw invalidValue(`Malformed ${name} field: expected a base64 string`);
  }
  try {
    return fromBase64(payload);
  } catch {
    throw invalidValue(`Malformed ${name} field: ${JSON.stringify(payload)} is not base64`);
  }
}

function checkWellFormed(text: string): void {
  if (!text.isWellFormed()) {
    throw invalidValue("Strings must be valid Unicode: found a lone surrogate");
  }
}

function invalidValue(message: string): DeveloperError {
  return new DeveloperError("InvalidValue", message);
}

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
/** Strings that JSON writes as they are, one byte a character. */
const plainText = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

class Encoder {
  bytes = 0;
  nesting = 0;
  isUnresolved = false;
  readonly #original: unknown;
  /** Steps to the value in hand, of which the first `depth` count; only error texts read it. */
  readonly #path: (string | number)[] = [];

  constructor(original: unknown) {
    this.#original = original;
  }

  encode(value: unknown, depth: number): string {
    switch (typeof value) {
      case "string":
        return this.#encodeText(value);
      case "number":
        this.bytes += 9;
        if (Number.isFinite(value) && !Object.is(value, -0)) return String(value);
        return special("$float", (view) => view.setFloat64(0, value, true));
      case "boolean":
        this.bytes += 1;
        return value ? "true" : "false";
      case "bigint":
        if (value < int64Min || value > int64Max) {
          throw invalidValue(`BigInt ${value} does not fit into a 64-bit signed integer.`);
        }
        this.bytes += 9;
        return special("$integer", (view) => view.setBigInt64(0, value, true));
      case "object":
        break;
      default:
        throw this.#unsupported(value, depth);
    }
    if (value === null) {
      this.bytes += 1;
      return "null";
    }
    if (Array.isArray(value)) return this.#encodeArray(value, depth + 1);
    if (value instanceof ArrayBuffer) {
      this.bytes += 2 + value.byteLength;
      return `{"$bytes":"${toBase64(new Uint8Array(value))}"}`;
    }
    if (value === commitTimestamp) {
      this.bytes += 9;
      this.isUnresolved = true;
      return commitTimestampJson;
    }
    if (!isPlainObject(value)) throw this.#unsupported(value, depth);
    return this.#encodeObject(value, depth + 1);
  }

  #encodeText(text: string): string {
    if (plainText.test(text)) {
      this.bytes += 2 + text.length;
      return `"${text}"`;
    }
    checkWellFormed(text);
    this.bytes += 2 + utf8Length(text);
    return JSON.stringify(text);
  }

  #encodeArray(array: readonly unknown[], depth: number): string {
    this.#enter(depth);
    checkArrayLength(array.length);
    let json = "[";
    for (let i = 0; i < array.length; i++) {
      this.#path[depth - 1] = i;
      json += (i === 0 ? "" : ",") + this.encode(array[i], depth);
    }
    return json + "]";
  }

  #encodeObject(object: Readonly<Record<string, unknown>>, depth: number): string {
    this.#enter(depth);
    const fields = sorted(Object.keys(object));
    let count = 0;
    let json = "{";
    for (const field of fields) {
      const value = object[field];
      if (value === undefined) continue;
      const quoted = quoteField(field);
      this.#path[depth - 1] = field;
      this.bytes += field.length + 1;
      json += (count++ === 0 ? "" : ",") + quoted + ":" + this.encode(value, depth);
    }
    checkFieldCount(count);
    return json + "}";
  }

  #enter(depth: number): void {
    checkValueNesting(depth);
    if (depth > this.nesting) this.nesting = depth;
    this.bytes += 2;
  }

  #unsupported(value: unknown, depth: number): DeveloperError {
    return invalidValue(unsupportedText(value, this.#path.slice(0, depth), this.#original));
  }
}

/** Whether this is an object made of fields, as `{…}` makes it, and so can be a value. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  // Objects of another realm have an Object.prototype of their own.
  return prototype === Object.prototype || prototype === null ||
    prototype.constructor?.name === "Object";
}

/** Documents that were read come with their fields in order. */
function sorted(fields: string[]): string[] {
  for (let i = 1; i < fields.length; i++) if (fields[i - 1]! > fields[i]!) return fields.sort();
  return fields;
}

/**
 * Field names found to be allowed and to need no escapes, quoted: they are written again and again. Filled and read
 * by operators alone, because what user code does to built-in objects must not show in later calls.
 */
const plainFields: Record<string, string> = Object.create(null);
const plainFieldsMax = 1000, plainFieldLengthMax = 64;
let plainFieldCount = 0;

function quoteField(field: string): string {
  const known = plainFields[field];
  if (known !== undefined) return known;
  if (!isPlainField(field)) {
    checkFieldName(field);
    return JSON.stringify(field);
  }
  const quoted = `"${field}"`;
  if (plainFieldCount++ < plainFieldsMax) plainFields[field] = quoted;
  return quoted;
}

function isPlainField(field: string): boolean {
  if (field.length > plainFieldLengthMax || field[0] === "$") return false;
  for (let i = 0; i < field.length; i++) {
    const character = field[i]!;
    if (character < " " || character > "~" || character === '"' || character === "\\") return false;
  }
  return true;
}

function special(name: string, write: (view: DataView) => void): string {
  const bytes = new Uint8Array(8);
  write(new DataView(bytes.buffer));
  return `{"${name}":"${toBase64(bytes)}"}`;
}
