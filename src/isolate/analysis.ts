/**
 * Evaluates the isolate modules of a push, in an isolate of its own that ends afterwards: a module that hangs or
 * fills the memory disturbs nobody.
 */
import type { Config } from "../config.ts";
import { RequestError } from "../errors.ts";
import type { Death, IsolateListener } from "./isolate.ts";
import { deathMessage, timeoutMessage } from "./outcomes.ts";
import type { PooledIsolate } from "./pool_slot.ts";
import type { AnalysisResult, AnalyzedModule, DeploymentManifest } from "./protocol.ts";

type Spawn = (listener: IsolateListener) => PooledIsolate;

/** An isolate takes one analysis in its life. */
const onlyCallId = 1;

/** What the isolate modules of `manifest` export, or the first failure. */
export async function analyzeIsolateModules(
  manifest: DeploymentManifest,
  spawn: Spawn,
  config: Config,
): Promise<AnalysisResult> {
  const modules = manifest.modules.filter(({ environment }) => environment === "isolate");
  const together = await analyzeOnce({ ...manifest, modules }, spawn);
  if ("kind" in together) return together;
  // The isolate died; in which module, it could not say. It may also be that they need too much memory together,
  // which they never do again: calls load only what they import.
  const analyzed: Record<string, AnalyzedModule> = {};
  for (const { path } of modules) {
    if (path.startsWith("_deps/")) continue;
    const alone = await analyzeOnce({ ...manifest, modules }, spawn, path);
    if (!("kind" in alone)) {
      return { kind: "failure", module: path, message: analysisDeath(alone, config) };
    }
    if (alone.kind === "failure") return alone;
    Object.assign(analyzed, alone.modules);
  }
  return { kind: "success", modules: analyzed };
}

function analyzeOnce(
  deployment: DeploymentManifest,
  spawn: Spawn,
  only?: string,
): Promise<AnalysisResult | Death> {
  return new Promise((resolve, reject) => {
    const isolate = spawn({
      message(message) {
        if (message.type === "ready") {
          isolate.send({
            ...{ type: "analyze", callId: onlyCallId, deployment },
            ...only !== undefined && { only },
          });
        } else {
          isolate.terminate();
          if (message.type === "analyzed") resolve(message.result);
          else reject(new RequestError("internal", "InternalServerError", "Analysis failed"));
        }
      },
      died: resolve,
    });
  });
}

function analysisDeath({ reason, detail }: Death, config: Config): string {
  if (reason === "timeout") return timeoutMessage(config.analysisTimeoutMs / 1000);
  return deathMessage(reason, false, config) ?? `The isolate ended: ${detail}`;
}
