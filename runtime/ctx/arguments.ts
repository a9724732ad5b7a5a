/** Checks of what user code passes to `ctx`, with the texts of the function library. */
import { isPlainObject } from "../../src/values/value.ts";

export function requireArgument(
  value: unknown,
  position: number,
  method: string,
  name: string,
): void {
  if (value === undefined) {
    throw new TypeError(`Must provide arg ${position} \`${name}\` to \`${method}\``);
  }
}

/** The arguments of a function that is called or scheduled; none means `{}`. */
export function functionArguments(args: unknown): Record<string, unknown> {
  if (args === undefined) return {};
  if (!isPlainObject(args)) {
    throw new Error(`The arguments to a Convex function must be an object. Received: ${args}`);
  }
  return args;
}
