/** The program: hands its arguments to the command line. */
import { runCommandLine } from "./cli/commands.ts";

Deno.exit(await runCommandLine(Deno.args));
