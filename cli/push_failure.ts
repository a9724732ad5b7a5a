/** How a failed push reads, with the place in the app's files that the server's answer names. */
import { relative, resolve } from "node:path";
import { styler } from "./terminal.ts";

/** `(../convex/a.ts:1:2)`, relative to a folder beside the functions folder (function-abi 12). */
const framePlace = /\(?(\.\.\/[^\s():]+):(\d+):(\d+)\)?/;

/** The whole story for the developer: that it failed, why, and where. */
export async function describePushFailure(
  message: string,
  appPath: string,
  consequence: string,
): Promise<string> {
  const place = await codeFrame(message, appPath);
  const sign = styler(Deno.stderr)("red", "✖");
  return [`${sign} Push failed. ${consequence}`, message, place].filter((part) => part !== "").join(
    "\n",
  );
}

/**
 * The lines of code around the first stack frame in `message` that lies in a file of the app; empty when there
 * is none.
 */
export async function codeFrame(message: string, appPath: string): Promise<string> {
  const match = framePlace.exec(message);
  if (match === null) return "";
  const file = resolve(appPath, "out", match[1]!);
  const [lineNumber, column] = [Number(match[2]), Number(match[3])];
  const line = (await readLines(file))[lineNumber - 1];
  if (line === undefined) return "";
  const margin = " ".repeat(String(lineNumber).length);
  // Tabs stay, so that the mark stands under its character however wide they are shown.
  const indent = line.slice(0, column - 1).replace(/[^\t]/g, " ");
  return [
    `    ${relative(appPath, file)}:${lineNumber}:${column}:`,
    `      ${lineNumber} │ ${line}`,
    `      ${margin} ╵ ${indent}^`,
  ].join("\n");
}

async function readLines(file: string): Promise<string[]> {
  try {
    return (await Deno.readTextFile(file)).split("\n");
  } catch (error) {
    // The frame may lie in code that the bundler made up.
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
