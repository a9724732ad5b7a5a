/** The arguments of a call as they arrive (semantics 8.1). */
import { errorMessage } from "../src/errors.ts";
import { formatBytes } from "../src/values/limits.ts";
import { sizeOf } from "../src/values/size.ts";
import { parseValue, type Value } from "../src/values/value.ts";
import { HostFailure } from "./failure.ts";
import { debugName, type FunctionPath } from "./function_address.ts";

const bytesMax = 16 * 1024 * 1024;
/** A value counts at most this many bytes for each character of its JSON: `1,` counts nine. */
const bytesPerCharacterMax = 5;

/** @throws HostFailure when `json` is no array of values, or too large. */
export function parseArguments(json: string, path: FunctionPath): Value[] {
  const args = parse(json, path);
  if (json.length * bytesPerCharacterMax > bytesMax && sizeOf(args) > bytesMax) {
    throw new HostFailure(
      `Arguments for ${debugName(path)} are too large (actual: ${
        formatBytes(sizeOf(args))
      }, limit: ${formatBytes(bytesMax)})`,
    );
  }
  return args;
}

function parse(json: string, path: FunctionPath): Value[] {
  try {
    const args = parseValue(json);
    if (Array.isArray(args)) return args;
  } catch (error) {
    throw new HostFailure(`Invalid arguments for ${debugName(path)}: ${errorMessage(error)}`);
  }
  throw new HostFailure(`Invalid arguments for ${debugName(path)}: expected an array`);
}
