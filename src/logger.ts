/** Structured logging; the only writer to the console under src/. One line an event, on standard error. */
export type LogLevel = "info" | "warn" | "error";

/** `json`: each line is an object with `time`, `level`, `message` and the event's fields. */
export type LogFormat = "text" | "json";

let format: LogFormat = "text";

/** Each thread has a format of its own; it starts with `text`. */
export function setLogFormat(newFormat: LogFormat): void {
  format = newFormat;
}

export function logFormat(): LogFormat {
  return format;
}

/** Writes one event: a short sentence and the fields that identify it. */
export function log(level: LogLevel, message: string, fields: Record<string, unknown> = {}): void {
  const time = new Date().toISOString();
  console.error(
    format === "json" ? json(time, level, message, fields) : text(time, level, message, fields),
  );
}

type Render = (
  time: string,
  level: LogLevel,
  message: string,
  fields: Record<string, unknown>,
) => string;

const json: Render = (time, level, message, fields) =>
  JSON.stringify(
    // The event's own come first, so that none of them can stand for another.
    { ...fields, time, level, message },
    (_key, value) => value instanceof Error ? errorText(value) : value,
  );

const text: Render = (time, level, message, fields) => {
  const rest = Object.entries(fields).map(([key, value]) => ` ${key}=${render(value)}`).join("");
  return `${time} ${level.padEnd(5)} ${message}${rest}`;
};

function render(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(errorText(value));
  return typeof value === "string" && /^[\w./:@-]+$/.test(value) ? value : JSON.stringify(value);
}

function errorText(error: Error): string {
  return error.stack ?? error.message;
}
