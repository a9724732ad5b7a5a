/** The formats in which results leave over HTTP (http-api 29, 90, 91). Inside they are `convex_encoded_json`. */
import { Buffer } from "node:buffer";
import { unreachable } from "../assert.ts";
import { RequestError } from "../errors.ts";
import { type ClientVersion, isAtLeast } from "./client_version.ts";

export type ValueFormat = "json" | "convex_encoded_json" | "export_json";

/** @throws RequestError for a name that is none of the formats. */
export function parseValueFormat(name: unknown): ValueFormat {
  switch (name) {
    case "json":
    case "convex_clean_json":
      return "json";
    case "convex_encoded_json":
    case "convex_json":
      return "convex_encoded_json";
    case "export_json":
      return "export_json";
    default:
      throw new RequestError(
        "badRequest",
        "BadFormat",
        `format param must be one of [\`json\`]. Got ${name}`,
      );
  }
}

/** What a client gets that does not ask for a format. */
export function defaultFormat(client: ClientVersion): ValueFormat {
  switch (client.name) {
    case "npm":
    case "npm-cli":
    case "actions":
      return isAtLeast(client, 1, 4, 1) ? "json" : "convex_encoded_json";
    case "python":
    case "python-convex":
      return isAtLeast(client, 0, 5, 0) ? "json" : "convex_encoded_json";
    default:
      return "json";
  }
}

/** Converts the JSON text of an encoded value. */
export function formatValue(encoded: string, format: ValueFormat): string {
  switch (format) {
    case "convex_encoded_json":
      return encoded;
    case "json":
      // Only what is encoded with a `$` reads differently, and most results have none of that.
      return encoded.includes('"$') ? write(JSON.parse(encoded), lossy) : encoded;
    case "export_json":
      return write(JSON.parse(encoded), exported);
    default:
      return unreachable(format);
  }
}

/** How the values are written that JSON has no form of its own for. */
interface Style {
  number(value: number): string;
  integer(value: bigint): string;
  /** NaN, the infinities and negative zero. */
  specialFloat(value: number, base64: string): string;
  bytes(base64: string): string;
}

const lossy: Style = {
  number: (value) => JSON.stringify(value),
  integer: (value) => `"${value}"`,
  specialFloat: (value) => Object.is(value, -0) ? "-0.0" : `"${value}"`,
  bytes: (base64) => JSON.stringify(base64),
};

const exported: Style = {
  number: (value) => /[.e]/.test(String(value)) ? String(value) : `${value}.0`,
  integer: (value) => String(value),
  specialFloat: (value, base64) =>
    Object.is(value, -0) ? "-0.0" : JSON.stringify({ $float: base64 }),
  bytes: (base64) => JSON.stringify({ $bytes: base64 }),
};

function write(value: unknown, style: Style): string {
  if (typeof value === "number") return style.number(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map((item) => write(item, style)).join(",")}]`;
  const entries = Object.entries(value);
  const [name, payload] = entries[0] ?? [];
  if (entries.length === 1 && typeof payload === "string") {
    const bytes = () => Buffer.from(payload, "base64");
    if (name === "$integer") return style.integer(bytes().readBigInt64LE());
    if (name === "$float") return style.specialFloat(bytes().readDoubleLE(), payload);
    if (name === "$bytes") return style.bytes(payload);
  }
  const fields = entries.map(([field, item]) => `${JSON.stringify(field)}:${write(item, style)}`);
  return `{${fields.join(",")}}`;
}
