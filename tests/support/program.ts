/**
 * The program under test: the source or, where the environment variable HULL_BINARY names one, an executable made by
 * `deno task compile`.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const mainModule = fileURLToPath(new URL("../../main.ts", import.meta.url));
const binary = Deno.env.get("HULL_BINARY");

/** Of the program with these arguments; the first element is what to start. */
export function programCommand(args: readonly string[]): [string, ...string[]] {
  if (binary !== undefined) return [resolve(binary), ...args];
  return [Deno.execPath(), "run", "-A", mainModule, ...args];
}
