/** The `Range` header of a download (RFC 9110, section 14). */

/** What to send of a file: all of it, `start` up to and excluding `end`, or nothing, because it cannot be done. */
export type ByteRange =
  | { readonly kind: "whole" }
  | { readonly kind: "part"; readonly start: number; readonly end: number }
  | { readonly kind: "unsatisfiable" };

const whole: ByteRange = { kind: "whole" };
const unsatisfiable: ByteRange = { kind: "unsatisfiable" };

/** A header that is not understood is ignored; more than one range is refused (http-api 53). */
export function parseByteRange(header: string | null, size: number): ByteRange {
  const specs = /^bytes\s*=\s*(.+)$/i.exec(header ?? "")?.[1]?.split(",") ?? [];
  const ranges = specs.map((spec) => /^\s*(\d*)\s*-\s*(\d*)\s*$/.exec(spec));
  if (ranges.length === 0 || size === 0 || !ranges.every(isRange)) return whole;
  if (ranges.length > 1) return unsatisfiable;
  const [, first, last] = ranges[0]!;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? unsatisfiable : { kind: "part", start: size - length, end: size };
  }
  const start = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  return start >= size ? unsatisfiable : { kind: "part", start, end };
}

function isRange(match: RegExpExecArray | null): match is RegExpExecArray {
  if (match === null) return false;
  const [, first, last] = match;
  if (first === "" || last === "") return first !== last;
  return Number(first) <= Number(last);
}
