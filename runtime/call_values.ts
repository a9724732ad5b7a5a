/** What goes into a function and comes out of it, with the checks of semantics 8. */
import { errorMessage } from "../src/errors.ts";
import { formatBytes } from "../src/values/limits.ts";
import { sizeOf } from "../src/values/size.ts";
import {
  checkArguments,
  checkReturns,
  type TableNames,
  type Validator,
} from "../src/values/validator.ts";
import { type EncodedValue, encodeValue, parseValue, type Value } from "../src/values/value.ts";
import { type ConvexErrorClass, HostFailure, toUserError } from "./failure.ts";
import { debugName, type FunctionPath } from "../src/isolate/function_address.ts";

/** Of the arguments of a call, and of its result. */
export const callBytesMax = 16 * 1024 * 1024;
/** A value counts at most this many bytes for each character of its JSON: `1,` counts nine. */
const bytesPerCharacterMax = 5;

export interface ParsedArguments {
  readonly args: Value[];
  /** Their size, or 0 where it is far from its limit: it is not worth counting. */
  readonly bytes: number;
}

/** @throws HostFailure when `json` is no array of values, or too large. */
export function parseArguments(json: string, path: FunctionPath): ParsedArguments {
  const args = parse(json, path);
  if (json.length * bytesPerCharacterMax < callBytesMax / 2) return { args, bytes: 0 };
  const bytes = sizeOf(args);
  if (bytes <= callBytesMax) return { args, bytes };
  throw new HostFailure(
    `Arguments for ${debugName(path)} are too large (actual: ${formatBytes(bytes)}, limit: ${
      formatBytes(callBytesMax)
    })`,
  );
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

/** @throws HostFailure when the arguments do not match. `tables` is asked for only if there is a validator. */
export function validateArguments(
  validator: Validator | null,
  args: readonly Value[],
  tables: () => TableNames,
): void {
  const problem = validator && checkArguments(validator, args, tables());
  if (problem !== null) throw new HostFailure(problem);
}

export interface ResultRules {
  readonly path: FunctionPath;
  readonly validator: Validator | null;
  readonly tables: () => TableNames;
  /** For what is thrown when the result is no value. */
  readonly convexError: ConvexErrorClass | null;
  /** Whether it may hold a commit timestamp that is not known yet; otherwise not. */
  readonly mayBeUnresolved?: boolean;
}

/**
 * The canonical form of what a handler returned.
 * @throws HostFailure when it is not allowed, or what user code in it throws.
 */
export function encodeResult(result: unknown, rules: ResultRules): EncodedValue {
  const encoded = encode(result === undefined ? null : result, rules);
  const { json, bytes, isUnresolved } = encoded;
  if (isUnresolved && rules.mayBeUnresolved !== true) {
    throw new HostFailure(
      `Function ${
        debugName(rules.path)
      } return value invalid: queries cannot return an unresolved commit timestamp`,
    );
  }
  if (bytes > callBytesMax) {
    throw new HostFailure(
      `Function ${debugName(rules.path)} return value is too large (actual: ${
        formatBytes(bytes)
      }, limit: ${formatBytes(callBytesMax)})`,
    );
  }
  const { validator, tables } = rules;
  const problem = validator &&
    checkReturns(validator, parseValue(json, { inMutation: true }), tables());
  if (problem !== null) throw new HostFailure(problem);
  return encoded;
}

function encode(result: unknown, { convexError }: ResultRules) {
  try {
    return encodeValue(result);
  } catch (error) {
    throw toUserError(error, convexError);
  }
}
