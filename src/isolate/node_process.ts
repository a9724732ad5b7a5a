/**
 * One Node.js process, serving one deployment: any number of actions at the same time. It gets the deployment's
 * environment variables with the deployment, when our program runs already: none of them can change how Node.js
 * starts.
 */
import type { Environment } from "../environment.ts";
import { errorMessage } from "../errors.ts";
import { log } from "../logger.ts";
import { ExecutorProcess, hostVariable, type ProcessCommand } from "./executor_process.ts";
import { decodeFrame, encodeFrame } from "./frames.ts";
import type { NodeInstallation } from "./node_installations.ts";
import { permissionFlags, temporaryFolder } from "./node_permissions.ts";
import type { LaidOutModules } from "./node_program.ts";
import { parseFromNode } from "./parse_message.ts";
import type { FromNode, ToNode } from "./protocol.ts";

export interface NodeProcessListener {
  message(message: FromNode, body: Uint8Array): void;
  /** The process is gone; once, and the last call. `detail`: how it ended, and what it last said. */
  exited(detail: string): void;
}

export interface NodeProcessOptions {
  readonly node: NodeInstallation;
  readonly modules: LaidOutModules;
  /** Of the JavaScript heap; what lies outside of it may take as much again. */
  readonly memoryMiB: number;
  readonly environment: Environment;
}

/** What Node.js 24 sets aside without using it; it counts against the limit of a process. */
const reservedMiB = 640;

export class NodeProcess {
  readonly #process: ExecutorProcess;

  constructor(options: NodeProcessOptions, listener: NodeProcessListener) {
    const { modules, environment } = options;
    this.#process = new ExecutorProcess(nodeCommand(options), environment, {
      frame: (frame) => this.#receive(frame, listener),
      exited: (detail) => listener.exited(detail),
    });
    this.send({ type: "load", deployment: modules.deployment });
  }

  get pid(): number {
    return this.#process.pid;
  }

  send(message: ToNode, body?: Uint8Array | string): void {
    this.#process.send(encodeFrame(0, message, body));
  }

  kill(): void {
    this.#process.kill();
  }

  close(): Promise<void> {
    return this.#process.close();
  }

  #receive(frame: Uint8Array, listener: NodeProcessListener): void {
    let message: FromNode;
    let body: Uint8Array;
    try {
      const decoded = decodeFrame(frame);
      message = parseFromNode(decoded.header);
      body = decoded.body;
    } catch (error) {
      log("warn", "A Node process is ended", { reason: errorMessage(error) });
      return this.kill();
    }
    listener.message(message, body);
  }
}

function nodeCommand({ node, modules, memoryMiB }: NodeProcessOptions): ProcessCommand {
  const shell = Deno.build.os !== "windows";
  const limitKiB = (2 * memoryMiB + reservedMiB) * 1024;
  const limit = Deno.build.os === "linux" ? `ulimit -d ${limitKiB}; ` : "";
  // As for executors: what user code prints goes to standard error, frames go to a descriptor of their own.
  const [program, ...args] = [
    ...(shell ? ["sh", "-c", `${limit}exec "$@" 3>&1 1>&2`, "sh"] : []),
    node.path,
    ...(node.hasPermissions ? permissionFlags(node, modules.readablePaths) : []),
    ...["--no-warnings", `--max-old-space-size=${memoryMiB}`, "--stack-trace-limit=50"],
    modules.executorPath,
    shell ? "3" : "1",
  ];
  const { folder } = modules;
  return { program: program!, args, variables: machineVariables(), folder, leadsGroup: true };
}

/** What programs expect to find wherever they run (function-abi 20). */
function machineVariables(): Record<string, string> {
  const systemRoot = hostVariable("SystemRoot");
  return {
    PATH: hostVariable("PATH") ?? "",
    TMPDIR: temporaryFolder,
    LANG: "en_US.UTF-8",
    TZ: "UTC",
    ...(systemRoot === undefined ? {} : { SystemRoot: systemRoot }),
  };
}
