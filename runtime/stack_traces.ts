/**
 * Stacks as the author knows the code (semantics 12, A2): positions in the original files, only frames that
 * have one, none of the function library at either end, no line with the error's name and message.
 */
import type { SourceMap } from "./source_map.ts";

interface Frame {
  readonly text: string;
  readonly isLibrary: boolean;
}

export class StackTraces {
  /** By the file name that a script was compiled under. */
  readonly #maps = new Map<string, SourceMap>();

  /** Makes `error.stack` read so. */
  install(): void {
    Error.prepareStackTrace = (_error, callSites) => this.render(callSites as CallSite[]);
  }

  /** A fault of ours with the stack as it is: none of its frames lead to the author's files. */
  describeFault(fault: unknown): string {
    const hooks: { prepareStackTrace?: unknown } = Error;
    const { prepareStackTrace } = hooks;
    hooks.prepareStackTrace = undefined;
    try {
      return fault instanceof Error ? fault.stack ?? fault.message : String(fault);
    } finally {
      hooks.prepareStackTrace = prepareStackTrace;
    }
  }

  add(fileName: string, map: SourceMap): void {
    this.#maps.set(fileName, map);
  }

  remove(fileName: string): void {
    this.#maps.delete(fileName);
  }

  render(callSites: readonly CallSite[]): string {
    const frames = callSites.map((site) => this.#frame(site)).filter((frame) => frame !== null);
    const first = frames.findIndex(({ isLibrary }) => !isLibrary);
    const last = frames.findLastIndex(({ isLibrary }) => !isLibrary);
    if (first === -1) return "";
    return frames.slice(first, last + 1).map(({ text }) => text).join("\n");
  }

  #frame(site: CallSite): Frame | null {
    if (site.isPromiseAll()) {
      return {
        text: `    at async Promise.all (index ${site.getPromiseIndex()})`,
        isLibrary: false,
      };
    }
    const map = this.#maps.get(site.getFileName() ?? "");
    const position = map?.lookUp(site.getLineNumber() ?? 0, site.getColumnNumber() ?? 0);
    if (position === undefined) return null;
    const { source, line, column } = position;
    const location = `${source}:${line}:${column}`;
    const caller = callerText(site);
    const prefix = site.isAsync() ? "async " : "";
    return {
      text: `    at ${prefix}${caller === "" ? location : `${caller} (${location})`}`,
      isLibrary: /(^|\/)node_modules\/convex\/src\/server\//.test(source),
    };
  }
}

/** Who runs in a frame, in the words of V8; empty for code that has no name. */
function callerText(site: CallSite): string {
  const functionName = site.getFunctionName() ?? "";
  if (site.isConstructor()) return `new ${functionName || "<anonymous>"}`;
  const typeName = site.isToplevel() ? null : site.getTypeName();
  if (typeName === null) return functionName;
  const methodName = site.getMethodName();
  if (functionName === "") return `${typeName}.${methodName ?? "<anonymous>"}`;
  const qualified = functionName.startsWith(typeName)
    ? functionName
    : `${typeName}.${functionName}`;
  const isAlias = methodName !== null && !qualified.endsWith(methodName);
  return isAlias ? `${qualified} [as ${methodName}]` : qualified;
}

/** V8's description of one frame. */
interface CallSite {
  getTypeName(): string | null;
  getFunctionName(): string | null;
  getMethodName(): string | null;
  getFileName(): string | null | undefined;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
  isToplevel(): boolean;
  isConstructor(): boolean;
  isAsync(): boolean;
  isPromiseAll(): boolean;
  getPromiseIndex(): number | null;
}
