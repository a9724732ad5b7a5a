/** What user code printed, as clients and terminals show it (function-abi 17). */
import type { LogLine } from "../isolate/protocol.ts";

/** `[LEVEL] m1 m2`, and a note when the line was cut. */
function renderLogLine(line: LogLine): string {
  const text = `[${line.level}] ${line.messages.join(" ")}`;
  return line.isTruncated ? `${text} (truncated due to length)` : text;
}

const none: readonly string[] = [];

export function renderLogLines(lines: readonly LogLine[]): readonly string[] {
  return lines.length === 0 ? none : lines.map(renderLogLine);
}
