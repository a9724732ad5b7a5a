/**
 * The unmodified command line of the npm package `convex`, for a Hull server as a self-hosted deployment. It reaches
 * no other host, so whatever works through here needs none (deploy-protocol 1).
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type CommandResult, OutputLog, type ServerProcess } from "./server_process.ts";
import { within } from "./waiting.ts";

const modules = new URL("../../node_modules/", import.meta.url);
const cliModule = fileURLToPath(new URL("convex/bin/main.js", modules));
const noOtherHost = new URL("./no_other_host.mjs", import.meta.url).href;

/** Where to deploy to; a `ServerProcess`, or something in front of one. */
export interface DeploymentAddress {
  readonly url: string;
  readonly adminKey: string;
}

/** Runs it in the folder of an app to its end. */
export async function runOfficialCli(
  deployment: DeploymentAddress,
  app: string,
  args: readonly string[],
  key: string = deployment.adminKey,
): Promise<CommandResult> {
  const decoder = new TextDecoder();
  const command = officialCli({ url: deployment.url, adminKey: key }, app, args);
  const { code, stdout, stderr } = await within(command.output(), 90_000, args.join(" "));
  const text = decoder.decode(stdout);
  return { code, stdout: text, output: text + decoder.decode(stderr) };
}

/** Runs the command line of another version, which `deno.json` imports as `convex-1.21` or the like, to its end. */
export async function runOlderCli(
  version: string,
  { url, adminKey }: DeploymentAddress,
  app: string,
  args: readonly string[],
): Promise<CommandResult> {
  const decoder = new TextDecoder();
  const main = fileURLToPath(
    new URL(`.deno/convex@${version}/node_modules/convex/bin/main.js`, modules),
  );
  const command = officialCli({ url, adminKey }, app, args, main);
  const { code, stdout, stderr } = await within(command.output(), 90_000, args.join(" "));
  const text = decoder.decode(stdout);
  return { code, stdout: text, output: text + decoder.decode(stderr) };
}

/** The same for commands that have to succeed, on a server whose log shows why one does not. */
export function mustRunOfficialCli(server: ServerProcess, app: string) {
  return async (...args: string[]): Promise<CommandResult> => {
    const result = await runOfficialCli(server, app, args);
    assert.equal(result.code, 0, `convex ${args.join(" ")}:\n${result.output}\n${server.log}`);
    return result;
  };
}

/** A command that runs until it is stopped. */
export interface FollowedCommand extends AsyncDisposable {
  /** Resolves with what matches in the first line that does, among those printed already or later. */
  firstLine(pattern: RegExp): Promise<string>;
  /** Like `firstLine`, for lines printed from now on. */
  nextLine(pattern: RegExp): Promise<string>;
}

/** Starts one in the folder of an app. */
export function followOfficialCli(
  deployment: DeploymentAddress,
  app: string,
  args: readonly string[],
): FollowedCommand {
  const process = officialCli(deployment, app, args).spawn();
  const output = new OutputLog(process);
  const soon = (match: Promise<string>) => within(match, 60_000, `a line of ${args.join(" ")}`);
  return {
    firstLine: (pattern) => soon(output.firstMatch(pattern)),
    nextLine: (pattern) => soon(output.nextMatch(pattern)),
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await process.status;
      await output.ended;
    },
  };
}

function officialCli(
  { url, adminKey }: DeploymentAddress,
  app: string,
  args: readonly string[],
  main = cliModule,
): Deno.Command {
  return new Deno.Command("node", {
    args: ["--import", noOtherHost, main, ...args],
    cwd: app,
    env: {
      CONVEX_SELF_HOSTED_URL: url,
      CONVEX_SELF_HOSTED_ADMIN_KEY: adminKey,
      // Reports nothing to its maker, and asks nothing.
      CI: "1",
      NO_COLOR: "1",
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}
