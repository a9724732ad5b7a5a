/** Values as error texts show them (semantics 8.2). */
import { toBase64 } from "./bytes_text.ts";
import { CommitTimestamp } from "./commit_timestamp.ts";
import type { Value } from "./value.ts";

/** `null`, `1` (Int64), `1.0` (Float64), `"text"`, `b"BASE64"`, `[a, b]`, `{a: 1.0, b: "x"}` with sorted fields. */
export function renderValue(value: Value | undefined): string {
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "string":
      return renderText(value);
    case "number":
      return renderFloat(value);
    case "bigint":
    case "boolean":
      return String(value);
  }
  if (value === null) return "null";
  if (Array.isArray(value)) return `[${value.map(renderValue).join(", ")}]`;
  if (value instanceof ArrayBuffer) return `b"${toBase64(new Uint8Array(value))}"`;
  if (value instanceof CommitTimestamp) return String(value);
  const fields = Object.keys(value).sort()
    .map((field) => `${renderField(field)}: ${renderValue(value[field])}`);
  return `{${fields.join(", ")}}`;
}

/** A field name as it stands in an object. */
export function renderField(field: string): string {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(field) ? field : renderText(field);
}

/** Always with a point or an exponent, to tell it from an Int64. */
export function renderFloat(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const magnitude = Math.abs(value);
  if (magnitude >= 1e16 || (magnitude !== 0 && magnitude < 1e-4)) {
    return value.toExponential().replace("e+", "e");
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

const escapes: Record<string, string> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\0": "\\0",
};

function renderText(text: string): string {
  const escaped = text.replace(
    /["\\\p{Cc}]/gu,
    (character) => escapes[character] ?? `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
  return `"${escaped}"`;
}
