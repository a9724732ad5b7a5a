/** Looks up where generated code came from. Loads the map on the first question and then keeps it. */
import { posix } from "node:path";

export interface OriginalPosition {
  /** From the folder that modules lie in, as from every other module: `../convex/messages.ts`. */
  readonly source: string;
  /** One-based, like `column`. */
  readonly line: number;
  readonly column: number;
}

/** Generated column, index of the source, original line and column; all zero-based. */
type Segment = readonly [column: number, source: number, line: number, originalColumn: number];

export class SourceMap {
  readonly #module: string;
  readonly #load: () => string | null;
  #sources: readonly (string | null)[] = [];
  #lines: readonly (readonly Segment[])[] | null = null;

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
    this.#lines ??= this.#decode();
    const segments = this.#lines[line - 1] ?? [];
    let found: Segment | undefined;
    for (let low = 0, high = segments.length; low < high;) {
      const middle = (low + high) >> 1;
      if (segments[middle]![0] < column) {
        found = segments[middle]!;
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    const source = found && this.#sources[found[1]];
    if (found === undefined || source == null) return undefined;
    return { source, line: found[2] + 1, column: found[3] + 1 };
  }

  #decode(): Segment[][] {
    const json = this.#load();
    if (json === null) return [];
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

/** Segments that have an origin, line by line (ECMA-426: base64 VLQ, each number relative to the one before). */
function decodeMappings(mappings: string): Segment[][] {
  const lines: Segment[][] = [];
  let source = 0, originalLine = 0, originalColumn = 0;
  for (const line of mappings.split(";")) {
    const segments: Segment[] = [];
    let column = 0;
    for (const text of line === "" ? [] : line.split(",")) {
      const fields = decodeNumbers(text);
      column += fields[0]!;
      if (fields.length < 4) continue;
      source += fields[1]!;
      originalLine += fields[2]!;
      originalColumn += fields[3]!;
      segments.push([column, source, originalLine, originalColumn]);
    }
    lines.push(segments);
  }
  return lines;
}

function decodeNumbers(text: string): number[] {
  const numbers: number[] = [];
  let value = 0, shift = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = digits[text.charCodeAt(i)]!;
    value |= (digit & 31) << shift;
    shift += 5;
    if (digit & 32) continue;
    numbers.push(value & 1 ? -(value >> 1) : value >> 1);
    value = shift = 0;
  }
  return numbers;
}
