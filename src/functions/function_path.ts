/** The name of a function as clients write it: `dir/mod:fn`, `dir/mod`, `dir/mod.js:fn` (http-api 23). */
import { RequestError } from "../errors.ts";

export interface FunctionPath {
  /** Module path with `.js`. */
  readonly module: string;
  /** Name of the export; `default` when the client names none. */
  readonly name: string;
}

const componentLengthMax = 64;

/** @throws RequestError that says why `text` is no path to a function. */
export function parseFunctionPath(text: string): FunctionPath {
  const colon = text.lastIndexOf(":");
  const modulePath = colon < 0 ? text : text.slice(0, colon);
  const name = colon < 0 ? "default" : text.slice(colon + 1);
  const fault = moduleFault(modulePath) ?? nameFault(name);
  if (fault !== undefined) {
    throw new RequestError(
      "badRequest",
      "BadConvexFunctionIdentifier",
      `${text} is not a valid path to a Convex function. ${fault}`,
    );
  }
  return { module: modulePath.endsWith(".js") ? modulePath : `${modulePath}.js`, name };
}

/** `dir/mod:fn`, or `dir/mod` for a default export: how logs and messages name a function. */
export function displayPath({ module, name }: FunctionPath): string {
  const path = module.slice(0, -".js".length);
  return name === "default" ? path : `${path}:${name}`;
}

/** `dir/mod.js:fn`: the form in texts about types and in stored names. */
export function fullPath({ module, name }: FunctionPath): string {
  return `${module}:${name}`;
}

function moduleFault(path: string): string | undefined {
  if (path === "") return "The module path is empty.";
  if (path.startsWith("/")) return "Module paths must be relative.";
  const components = path.split("/");
  for (const component of components) {
    if (!/^[A-Za-z0-9_.]*[A-Za-z0-9][A-Za-z0-9_.]*$/.test(component)) {
      return `Path component ${component} can only contain letters, digits, underscores and periods, ` +
        "and needs a letter or a digit.";
    }
    if (component.length > componentLengthMax) {
      return `Path component is too long (${component.length} > maximum ${componentLengthMax}).`;
    }
  }
  const file = components.at(-1)!;
  if (file.includes(".") && !file.endsWith(".js")) {
    return `Module path ${path} has an extension that isn't 'js'.`;
  }
  return undefined;
}

function nameFault(name: string): string | undefined {
  if (/^_*[A-Za-z][A-Za-z0-9_]*$|^_+[0-9][A-Za-z0-9_]*$/.test(name)) {
    return name.length <= componentLengthMax
      ? undefined
      : `Function name is too long (${name.length} > maximum ${componentLengthMax}).`;
  }
  return `Function name ${JSON.stringify(name)} is not an identifier.`;
}
