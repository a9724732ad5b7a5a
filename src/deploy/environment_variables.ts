/** The environment variables that functions read, and the rules for changing them (deploy-protocol 5). */
import { RequestError } from "../errors.ts";

export type EnvironmentVariables = Readonly<Record<string, string>>;

/** Sets a variable, or removes it when `value` is null. */
export interface EnvironmentVariableChange {
  readonly name: string;
  readonly value: string | null;
}

/** The server sets these for every function. */
export const builtInVariables = ["CONVEX_CLOUD_URL", "CONVEX_SITE_URL"] as const;

const nameLengthMax = 256;
const valueBytesMax = 8192;
const variablesMax = 512;
const totalBytesMax = 512 * 1024;

/**
 * The variables after all changes.
 * @throws RequestError when one of them is not allowed; then none may be made.
 */
export function changeVariables(
  variables: EnvironmentVariables,
  changes: readonly EnvironmentVariableChange[],
): EnvironmentVariables {
  const changed = new Map(Object.entries(variables));
  for (const { name, value } of changes) {
    checkName(name);
    if (value === null) {
      changed.delete(name);
    } else {
      checkValue(name, value);
      changed.set(name, value);
    }
  }
  checkTotal(changed);
  return Object.fromEntries([...changed].sort(([a], [b]) => a < b ? -1 : 1));
}

function checkName(name: string): void {
  if (!/^[a-zA-Z_]+[a-zA-Z0-9_]*$/.test(name)) {
    throw refused(
      "EnvironmentVariableNameInvalid",
      `The name ${
        JSON.stringify(name)
      } must start with a letter or an underscore and only contain letters, ` +
        "digits and underscores.",
    );
  }
  if (name.length > nameLengthMax) {
    throw refused(
      "EnvironmentVariableNameTooLong",
      `The name ${name} is too long (${name.length} > maximum ${nameLengthMax}).`,
    );
  }
  if (builtInVariables.some((builtIn) => builtIn === name)) {
    throw refused("EnvVarNameForbidden", `${name} is set by the server and cannot be changed.`);
  }
}

function checkValue(name: string, value: string): void {
  const bytes = byteLength(value);
  if (bytes > valueBytesMax) {
    throw refused(
      "EnvironmentVariableValueTooLarge",
      `The value of ${name} is too large (${bytes} bytes > maximum ${valueBytesMax} bytes).`,
    );
  }
}

function checkTotal(variables: ReadonlyMap<string, string>): void {
  if (variables.size > variablesMax) {
    throw refused(
      "EnvVarLimitMet",
      `There would be ${variables.size} environment variables (maximum ${variablesMax}).`,
    );
  }
  let bytes = 0;
  for (const [name, value] of variables) bytes += byteLength(name) + byteLength(value);
  if (bytes > totalBytesMax) {
    throw refused(
      "EnvVarTotalSizeLimitMet",
      `The environment variables would take ${bytes} bytes together (maximum ${totalBytesMax}).`,
    );
  }
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).byteLength;
}

function refused(code: string, message: string): RequestError {
  return new RequestError("badRequest", code, message);
}
