/** How functions name each other (function-abi 12). */
import { toHex } from "../src/values/bytes_text.ts";

/** What the function library makes of a reference. */
export interface FunctionAddress {
  readonly name?: string | undefined;
  readonly functionHandle?: string | undefined;
  readonly reference?: string | undefined;
}

export interface FunctionPath {
  /** `dir/mod.js` */
  readonly module: string;
  readonly export: string;
}

const functionName = Symbol.for("functionName");
const toReferencePath = Symbol.for("toReferencePath");
const handlePrefix = "function://";

/** The address of `api.dir.mod.fn`, of a string, or of a component's function. */
export function addressOf(reference: unknown): FunctionAddress {
  if (typeof reference === "string") {
    return reference.startsWith(handlePrefix) ? { functionHandle: reference } : { name: reference };
  }
  const { [functionName]: name, [toReferencePath]: path } = reference as Record<symbol, string>;
  if (name) return { name };
  if (path) return { reference: path };
  throw new Error(`${reference} is not a functionReference`);
}

/** @throws Error when the address names no function of the app. */
export function parseAddress({ name, functionHandle, reference }: FunctionAddress): FunctionPath {
  if (typeof name === "string") return parseFunctionName(name);
  if (typeof functionHandle === "string") return parseHandle(functionHandle);
  if (typeof reference === "string") return parseReference(reference);
  throw new Error("Missing required argument 'name'");
}

/** `dir/mod:fn`, or `dir/mod` for a default export. */
export function displayName({ module, export: name }: FunctionPath): string {
  const path = module.replace(/\.js$/, "");
  return name === "default" ? path : `${path}:${name}`;
}

/** `dir/mod.js:fn`, as in error texts and stored names. */
export function debugName({ module, export: name }: FunctionPath): string {
  return `${module}:${name}`;
}

/** A text that names a function wherever it is sent; the same every time. */
export function functionHandle(path: FunctionPath): string {
  const name = displayName(path);
  return `${handlePrefix}${toHex(new TextEncoder().encode(name))}#${name}`;
}

function parseFunctionName(name: string): FunctionPath {
  const colon = name.lastIndexOf(":");
  const path = colon === -1 ? name : name.slice(0, colon);
  const module = path.endsWith(".js") ? path : `${path}.js`;
  return { module, export: colon === -1 ? "default" : name.slice(colon + 1) };
}

function parseHandle(handle: string): FunctionPath {
  const name = /^function:\/\/[^#]*#(.+)$/.exec(handle)?.[1];
  if (name === undefined) throw new Error("Function handle not found");
  return parseFunctionName(name);
}

/** `_reference/function/dir/mod:fn`; others lead into components. */
function parseReference(reference: string): FunctionPath {
  const path = /^_reference\/function\/(.+)$/.exec(reference)?.[1];
  if (path === undefined) throw new Error(`Couldn't resolve ${reference}`);
  return parseFunctionName(decodeURIComponent(path));
}
