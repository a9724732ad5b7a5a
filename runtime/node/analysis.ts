/** What a push learns about one Node module (function-abi 21.2). */
import type { AnalysisResult } from "../../src/isolate/protocol.ts";
import { describeFailure, HostFailure } from "../failure.ts";
import { analyzeExports } from "../function_analysis.ts";
import { FunctionPositions } from "../function_positions.ts";
import { collectPrinted } from "./console.ts";
import type { UserModules } from "./user_modules.ts";

const printedLinesMax = 100;

/** Never rejects. */
export async function analyzeModule(modules: UserModules, path: string): Promise<AnalysisResult> {
  const [result, printed] = await collectPrinted(async (): Promise<AnalysisResult> => {
    try {
      const exports = await modules.import(path);
      const functions = analyzeExports(exports, path, new FunctionPositions(modules.text(path)));
      const wrong = functions.find(({ udfType }) => udfType !== "Action");
      if (wrong !== undefined) {
        throw new HostFailure(
          `\`${wrong.name}\` defined in \`${path}\` is a ${wrong.udfType} function. Only actions can be defined in Node.js. See https://docs.convex.dev/functions/actions for more details.`,
        );
      }
      const module = { functions, httpRoutes: null, crons: null, exported: null };
      return { kind: "success", modules: { [path]: module } };
    } catch (error) {
      const { message, frames } = describeFailure(error);
      return { kind: "failure", module: path, message: [message, ...frames].join("\n") };
    }
  });
  if (result.kind === "success" || printed.length === 0) return result;
  const lines = printed.slice(-printedLinesMax).join("\n");
  return { ...result, message: `${result.message}\n\n${lines}` };
}
