/** Evaluates the Node modules of a push one after the other, in a process that ends afterwards. */
import type { Config } from "../config.ts";
import type { Environment } from "../environment.ts";
import type { NodeInstallation } from "./node_installations.ts";
import { NodeProcess } from "./node_process.ts";
import type { LaidOutModules } from "./node_program.ts";
import { timeoutMessage } from "./outcomes.ts";
import type { AnalysisResult, ModuleEntry } from "./protocol.ts";

export interface NodeAnalysisOptions {
  readonly config: Config;
  readonly environment: Environment;
  readonly node: NodeInstallation;
  readonly modules: LaidOutModules;
}

type Analyzed = (AnalysisResult & { readonly kind: "success" })["modules"];

/** Starting Node.js and reading modules, on top of what their evaluation may take, in milliseconds. */
const startMs = 5000;

export async function analyzeNodeModules(options: NodeAnalysisOptions): Promise<AnalysisResult> {
  const { config, environment, node, modules } = options;
  const { deployment } = modules;
  let answer: (result: AnalysisResult | string) => void = () => {};
  const memoryMiB = config.nodeMemoryMiB;
  const process = new NodeProcess({ node, modules, memoryMiB, environment }, {
    message(message) {
      if (message.type === "analyzed") answer(message.result);
    },
    exited: (detail) => answer(`The Node.js process ended: ${detail}`),
  });
  const analyze = (module: ModuleEntry, callId: number) =>
    new Promise<AnalysisResult | string>((resolve) => {
      const { analysisTimeoutMs } = config;
      const cancelTimer = environment.setTimer(
        analysisTimeoutMs + startMs,
        () => resolve(timeoutMessage(analysisTimeoutMs / 1000)),
      );
      answer = (result) => {
        cancelTimer();
        resolve(result);
      };
      process.send({
        type: "analyze",
        callId,
        deployment: { ...deployment, environmentVariables: {}, modules: [module] },
      });
    });
  try {
    const all: Record<string, Analyzed[string]> = {};
    for (const [index, module] of deployment.modules.entries()) {
      // What functions share has none of its own; it is evaluated with them.
      if (module.path.startsWith("_deps/")) continue;
      const result = await analyze(module, index + 1);
      if (typeof result === "string") {
        return { kind: "failure", module: module.path, message: result };
      }
      if (result.kind === "failure") return result;
      Object.assign(all, result.modules);
    }
    return { kind: "success", modules: all };
  } finally {
    process.kill();
  }
}
