import type { ActionHost, CallResult } from "./isolates.ts";
import type { AnalysisResult, DeploymentManifest, FunctionCall } from "./protocol.ts";
import type { IsolatesOptions } from "./start_isolates.ts";
export class NodeExecutor {
  constructor(_options: IsolatesOptions) {}
  get processIds(): number[] {
    return [];
  }
  retire(_d: string) {}
  run(
    _m: DeploymentManifest,
    _c: FunctionCall,
    _b: Uint8Array,
    _h: ActionHost,
  ): Promise<CallResult> {
    throw new Error("not yet");
  }
  analyze(_m: DeploymentManifest): Promise<AnalysisResult> {
    return Promise.resolve({ kind: "success", modules: {} });
  }
  async close() {}
}
