/** Shows in the terminal what functions print and how they fail. */
import type { LogEntry } from "../src/logs/log_entry.ts";
import type { LogStore } from "../src/logs/log_store.ts";

/** Prints until `signal` fires. */
export async function followLogs(
  logs: LogStore,
  signal: AbortSignal,
  print: (text: string) => void,
): Promise<void> {
  let cursor = logs.lastCursor;
  while (!signal.aborted) {
    const page = await logs.waitAfter(cursor, 60_000, signal);
    cursor = page.cursor;
    for (const entry of page.entries) for (const line of renderLogEntry(entry)) print(line);
  }
}

/** The lines that an execution is worth: those it logged, and its error. */
export function renderLogEntry(entry: LogEntry): string[] {
  const time = new Date(entry.timestampMs).toTimeString().slice(0, 8);
  const head = `${time} ${entry.functionKind} ${entry.identifier}`;
  const lines = entry.logLines.map(({ level, messages, isTruncated }) =>
    `${head} [${level}] ${messages.join(" ")}${isTruncated ? " (truncated due to length)" : ""}`
  );
  if (entry.kind === "completion" && entry.error !== null) {
    lines.push(`${head} [FAILED] ${entry.error.trimEnd()}`);
  }
  return lines;
}
