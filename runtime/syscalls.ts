/** What the `Convex` global offers the function library (function-abi 1.1). Arguments and answers are JSON texts. */
import { DeveloperError } from "../src/errors.ts";
import { encodeValue } from "../src/values/value.ts";
import { toUserError } from "./failure.ts";
import type { Realm } from "./realm.ts";

export interface Syscalls {
  syscall(operation: string, args: string): string;
  asyncSyscall(operation: string, args: string): Promise<string>;
  jsSyscall(operation: string, args: Record<string, unknown>): unknown;
}

/** The `Convex` global: hands each operation to the execution that runs. */
export function convexGlobal(realm: Realm): Syscalls {
  const syscalls = () => {
    const { syscalls, phase } = realm.execution;
    if (phase === "import" || syscalls === null) {
      throw new Error("Can't use database at import time");
    }
    return syscalls;
  };
  return {
    syscall: (operation, args) => syscalls().syscall(operation, args),
    asyncSyscall: async (operation, args) => await syscalls().asyncSyscall(operation, args),
    jsSyscall: (operation, args) => syscalls().jsSyscall(operation, args),
  };
}

/** Text that is JSON already. */
export class JsonText {
  constructor(readonly text: string) {}
}

export function valueJson(value: unknown): JsonText {
  return new JsonText(encodeValue(value).json);
}

/** Arguments of an operation: JSON whose shape the function library vouches for. */
// deno-lint-ignore no-explicit-any
export type SyscallArguments = any;

export function parseSyscallArguments(args: string): SyscallArguments {
  let parsed: unknown;
  try {
    parsed = JSON.parse(args);
  } catch (error) {
    throw new Error(`Received invalid json: ${error}`);
  }
  if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  throw new Error(`Invalid arguments: expected a JSON object, got ${args.slice(0, 100)}`);
}

/** The operation of this name; undefined where an object merely inherits something so called. */
export function findOperation<T>(operations: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(operations, name) ? operations[name] : undefined;
}

export function syscallAnswer(answer: unknown): string {
  return answer instanceof JsonText ? answer.text : JSON.stringify(answer ?? null);
}

/** An error as the library expects it: an ordinary one, whose `data` is JSON instead of a value. */
export function syscallError(error: unknown): unknown {
  const userError = error instanceof DeveloperError ? toUserError(error, null) : error;
  if (!(userError instanceof Error) || !("data" in userError)) return userError;
  const data = JSON.parse(encodeValue(userError.data).json);
  return Object.assign(new Error(userError.message), { data });
}
