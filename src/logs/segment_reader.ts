/** Reads one segment of the log: a line of JSON for each entry. What is no entry is passed over. */
import { Buffer } from "node:buffer";
import type { LoggedEntry } from "./log_entry.ts";

export interface SegmentLine {
  readonly cursor: number;
  /** Of the line. */
  readonly bytes: number;
  /** Undefined when the line is damaged. */
  parse(): LoggedEntry | undefined;
}

const chunkBytes = 64 * 1024;
const newline = "\n".charCodeAt(0);
/** How every line begins; enough of it to hold any cursor. */
const lineStart = /^\{"cursor":(\d+(?:\.\d+)?),/;
const lineStartBytesMax = 64;

/** The complete lines, oldest first, in pieces so small that nothing else has to wait. */
export async function* linesOf(path: string): AsyncGenerator<SegmentLine> {
  using file = await openIfThere(path);
  if (file === null) return;
  const chunk = Buffer.alloc(chunkBytes);
  let begun: Buffer[] = [];
  for (;;) {
    const length = await file.read(chunk);
    if (length === null) return;
    let begin = 0;
    for (let end; (end = chunk.subarray(0, length).indexOf(newline, begin)) >= 0; begin = end + 1) {
      const line = Buffer.concat([...begun, chunk.subarray(begin, end)]);
      begun = [];
      const cursor = cursorOf(line);
      if (cursor !== undefined) yield { cursor, bytes: line.length, parse: () => parse(line) };
    }
    begun.push(Buffer.from(chunk.subarray(begin, length)));
  }
}

/** Undefined when retention has removed it. */
async function openIfThere(path: string): Promise<Deno.FsFile | null> {
  try {
    return await Deno.open(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

function cursorOf(line: Buffer): number | undefined {
  const match = lineStart.exec(line.toString("latin1", 0, lineStartBytesMax));
  return match === null ? undefined : Number(match[1]);
}

/** Lines are written whole or cut off, so one that is JSON and has both its ends is an entry. */
function parse(line: Buffer): LoggedEntry | undefined {
  try {
    const { cursor, ...entry } = JSON.parse(line.toString());
    return { cursor, entry };
  } catch {
    return undefined;
  }
}
