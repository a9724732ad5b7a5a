/** Checks of what user code passes to the methods of `ctx.db` (function-abi 4). */
import { DeveloperError } from "../errors.ts";
import { identifierProblem } from "../values/limits.ts";
import { encodeValue, isPlainObject } from "../values/value.ts";
import { isPrivateTable, systemTables } from "./catalog.ts";

/** An argument that cannot be what it is (function-abi 1.3). */
export function invalidArgument(argument: string, method: string, cause: string): DeveloperError {
  return new DeveloperError(
    "InvalidArgument",
    `Invalid argument \`${argument}\` for \`${method}\`: ${cause}`,
  );
}

/** Types do not bind user code. @throws DeveloperError when the argument is no string. */
export function checkString(value: unknown, argument: string, method: string): void {
  if (typeof value === "string") return;
  const found = value === null ? "null" : typeof value;
  throw invalidArgument(argument, method, `expected a string, got ${found}`);
}

/** @throws DeveloperError when no table can have this name. */
export function checkTableName(name: string, method: string): void {
  checkString(name, "table", method);
  const problem = identifierProblem(name);
  if (problem !== null) throw invalidArgument("table", method, problem);
}

/** @throws DeveloperError when user code may not insert into a table of this name. */
export function checkWritableTable(name: string): void {
  checkTableName(name, "db.insert");
  if (!name.startsWith("_")) return;
  throw Object.hasOwn(systemTables, name) && !isPrivateTable(name)
    ? new DeveloperError("ReadOnlyTable", `${name} is a read-only table`)
    : new DeveloperError(
      "InvalidTableName",
      `Invalid table name ${name} starts with metadata prefix '_'`,
    );
}

/** The fields that a write method was given. @throws DeveloperError when it was given no object. */
export function documentArgument(value: unknown, method: string): Record<string, unknown> {
  if (isPlainObject(value)) return value;
  encodeValue(value); // throws if it is no value at all
  throw invalidArgument("value", method, "Value must be an Object");
}
