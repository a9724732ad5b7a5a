/**
 * `deno compile`: puts a program folder behind a base runtime (denort) of the target. The runtime comes from
 * DENORT_BIN, from Deno's cache, or from Deno's download server.
 */
import { join } from "node:path";
import type { Target } from "./targets.ts";

/**
 * Writes the executable to `output`. Resolves with undefined, or with what Deno said when there is no base runtime
 * to be had.
 * @throws Error when compiling fails for another reason, one that DENORT_BIN gives included.
 */
export async function compileProgram(
  output: string,
  folder: string,
  target: Target,
): Promise<string | undefined> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["compile", "--quiet", "--no-check", "--allow-all", "--no-lock"],
      // esbuild and native modules must lie on a real disk, and isolates may read real folders alone.
      ...["--self-extracting", "--include", folder],
      ...["--app-name", "hull", "--target", target.triple, "--output", output],
      join(folder, "main.js"),
    ],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  if (success) return undefined;
  const reason = new TextDecoder().decode(stderr).replace(/\s*Stack backtrace:[^]*$/, "").trim();
  const isDownload = /error sending request|dl\.deno\.land/.test(reason);
  if (isDownload && Deno.env.get("DENORT_BIN") === undefined) return reason;
  throw new Error(`deno compile failed: ${reason}`);
}
