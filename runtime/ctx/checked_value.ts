/** Values that user code hands over besides documents. */
import { DeveloperError } from "../../src/errors.ts";
import { type EncodedValue, encodeValue, parseValue, type Value } from "../../src/values/value.ts";

/** The canonical form of a value. @throws Error with the text of the function library. */
export function encodeChecked(value: unknown): EncodedValue {
  try {
    return encodeValue(value);
  } catch (error) {
    throw error instanceof DeveloperError ? new Error(error.message) : error;
  }
}

/** A value in an index range or a filter; undefined stands for a missing field. */
export function checkedValue(value: unknown): Value | undefined {
  if (value === undefined) return undefined;
  const { json } = encodeChecked(value);
  // Nobody can change a scalar afterwards.
  return typeof value === "object" && value !== null ? parseValue(json) : value as Value;
}
