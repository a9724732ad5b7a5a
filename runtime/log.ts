/** What one call prints (function-abi 17): bounded in lines and in bytes a line, nested functions included. */
import type { LogLevel, LogLine } from "../src/isolate/protocol.ts";

const linesMax = 256;
const lineBytesMax = 32_768;
const now = Date.now; // kept: user code sees another Date
const encoder = new TextEncoder();

type LineSource = Pick<LogLine, "udfPath" | "componentPath">;

export class Log {
  readonly #buffer: LineBuffer;
  readonly #source: LineSource;

  /** `onLine` is told of each line as it is added. */
  constructor(
    onLine?: () => void,
    buffer = new LineBuffer(onLine),
    source: LineSource = {},
  ) {
    this.#buffer = buffer;
    this.#source = source;
  }

  /** The log of a function that this one calls; its lines appear here, under its name. */
  nested(udfPath: string, componentPath: string): Log {
    const source = { udfPath, ...componentPath !== "" && { componentPath } };
    return new Log(undefined, this.#buffer, source);
  }

  /** One call of `console`, each argument as its text. */
  add(level: LogLevel, messages: readonly string[]): void {
    this.#buffer.add({
      level,
      ...fitLine(messages),
      timestamp: now(),
      ...this.#source,
    });
  }

  /** A line of the host, not counted. */
  addSystem(level: LogLevel, message: string, systemCode: string): void {
    this.#buffer.addUncounted({
      level,
      messages: [message],
      isTruncated: false,
      timestamp: now(),
      systemCode,
    });
  }

  /** The lines since the last call. */
  take(): LogLine[] {
    return this.#buffer.take();
  }
}

class LineBuffer {
  #lines: LogLine[] = [];
  #count = 0;

  constructor(readonly onLine: (() => void) | undefined) {}

  add(line: LogLine): void {
    if (this.#count === linesMax) return;
    this.#count++;
    if (this.#count < linesMax) return this.addUncounted(line);
    this.addUncounted({
      level: "ERROR",
      messages: [`Log overflow (maximum ${linesMax}). Remaining log lines omitted.`],
      isTruncated: false,
      timestamp: line.timestamp,
    });
  }

  addUncounted(line: LogLine): void {
    this.#lines.push(line);
    this.onLine?.();
  }

  take(): LogLine[] {
    const lines = this.#lines;
    this.#lines = [];
    return lines;
  }
}

/** Cuts messages so that they fit one line, joined by spaces. */
function fitLine(messages: readonly string[]): { messages: string[]; isTruncated: boolean } {
  // No character takes more than three bytes for each UTF-16 unit.
  const lengthMax = messages.reduce((sum, message) => sum + message.length * 3 + 1, 0);
  if (lengthMax <= lineBytesMax) return { messages: [...messages], isTruncated: false };
  const fitting: string[] = [];
  let bytesLeft = lineBytesMax;
  for (const message of messages) {
    if (fitting.length > 0) bytesLeft--; // the space between them
    const { read, written } = encoder.encodeInto(message, new Uint8Array(Math.max(0, bytesLeft)));
    fitting.push(message.slice(0, read));
    if (read < message.length) return { messages: fitting, isTruncated: true };
    bytesLeft -= written;
  }
  return { messages: fitting, isTruncated: false };
}
