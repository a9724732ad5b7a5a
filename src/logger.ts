/** Structured logging; the only writer to the console under src/. One line an event, on standard error. */
export type LogLevel = "debug" | "info" | "warn" | "error";

const order: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };
let threshold: LogLevel = "info";

/** Events below this level are dropped; the process starts at `info`. */
export function setLogLevel(level: LogLevel): void {
  threshold = level;
}

/** Writes one event: a short sentence and the fields that identify it. */
export function log(level: LogLevel, message: string, fields: Record<string, unknown> = {}): void {
  if (order[level] < order[threshold]) return;
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${render(value)}`).join("");
  console.error(`${new Date().toISOString()} ${level.padEnd(5)} ${message}${rest}`);
}

function render(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.stack ?? value.message);
  return typeof value === "string" && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
}
