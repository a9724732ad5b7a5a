/**
 * The program under test: the source or, where the environment variable HULL_BINARY names one, an executable made by
 * `deno task compile`.
 */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const mainModule = fileURLToPath(new URL("../../main.ts", import.meta.url));
const packagingModule = fileURLToPath(new URL("../../packaging/main.ts", import.meta.url));
const executable = Deno.env.get("HULL_BINARY");

/** Of the program with these arguments; the first element is what to start. */
export function programCommand(
  args: readonly string[],
  path = executable,
): [string, ...string[]] {
  if (path !== undefined) return [resolve(path), ...args];
  return [Deno.execPath(), "run", "-A", mainModule, ...args];
}

/** This process's variables but the one that says what is tested, which would mean nothing to the program. */
export function environmentOfTests(): Record<string, string> {
  const { HULL_BINARY: _, ...others } = Deno.env.toObject();
  return others;
}

/** The executable under test or, where the source is, one that is made now in `folder`. */
export async function makeExecutable(folder: string): Promise<string> {
  if (executable !== undefined) return resolve(executable);
  const path = `${folder}/hull`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", packagingModule, "--self-extracting", "--output", path],
    stdout: "null",
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return path;
}
