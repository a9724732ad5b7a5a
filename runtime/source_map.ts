/** Looks up where generated code came from. Loads the map on the first question and then keeps it. */
import { posix } from "node:path";

export interface OriginalPosition {
  /** From the folder that modules lie in, as from every other module: `../convex/messages.ts`. */
  readonly source: string;
  /** One-based, like `column`. */
  readonly line: number;
  readonly column: number;
}

/** Numbers of each segment: generated column, index of the source, original line and column; all zero-based. */
const segmentLength = 4;

/** Numbers in buffers, because a large map would otherwise fill an isolate's heap. */
interface Mappings {
  /** Position in `segments` at which each generated line begins; one more at the end. */
  readonly lineStarts: Int32Array;
  readonly segments: Int32Array;
}

export class SourceMap {
  readonly #module: string;
  readonly #load: () => string | null;
  #sources: readonly (string | null)[] = [];
  #mappings: Mappings | null = null;

  /**
   * `module` is the path of the generated module, from which the map's sources are seen. `load` gives the map's
   * JSON text; null: it is not to be had any more.
   */
  constructor(module: string, load: () => string | null) {
    this.#module = module;
    this.#load = load;
  }

  /** `line` and `column` are one-based, as V8 gives them. Undefined for code that has no origin. */
  lookUp(line: number, column: number): OriginalPosition | undefined {
    const { lineStarts, segments } = this.#mappings ??= this.#decode();
    if (line >= lineStarts.length) return undefined;
    const start = lineStarts[line - 1]!;
    let low = 0;
    for (let high = (lineStarts[line]! - start) / segmentLength; low < high;) {
      const middle = (low + high) >> 1;
      if (segments[start + middle * segmentLength]! < column) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    const found = start + (low - 1) * segmentLength;
    const source = this.#sources[segments[found + 1]!];
    if (source == null) return undefined;
    return { source, line: segments[found + 2]! + 1, column: segments[found + 3]! + 1 };
  }

  #decode(): Mappings {
    const json = this.#load();
    if (json === null) return decodeMappings("");
    const { sources, sourceRoot, mappings } = JSON.parse(json);
    this.#sources = sources.map((source: string | null) =>
      source === null ? null : seenFrom(this.#module, `${sourceRoot ?? ""}${source}`)
    );
    return decodeMappings(mappings);
  }
}

/** A module in a folder, such as a chunk in `_deps/`, sees its sources from there. */
function seenFrom(module: string, source: string): string {
  return /^(\.\.?\/)/.test(source) ? posix.join(posix.dirname(module), source) : source;
}

const digits = new Uint8Array(128);
for (
  const [value, digit] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"]
    .entries()
) {
  digits[digit.charCodeAt(0)] = value;
}

const comma = 44, semicolon = 59;

/** Segments that have an origin, line by line (ECMA-426: base64 VLQ, each number relative to the one before). */
function decodeMappings(mappings: string): Mappings {
  const { lines, segments } = countMappings(mappings);
  const decoded = {
    lineStarts: new Int32Array(lines + 1),
    segments: new Int32Array(segments * segmentLength),
  };
  /** The numbers of the last segment, and how many of them the one being read has. */
  const fields = new Int32Array(segmentLength + 1);
  let length = 0, line = 0, end = 0;
  let value = 0, shift = 0;
  for (let i = 0; i <= mappings.length; i++) {
    const code = i < mappings.length ? mappings.charCodeAt(i) : semicolon;
    if (code !== comma && code !== semicolon) {
      const digit = digits[code]!;
      value |= (digit & 31) << shift;
      shift += 5;
      if (digit & 32) continue;
      fields[length++]! += value & 1 ? -(value >> 1) : value >> 1;
      value = shift = 0;
      continue;
    }
    if (length >= segmentLength) {
      decoded.segments.set(fields.subarray(0, segmentLength), end);
      end += segmentLength;
    }
    length = 0;
    if (code === semicolon) {
      decoded.lineStarts[++line] = end;
      fields[0] = 0;
    }
  }
  return decoded;
}

/** How many there can be at most. */
function countMappings(mappings: string): { lines: number; segments: number } {
  let lines = 1, segments = 1;
  for (let i = 0; i < mappings.length; i++) {
    const code = mappings.charCodeAt(i);
    if (code === semicolon) lines++;
    if (code === comma || code === semicolon) segments++;
  }
  return { lines, segments };
}
