/** The `console` of Node actions (function-abi 20): rendered by `util.inspect`, kept by the action that printed. */
import { formatWithOptions } from "node:util";
import process from "node:process";
import type { LogLevel } from "../../src/isolate/protocol.ts";
import { currentAction } from "./action.ts";

const stringLengthMax = 32_768;
const levels: Readonly<Record<string, LogLevel>> = {
  debug: "DEBUG",
  error: "ERROR",
  info: "INFO",
  log: "LOG",
  warn: "WARN",
};

/** While modules are analysed, what they print is collected here. */
let imported: string[] | null = null;

/** Runs `task` and hands back what was printed meanwhile outside of actions. */
export async function collectPrinted<T>(task: () => Promise<T>): Promise<[T, readonly string[]]> {
  const lines = imported = [];
  try {
    return [await task(), lines];
  } finally {
    imported = null;
  }
}

export function installConsole(): void {
  for (const [name, level] of Object.entries(levels)) {
    Reflect.set(console, name, (...args: unknown[]) => print(level, args));
  }
  Reflect.set(console, "trace", (...args: unknown[]) => {
    const { stack = "" } = new Error();
    print("LOG", [...args, stack.slice(stack.indexOf("\n"))]);
  });
}

function print(level: LogLevel, args: readonly unknown[]): void {
  const message = formatWithOptions({ maxStringLength: stringLengthMax }, ...args);
  const action = currentAction();
  if (action !== undefined) action.print(level, message);
  else if (imported !== null) imported.push(`[${level}] ${message}`);
  else process.stderr.write(`${message}\n`);
}
