/** Sizes of values as they count towards limits (http-api 92); not the size of any encoding. */
import { CommitTimestamp } from "./commit_timestamp.ts";
import type { Value } from "./value.ts";

/** Size in bytes of a value. */
export function sizeOf(value: Value): number {
  switch (typeof value) {
    case "string":
      return 2 + utf8Length(value);
    case "number":
    case "bigint":
      return 9;
    case "boolean":
      return 1;
  }
  if (value === null) return 1;
  let bytes = 2;
  if (Array.isArray(value)) {
    for (const element of value) bytes += sizeOf(element);
  } else if (value instanceof ArrayBuffer) {
    bytes += value.byteLength;
  } else if (value instanceof CommitTimestamp) {
    bytes = 9;
  } else {
    for (const field of Object.keys(value)) bytes += field.length + 1 + sizeOf(value[field]!);
  }
  return bytes;
}

/** Length of well-formed text in UTF-8. */
export function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    // A surrogate pair is two units and four bytes: two for each.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}
