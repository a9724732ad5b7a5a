/** Writes a script from pieces of a module's text and moves the module's source map along. */
import { decodedMappings, encodedMappings, TraceMap } from "@jridgewell/trace-mapping";

/** Replaces the text from `start` to `end` of the module. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** Text that the script has in common with the module. */
interface Piece {
  readonly moduleStart: number;
  readonly scriptStart: number;
  readonly length: number;
}

export class ScriptWriter {
  text = "";
  readonly #source: string;
  readonly #pieces: Piece[] = [];

  constructor(source: string) {
    this.#source = source;
  }

  /** Adds text that the module does not have. */
  write(text: string): void {
    this.text += text;
  }

  /** Adds a part of the module. `edits` are those inside of it, in order. */
  copy(start: number, end: number, edits: readonly Edit[]): void {
    let position = start;
    for (const edit of edits) {
      this.#copyPiece(position, edit.start);
      // The first character of the replaced text stands for all of what replaces it.
      this.#pieces.push({ moduleStart: edit.start, scriptStart: this.text.length, length: 1 });
      this.text += edit.text;
      position = edit.end;
    }
    this.#copyPiece(position, end);
  }

  #copyPiece(start: number, end: number): void {
    if (start >= end) return;
    this.#pieces.push({ moduleStart: start, scriptStart: this.text.length, length: end - start });
    this.text += this.#source.slice(start, end);
  }

  /** The module's map with its mappings moved to where the script has the same text. */
  moveSourceMap(map: TraceMap): string {
    const pieces = this.#pieces.toSorted((a, b) => a.moduleStart - b.moduleStart);
    const moduleLines = lineStarts(this.#source);
    const scriptLines = lineStarts(this.text);
    const moved: [number, ...number[]][][] = scriptLines.map(() => []);
    for (const [line, segments] of decodedMappings(map).entries()) {
      for (const [column, ...original] of segments) {
        const position = locate(pieces, moduleLines[line]! + column);
        if (position === undefined) continue;
        const scriptLine = lastAtMost(scriptLines, position);
        moved[scriptLine]!.push([position - scriptLines[scriptLine]!, ...original]);
      }
    }
    for (const line of moved) line.sort((a, b) => a[0] - b[0]);
    const { names, sources, sourceRoot } = map;
    const mappings = encodedMappings(
      new TraceMap({ version: 3, names, sources, mappings: moved as never }),
    );
    return JSON.stringify({ version: 3, sourceRoot, sources, names, mappings });
  }
}

function locate(pieces: readonly Piece[], modulePosition: number): number | undefined {
  const index = lastAtMost(pieces, modulePosition, (piece) => piece.moduleStart);
  const piece = pieces[index];
  if (piece === undefined || modulePosition >= piece.moduleStart + piece.length) return undefined;
  return piece.scriptStart + modulePosition - piece.moduleStart;
}

/** Offsets at which the lines of a text begin. */
export function lineStarts(text: string): number[] {
  const starts = [0];
  for (const { index, 0: { length } } of text.matchAll(/\r\n|[\n\r\u2028\u2029]/g)) {
    starts.push(index + length);
  }
  return starts;
}

/** Position of the last element of an ascending list that is not above `value`; -1 if there is none. */
export function lastAtMost<T>(
  ascending: readonly T[],
  value: number,
  keyOf: (element: T) => number = Number,
): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keyOf(ascending[middle]!) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
