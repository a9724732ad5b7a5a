/** Values that user code hands over besides documents. */
import { DeveloperError } from "../../src/errors.ts";
import { type EncodedValue, encodeValue, parseValue, type Value } from "../../src/values/value.ts";

/** The canonical form of a value. @throws Error with the text of the function library. */
export function encodeChecked(value: unknown): EncodedValue {
  return checked(encodeValue, value);
}

/** What a check of the engine makes of `value`. @throws Error, as user code may see it. */
export function checked<T>(check: (value: unknown) => T, value: unknown): T {
  try {
    return check(value);
  } catch (error) {
    throw error instanceof DeveloperError ? new Error(error.message) : error;
  }
}

/** The same of what must be known before the commit; `purpose` says in an error what it is for. */
export function encodeResolved(value: unknown, purpose: string): EncodedValue {
  const encoded = encodeChecked(value);
  if (!encoded.isUnresolved) return encoded;
  throw new Error(
    `A commit timestamp that is not known yet (\`db.vars.commitTs\`) cannot be used in ${purpose}`,
  );
}

/** A value in an index range; undefined stands for a missing field. */
export function checkedValue(value: unknown): Value | undefined {
  return value === undefined ? undefined : copyOf(value, encodeChecked(value));
}

/** A value in a filter; undefined stands for a missing field. */
export function filterValue(value: unknown): Value | undefined {
  return value === undefined ? undefined : copyOf(value, encodeResolved(value, "filters"));
}

function copyOf(value: unknown, { json }: EncodedValue): Value {
  // Nobody can change a scalar afterwards.
  if (typeof value !== "object" || value === null) return value as Value;
  return parseValue(json, { inMutation: true });
}
