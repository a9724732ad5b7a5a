/** Bounds of the data model itself (semantics 4.1, 4.2): part of the contract with apps, so not configurable. */
import { DeveloperError } from "../errors.ts";

export const valueBytesMax = 32 * 1024 * 1024;
const valueNestingMax = 64;
export const documentBytesMax = 1024 * 1024;
export const documentNestingMax = 16;
const arrayLengthMax = 8192;
const objectFieldsMax = 1024;
const fieldNameLengthMax = 1024;
const identifierLengthMax = 64;

/** A size for people, in binary units: `1.25 MiB`, `32 MiB`, `17 B`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  let amount = bytes;
  for (; amount >= 1024 && unit < units.length - 1; unit++) amount /= 1024;
  return `${Number.isInteger(amount) ? amount : amount.toFixed(2)} ${units[unit]}`;
}

/** @throws DeveloperError when a value of this size may not exist. */
export function checkValueSize(bytes: number, bytesMax: number = valueBytesMax): void {
  if (bytes <= bytesMax) return;
  throw new DeveloperError(
    "ValueTooLargeError",
    `Value is too large (${formatBytes(bytes)} > maximum size ${formatBytes(bytesMax)})`,
  );
}

export function checkValueNesting(nesting: number): void {
  if (nesting <= valueNestingMax) return;
  throw new DeveloperError(
    "TooNestedError",
    `Value is too nested (nested ${nesting} levels deep > maximum nesting ${valueNestingMax})`,
  );
}

export function checkArrayLength(length: number): void {
  if (length <= arrayLengthMax) return;
  throw new DeveloperError(
    "ArrayTooLong",
    `Array length is too long (${length} > maximum length ${arrayLengthMax})`,
  );
}

export function checkFieldCount(count: number): void {
  if (count <= objectFieldsMax) return;
  throw new DeveloperError(
    "TooManyFieldsError",
    `Object has too many fields (${count} > maximum number ${objectFieldsMax})`,
  );
}

const validFieldName = /^(?!\$)[\x20-\x7e]{0,1024}$/;

/** @throws DeveloperError when no object may have a field of this name (http-api 78). */
export function checkFieldName(name: string): void {
  if (validFieldName.test(name)) return;
  if (name.length > fieldNameLengthMax) {
    throw invalidFieldName(
      `Field name is too long (${name.length} > maximum ${fieldNameLengthMax})`,
    );
  }
  if (name.startsWith("$")) {
    throw invalidFieldName(`Field name ${name} starts with '$', which is reserved.`);
  }
  const invalid = [...name].find((character) => !/^[\x20-\x7e]$/.test(character));
  throw invalidFieldName(
    `Field name ${name} has invalid character '${invalid}': Field names can only contain non-control ASCII characters`,
  );
}

function invalidFieldName(message: string): DeveloperError {
  return new DeveloperError("InvalidFieldName", message);
}

/** What is wrong with the name of a table, index or function (semantics 4.2); null if nothing is. */
export function identifierProblem(name: string): string | null {
  if (name === "") return "Identifier cannot be empty";
  const [first] = name;
  if (!/^[A-Za-z_]/.test(name)) {
    return `Invalid first character '${first}' in ${name}: Identifiers must start with an alphabetic character or underscore`;
  }
  const invalid = [...name].find((character) => !/^[A-Za-z0-9_]$/.test(character));
  if (invalid !== undefined) {
    return `Identifier ${name} has invalid character '${invalid}': Identifiers can only contain alphanumeric characters or underscores`;
  }
  if (name.length > identifierLengthMax) {
    return `Identifier is too long (${name.length} > maximum ${identifierLengthMax})`;
  }
  if (/^_+$/.test(name)) return `Identifier ${name} cannot have exclusively underscores`;
  return null;
}
