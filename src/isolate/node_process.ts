/**
 * One Node.js process, serving one deployment: any number of actions at the same time. Its environment variables are
 * the deployment's.
 */
import type { Environment } from "../environment.ts";
import { errorMessage } from "../errors.ts";
import { log } from "../logger.ts";
import { ExecutorProcess, inheritedVariables } from "./executor_process.ts";
import { decodeFrame, encodeFrame } from "./frames.ts";
import { parseFromIsolate } from "./parse_message.ts";
import type { DeploymentManifest, FromIsolate, ToIsolate } from "./protocol.ts";

export interface NodeProcessListener {
  message(message: FromIsolate, body: Uint8Array): void;
  /** The process is gone; once, and the last call. */
  exited(detail: string): void;
}

export interface NodeProcessOptions {
  /** Both from NodeProgram. */
  readonly executorPath: string;
  readonly deployment: DeploymentManifest;
  /** Of the JavaScript heap. */
  readonly memoryMiB: number;
  readonly environment: Environment;
}

export class NodeProcess {
  readonly #process: ExecutorProcess;

  constructor(options: NodeProcessOptions, listener: NodeProcessListener) {
    const { executorPath, deployment, memoryMiB, environment } = options;
    // As for executors: what user code prints goes to standard error, frames go to a descriptor of their own.
    const shell = Deno.build.os !== "windows";
    const wrapper = shell ? ["sh", "-c", 'exec "$@" 3>&1 1>&2', "sh"] : [];
    const [program, ...args] = [
      ...wrapper,
      ...["node", `--max-old-space-size=${memoryMiB}`, "--stack-trace-limit=50", executorPath],
      shell ? "3" : "1",
    ];
    const variables = { ...inheritedVariables(), ...deployment.environmentVariables };
    this.#process = new ExecutorProcess({ program: program!, args, variables }, environment, {
      frame: (frame) => this.#receive(frame, listener),
      exited: (detail) => listener.exited(detail),
    });
    this.send({ type: "load", deployment: { ...deployment, environmentVariables: {} } });
  }

  get pid(): number {
    return this.#process.pid;
  }

  send(message: ToIsolate, body?: Uint8Array | string): void {
    this.#process.send(encodeFrame(0, message, body));
  }

  kill(): void {
    this.#process.kill();
  }

  close(): Promise<void> {
    return this.#process.close();
  }

  #receive(frame: Uint8Array, listener: NodeProcessListener): void {
    let message: FromIsolate;
    let body: Uint8Array;
    try {
      const decoded = decodeFrame(frame);
      message = parseFromIsolate(decoded.header);
      body = decoded.body;
    } catch (error) {
      log("warn", "A Node process is ended", { reason: errorMessage(error) });
      return this.kill();
    }
    listener.message(message, body);
  }
}

/** Major version of the `node` on PATH; null without one. */
export async function findNode(): Promise<number | null> {
  try {
    const { stdout } = await new Deno.Command("node", { args: ["--version"] }).output();
    const major = /^v(\d+)\./.exec(new TextDecoder().decode(stdout))?.[1];
    return major === undefined ? null : Number(major);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
