/** Functions as the function library registers them (function-abi 2). */
import type { FunctionKind } from "../src/isolate/protocol.ts";
import { debugName, type FunctionPath } from "../src/isolate/function_address.ts";
import { HostFailure } from "./failure.ts";
import type { Exports } from "./module_loader.ts";

export interface RegisteredFunction {
  readonly isQuery?: unknown;
  readonly isMutation?: unknown;
  readonly isAction?: unknown;
  readonly isHttp?: unknown;
  readonly isPublic?: unknown;
  readonly isInternal?: unknown;
  /** The user's own function, to be called with a `ctx`. */
  readonly _handler?: unknown;
  readonly invokeQuery?: (args: string) => Promise<string>;
  readonly invokeMutation?: (args: string) => Promise<string>;
  readonly invokeAction?: (requestId: string, args: string) => Promise<string>;
  readonly exportArgs?: unknown;
  readonly exportReturns?: unknown;
}

type Handler = (ctx: unknown, ...args: unknown[]) => unknown;

const kindNames = { query: "Query", mutation: "Mutation", action: "Action" } as const;

/**
 * The export that a path names, which must be of the wanted kind.
 * @throws HostFailure that says what it is instead.
 */
export function findFunction(
  exports: Exports,
  path: FunctionPath,
  wanted: Exclude<FunctionKind, "httpAction">,
): RegisteredFunction {
  const found = Object.hasOwn(exports, path.export) ? exports[path.export] : undefined;
  if (found === undefined) {
    throw new HostFailure(`Couldn't find "${path.export}" in module "${path.module}".`);
  }
  const kind = kindOf(found);
  if (kind === wanted) return found as RegisteredFunction;
  const name = debugName(path);
  throw new HostFailure(
    kind === null
      ? `Function ${name} is neither a query or mutation. Did you forget to wrap it with \`query\` or \`mutation\`?`
      : `Trying to execute ${name} as ${kindNames[wanted]}, but it is defined as ${
        kindNames[kind]
      }.`,
  );
}

function kindOf(found: unknown): keyof typeof kindNames | null {
  if (typeof found !== "function" && (typeof found !== "object" || found === null)) return null;
  const { isQuery, isMutation, isAction } = found as RegisteredFunction;
  if (isQuery === true) return "query";
  if (isMutation === true) return "mutation";
  return isAction === true ? "action" : null;
}

/** The user's function; null when there is only the library's wrapper. */
export function handlerOf({ _handler }: RegisteredFunction): Handler | null {
  return typeof _handler === "function" ? _handler as Handler : null;
}

export function visibilityOf({ isPublic, isInternal }: RegisteredFunction) {
  if (isPublic === true) return "public";
  return isInternal === true ? "internal" : null;
}

/** Validator JSON that a function exports; null when it exports none. */
export function exportedValidator(
  registered: RegisteredFunction,
  name: "exportArgs" | "exportReturns",
): string | null {
  const exporter = registered[name];
  return typeof exporter === "function" ? String(exporter.call(registered)) : null;
}
