/** The name of a function as clients write it: `dir/mod:fn`, `dir/mod`, `dir/mod.js:fn` (http-api 23). */
import { RequestError } from "../errors.ts";
import { type FunctionPath, parseFunctionName } from "../isolate/function_address.ts";

const segmentLengthMax = 64;

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
  return parseFunctionName(text);
}

function moduleFault(path: string): string | undefined {
  if (path === "") return "The module path is empty.";
  if (path.startsWith("/")) return "Module paths must be relative.";
  const segments = path.split("/");
  for (const segment of segments) {
    if (!/^[A-Za-z0-9_.]*[A-Za-z0-9][A-Za-z0-9_.]*$/.test(segment)) {
      return `Path component ${segment} can only contain letters, digits, underscores and periods, ` +
        "and needs a letter or a digit.";
    }
    if (segment.length > segmentLengthMax) {
      return `Path component is too long (${segment.length} > maximum ${segmentLengthMax}).`;
    }
  }
  const file = segments.at(-1)!;
  if (file.includes(".") && !file.endsWith(".js")) {
    return `Module path ${path} has an extension that isn't 'js'.`;
  }
  return undefined;
}

function nameFault(name: string): string | undefined {
  if (/^_*[A-Za-z][A-Za-z0-9_]*$|^_+[0-9][A-Za-z0-9_]*$/.test(name)) {
    return name.length <= segmentLengthMax
      ? undefined
      : `Function name is too long (${name.length} > maximum ${segmentLengthMax}).`;
  }
  return `Function name ${JSON.stringify(name)} is not an identifier.`;
}
