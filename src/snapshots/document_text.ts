/**
 * Documents as lines of JSON in exports and imports (deploy-protocol 9, 10). An export is *uniform*: an integer
 * literal is an int64, and a float always has a fraction or an exponent. Everywhere else a number is a float.
 */
import { DeveloperError } from "../errors.ts";
import { decodeValue, encodeValue, type Value } from "../values/value.ts";

/** What `generated_schema.jsonl` says beside documents that are written so. */
export const uniformSchema = '"uniform"';

const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;

/** The uniform text of a value. */
export function uniformText(value: Value): string {
  switch (typeof value) {
    case "bigint":
      return String(value);
    case "number":
      return floatText(value);
    case "string":
      return JSON.stringify(value);
    case "boolean":
      return String(value);
  }
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(uniformText).join(",")}]`;
  if (!isFields(value)) return encodeValue(value).json;
  const fields = Object.entries(value)
    .map(([field, member]) => `${JSON.stringify(field)}:${uniformText(member)}`);
  return `{${fields.join(",")}}`;
}

function floatText(value: number): string {
  if (!Number.isFinite(value) || Object.is(value, -0)) return encodeValue(value).json;
  const text = String(value);
  return /[.e]/.test(text) ? text : `${text}.0`;
}

function isFields(value: object): value is Record<string, Value> {
  return Object.getPrototypeOf(value) === Object.prototype;
}

/** A number without fraction and exponent, or what looks like one inside of a string. */
const integerLiteral = /(?<![\w.+-])-?\d+(?![\d.eE])/;

/**
 * The value of a text. `{"$integer"}`, `{"$float"}` and `{"$bytes"}` mean what they mean everywhere.
 * @throws SyntaxError when it is no JSON, DeveloperError when it is no value.
 */
export function parseText(text: string, isUniform: boolean): Value {
  const reviver = isUniform && integerLiteral.test(text) ? reviveInt64 : undefined;
  return decodeValue(JSON.parse(text, reviver));
}

function reviveInt64(_key: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || /[.eE]/.test(source)) return value;
  const integer = BigInt(source);
  if (integer < int64Min || integer > int64Max) {
    throw new DeveloperError("InvalidValue", `${source} does not fit into a 64-bit signed integer`);
  }
  return JSON.parse(encodeValue(integer).json);
}
