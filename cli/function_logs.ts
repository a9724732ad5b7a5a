/** Shows in the terminal what functions print and how they fail. */
import type { LogEntry } from "../src/logs/log_entry.ts";
import type { LogStore } from "../src/logs/log_store.ts";
import { plain, type Styler, styler } from "./terminal.ts";

/** What is shown of an execution, or of a part of it. */
export interface ShownExecution {
  readonly timestampMs: number;
  readonly requestId: string;
  /** Its kind and its name. */
  readonly function: string;
  readonly logLines: readonly {
    readonly level: string;
    readonly messages: readonly string[];
    readonly isTruncated: boolean;
  }[];
  readonly error: string | null;
  /** What is said of a success; nothing by default. */
  readonly success?: string;
}

/** Prints until `signal` fires. */
export async function followLogs(
  logs: LogStore,
  signal: AbortSignal,
  print: (text: string) => void,
): Promise<void> {
  const style = styler(Deno.stderr);
  let cursor = logs.lastCursor;
  while (!signal.aborted) {
    const page = await logs.waitAfter(cursor, 60_000, signal);
    cursor = page.cursor;
    for (const entry of page.entries) for (const line of renderLogEntry(entry, style)) print(line);
  }
}

/** The lines that an entry is worth: what was logged, and an error. */
export function renderLogEntry(entry: LogEntry, style: Styler = plain): string[] {
  const { timestampMs, requestId, functionKind, identifier, logLines } = entry;
  const error = entry.kind === "completion" ? entry.error : null;
  const name = `${functionKind} ${identifier}`;
  return renderExecution({ timestampMs, requestId, function: name, logLines, error }, style);
}

/** Each line begins with the same words, so that those of one request can be found. */
export function renderExecution(execution: ShownExecution, style: Styler = plain): string[] {
  const { timestampMs, requestId, logLines, error, success } = execution;
  const time = new Date(timestampMs).toTimeString().slice(0, 8);
  const head = `${style("dim", `${time} ${requestId}`)} ${style("cyan", execution.function)}`;
  const lines = logLines.map(({ level, messages, isTruncated }) =>
    `${head} ${tag(level, style)} ${messages.join(" ")}${
      isTruncated ? " (truncated due to length)" : ""
    }`
  );
  if (error !== null) lines.push(`${head} ${style("red", "[FAILED]")} ${error.trimEnd()}`);
  if (success !== undefined) lines.push(`${head} ${style("green", "[SUCCESS]")} ${success}`);
  return lines;
}

function tag(level: string, style: Styler): string {
  if (level === "ERROR") return style("red", `[${level}]`);
  return level === "WARN" ? style("yellow", `[${level}]`) : `[${level}]`;
}
