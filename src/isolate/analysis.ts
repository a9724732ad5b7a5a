/**
 * Evaluates the isolate modules of a push, in an isolate of its own that ends afterwards: a module that hangs or
 * fills the memory disturbs nobody.
 */
import type { Config } from "../config.ts";
import { RequestError } from "../errors.ts";
import type { Death, IsolateListener } from "./isolate.ts";
import { deathMessage, timeoutMessage } from "./outcomes.ts";
import type { PooledIsolate } from "./pool.ts";
import type { AnalysisResult, DeploymentManifest } from "./protocol.ts";

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
  const end = await analyzeOnce({ ...manifest, modules }, spawn);
  if ("kind" in end) return end;
  // The isolate died; in which module, it could not say.
  for (const module of modules) {
    const alone = await analyzeOnce({ ...manifest, modules: [module] }, spawn);
    if (!("kind" in alone)) {
      return { kind: "failure", module: module.path, message: analysisDeath(alone, config) };
    }
    if (alone.kind === "failure") return alone;
  }
  const message = analysisDeath(end, config);
  return { kind: "failure", module: modules[0]?.path ?? "", message };
}

function analyzeOnce(
  deployment: DeploymentManifest,
  spawn: Spawn,
): Promise<AnalysisResult | Death> {
  return new Promise((resolve, reject) => {
    const isolate = spawn({
      message(message) {
        if (message.type === "ready") {
          isolate.send({ type: "analyze", callId: onlyCallId, deployment });
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
