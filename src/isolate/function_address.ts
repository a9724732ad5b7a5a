/** How functions name each other: by name, by reference or by handle (function-abi 12, components 6). */
import type { ComponentId } from "../database/component.ts";
import { DeveloperError } from "../errors.ts";
import type { ComponentTree } from "./component_tree.ts";
import type { FunctionHandles } from "./function_handles.ts";

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

/** The function that an address means. */
export interface FunctionTarget {
  readonly component: ComponentId;
  readonly path: FunctionPath;
  /** A child shows its public functions to its parent; whoever has a name or a handle may call the function. */
  readonly mustBePublic: boolean;
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

/**
 * The function that a function of component `from` means; whether there is one remains to be seen.
 * @throws DeveloperError when the address leads nowhere.
 */
export function resolveAddress(
  { name, functionHandle, reference }: FunctionAddress,
  from: ComponentId,
  tree: ComponentTree,
  handles: FunctionHandles,
): FunctionTarget {
  if (typeof name === "string") {
    return { component: from, path: parseFunctionName(name), mustBePublic: false };
  }
  if (typeof functionHandle === "string") {
    const opened = handles.open(functionHandle);
    if (opened === null || !tree.has(opened.component)) throw handleNotFound();
    return { ...opened, mustBePublic: false };
  }
  if (typeof reference === "string") return resolveReference(reference, from, tree);
  throw new DeveloperError("InvalidArgument", "Missing required argument 'name'");
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

/** The path that `dir/mod:fn`, `dir/mod.js:fn` or `dir/mod` names. */
export function parseFunctionName(name: string): FunctionPath {
  const colon = name.lastIndexOf(":");
  const path = colon === -1 ? name : name.slice(0, colon);
  const module = path.endsWith(".js") ? path : `${path}.js`;
  return { module, export: colon === -1 ? "default" : name.slice(colon + 1) };
}

/** What is said of a handle whose function is not there (any more). */
export function handleNotFound(): DeveloperError {
  return new DeveloperError("FunctionHandleNotFound", "Function handle not found");
}

/** What is said of a child's function that is not there, or that the child keeps to itself. */
export function notExported(component: string, { module, export: name }: FunctionPath) {
  const attributes = [...module.replace(/\.js$/, "").split("/"), name];
  return new DeveloperError(
    "InvalidReference",
    `Child component ${component} does not export [${attributes.join(", ")}]`,
  );
}

/** `_reference/function/dir/mod:fn` or `_reference/childComponent/child/dir/mod/fn`. */
function resolveReference(
  reference: string,
  from: ComponentId,
  tree: ComponentTree,
): FunctionTarget {
  const [prefix, kind, ...rest] = reference.split("/");
  if (prefix === "_reference" && kind === "function" && rest.length > 0) {
    return { component: from, path: parseFunctionName(rest.join("/")), mustBePublic: false };
  }
  const [childName, ...attributes] = rest;
  if (prefix !== "_reference" || kind !== "childComponent" || childName === undefined) {
    throw new DeveloperError("InvalidReference", `Couldn't resolve ${reference}`);
  }
  const child = tree.child(from, childName);
  if (child === undefined) {
    throw new DeveloperError("InvalidReference", `Child component ${childName} not found`);
  }
  const name = attributes.pop() ?? "";
  const path = { module: `${attributes.join("/")}.js`, export: name };
  return { component: child.id, path, mustBePublic: true };
}
