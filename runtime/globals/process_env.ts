/** `process`: the environment variables of the deployment and nothing else (function-abi 14). */
import type { Realm } from "../realm.ts";
import { defineHidden } from "./properties.ts";

const nameLengthMax = 256;

export function installProcess(realm: Realm): void {
  const env = new Proxy(Object.create(null), {
    get(_target, name) {
      if (typeof name !== "string") return undefined;
      if (!/^[a-zA-Z_]+[a-zA-Z0-9_]*$/.test(name) || name.length > nameLengthMax) {
        throw new Error(
          `The environment variable name ${name} is invalid. Environment variable names must begin with a ` +
            "letter and may only include characters a-z, A-Z, 0-9, and underscores.",
        );
      }
      return realm.execution.readVariable(name) ??
        (name === "inspect" ? () => "[process.env]" : undefined);
    },
    has: () => false,
    ownKeys: () => [],
    // Assignments are accepted and forgotten, as in a fresh realm.
    set: () => true,
    defineProperty: () => true,
    deleteProperty: () => true,
    getOwnPropertyDescriptor: () => undefined,
  });
  defineHidden(globalThis, { process: { env } });
}
