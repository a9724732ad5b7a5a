/** The unmodified command line of the npm package `convex`, for a Hull server as a self-hosted deployment. */
import { fileURLToPath } from "node:url";
import type { CommandResult, ServerProcess } from "./server_process.ts";
import { within } from "./waiting.ts";

const cliModule = fileURLToPath(new URL("../../node_modules/convex/bin/main.js", import.meta.url));

/** Runs it in the folder of an app to its end. */
export async function runOfficialCli(
  server: ServerProcess,
  app: string,
  args: readonly string[],
  key: string = server.adminKey,
): Promise<CommandResult> {
  const decoder = new TextDecoder();
  const command = new Deno.Command("node", {
    args: [cliModule, ...args],
    cwd: app,
    env: {
      CONVEX_SELF_HOSTED_URL: server.url,
      CONVEX_SELF_HOSTED_ADMIN_KEY: key,
      // Reports nothing to its maker, and asks nothing.
      CI: "1",
      NO_COLOR: "1",
    },
    stdin: "null",
  });
  const { code, stdout, stderr } = await within(command.output(), 90_000, args.join(" "));
  const text = decoder.decode(stdout);
  return { code, stdout: text, output: text + decoder.decode(stderr) };
}
