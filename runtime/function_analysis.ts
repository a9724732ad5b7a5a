/** The functions among what a module exports (function-abi 21.2), in whichever runtime it was evaluated. */
import type { AnalyzedFunction } from "../src/isolate/protocol.ts";
import { HostFailure } from "./failure.ts";
import type { FunctionPositions } from "./function_positions.ts";
import type { RegisteredFunction } from "./registered_function.ts";

type Exports = Readonly<Record<string, unknown>>;

/** In the order in which the author wrote them. @throws HostFailure */
export function analyzeExports(
  exports: Exports,
  path: string,
  positions: FunctionPositions,
): AnalyzedFunction[] {
  const functions = Object.keys(exports).flatMap((name) => {
    const analyzed = analyzeExport(exports[name], path, name, positions);
    return analyzed === null ? [] : [analyzed];
  });
  functions.sort((a, b) =>
    (a.position?.line ?? Infinity) - (b.position?.line ?? Infinity) ||
    (a.position?.column ?? 0) - (b.position?.column ?? 0) || 0
  );
  return functions;
}

/** Null for an export that is no function of the app. */
function analyzeExport(
  value: unknown,
  path: string,
  name: string,
  positions: FunctionPositions,
): AnalyzedFunction | null {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return null;
  const types = [["isQuery", "Query"], ["isMutation", "Mutation"], ["isAction", "Action"]] as const;
  const found = types.filter(([flag]) => flag in value);
  const isBoth = "isPublic" in value && "isInternal" in value;
  if (found.length !== 1 || isBoth) return null;
  const registered = value as RegisteredFunction;
  if (registered._handler !== undefined && typeof registered._handler !== "function") {
    throw new HostFailure(`${path}:${name}.handler is not a function.`);
  }
  return {
    name,
    udfType: found[0]![1],
    visibility: "isPublic" in value ? "public" : "isInternal" in value ? "internal" : null,
    args: analyzeArgs(registered, path, name),
    returns: exported(registered, "exportReturns", path, name),
    position: positions.find(registered._handler ?? value),
  };
}

function analyzeArgs(registered: RegisteredFunction, path: string, name: string): string | null {
  const json = exported(registered, "exportArgs", path, name);
  const type = json === null ? "any" : JSON.parse(json)?.type;
  if (type !== "object" && type !== "any") {
    throw new HostFailure("Args validator must be an object or any");
  }
  return json;
}

/** Validator JSON, or null when the function exports none. */
function exported(
  registered: RegisteredFunction,
  method: "exportArgs" | "exportReturns",
  path: string,
  name: string,
): string | null {
  const exporter = registered[method];
  if (exporter === undefined) return null;
  const place = `${path}:${name}.${method}`;
  if (typeof exporter !== "function") {
    throw new HostFailure(`${place} is not a function or \`undefined\`.`);
  }
  const json = exporter.call(registered);
  if (typeof json !== "string") {
    throw new HostFailure(
      `Invalid ${method} return value: ${place}() didn't return a string.`,
    );
  }
  try {
    return JSON.parse(json) === null ? null : json;
  } catch (error) {
    throw new HostFailure(`Invalid JSON returned from ${place}(): ${error}`);
  }
}
