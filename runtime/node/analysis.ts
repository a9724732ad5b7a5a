/** What a push learns about one Node module (function-abi 21.2). */
import type { AnalysisResult, AnalyzedFunction } from "../../src/isolate/protocol.ts";
import { describeFailure, HostFailure } from "../failure.ts";
import { collectPrinted } from "./console.ts";
import type { UserModules } from "./user_modules.ts";

const printedLinesMax = 100;
const flags = ["isQuery", "isMutation", "isAction"] as const;

/** Never rejects. */
export async function analyzeModule(modules: UserModules, path: string): Promise<AnalysisResult> {
  const [result, printed] = await collectPrinted(async (): Promise<AnalysisResult> => {
    try {
      const functions = findActions(path, await modules.import(path));
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

function findActions(
  path: string,
  exports: Readonly<Record<string, unknown>>,
): AnalyzedFunction[] {
  const found: AnalyzedFunction[] = [];
  for (const [name, value] of Object.entries(exports)) {
    if ((typeof value !== "object" && typeof value !== "function") || value === null) continue;
    const kinds = flags.filter((flag) => flag in value);
    if (kinds.length !== 1) continue;
    const udfType = kinds[0]!.slice(2) as AnalyzedFunction["udfType"];
    if (udfType !== "Action") {
      throw new HostFailure(
        `\`${name}\` defined in \`${path}\` is a ${udfType} function. Only actions can be defined in Node.js. See https://docs.convex.dev/functions/actions for more details.`,
      );
    }
    const isPublic = "isPublic" in value, isInternal = "isInternal" in value;
    if (isPublic && isInternal) continue;
    const visibility = isPublic ? "public" : isInternal ? "internal" : null;
    const args = exportedJson(path, name, value, "exportArgs");
    const returns = exportedJson(path, name, value, "exportReturns");
    found.push({ name, udfType, visibility, args, returns, position: null });
  }
  return found;
}

/** JSON text of a validator; null when the function has none. */
function exportedJson(
  path: string,
  name: string,
  value: object,
  method: "exportArgs" | "exportReturns",
): string | null {
  const where = `${path}:${name}.${method}`;
  const exporter: unknown = Reflect.get(value, method);
  if (exporter === undefined) return null;
  if (typeof exporter !== "function") {
    throw new HostFailure(`${where} is not a function or \`undefined\`.`);
  }
  const json: unknown = exporter.call(value);
  if (typeof json !== "string") {
    throw new HostFailure(
      `Invalid ${method} return value: ${where}() didn't return a string.`,
    );
  }
  try {
    return JSON.parse(json) === null ? null : json;
  } catch (error) {
    throw new HostFailure(`Invalid JSON returned from ${where}(): ${error}`);
  }
}
