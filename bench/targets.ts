/** What is measured: Hull, and the raw server that shows this machine's limits. */
import { fileURLToPath } from "node:url";
import { copyApp } from "../tests/support/apps.ts";
import { ServerProcess } from "../tests/support/server_process.ts";
import { callOnce, type HttpRequest } from "./http_load.ts";

export const channels = 100;
const messagesPerChannel = 100;

export interface Hull extends AsyncDisposable {
  readonly server: ServerProcess;
  readonly messageIds: readonly string[];
}

/** Starts Hull with the measured app and 10,000 messages; the data folder is the caller's. */
export async function startHull(dataFolder: string): Promise<Hull> {
  const server = await ServerProcess.start({ dataFolder });
  const app = await copyApp("tests/fixtures/bench");
  await server.deploy(app);
  await Deno.remove(app, { recursive: true });
  const messageIds: string[] = [];
  for (let depth = 0; depth < messagesPerChannel; depth += 5) {
    const messages = Array.from({ length: 5 * channels }, (_, n) => ({
      channel: `c${n % channels}`,
      author: `user${n % 50}`,
      body: "x".repeat(100),
    }));
    const ids = await callFunction(server.url, "mutation", "messages:sendMany", { messages });
    messageIds.push(...ids as string[]);
  }
  return { server, messageIds, [Symbol.asyncDispose]: () => server.stop() };
}

/** A request that calls a function. */
export function functionCall(
  kind: "query" | "mutation" | "action",
  path: string,
  args: Record<string, unknown>,
): HttpRequest {
  return { method: "POST", path: `/api/${kind}`, body: JSON.stringify({ path, args }) };
}

/** Calls a function once and returns its value. */
export async function callFunction(
  url: string,
  kind: "query" | "mutation" | "action",
  path: string,
  args: Record<string, unknown>,
): Promise<unknown> {
  const answer = JSON.parse(await callOnce(url, functionCall(kind, path, args)));
  if (answer.status !== "success") throw new Error(`${path}: ${answer.errorMessage}`);
  return answer.value;
}

export interface RawServer extends AsyncDisposable {
  readonly url: string;
  readonly pid: number;
}

/** Starts the raw server on its database in `folder`, which it fills the first time. */
export async function startRawServer(folder: string): Promise<RawServer> {
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      fileURLToPath(new URL("./raw_server.ts", import.meta.url)),
      `${folder}/raw.sqlite`,
    ],
    stdout: "piped",
    stderr: "inherit",
    stdin: "null",
  }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  if (value === undefined) throw new Error("the raw server did not start");
  return {
    url: value.trim(),
    pid: process.pid,
    async [Symbol.asyncDispose]() {
      await reader.cancel();
      process.kill("SIGTERM");
      await process.status;
    },
  };
}
