/**
 * Web APIs whose promises are settled by other threads. A function that waits for one of them is not stuck
 * (`Execution.pendingOperations`), although nothing is left to do in its realm.
 */
import type { Execution } from "../execution.ts";
import type { Realm } from "../realm.ts";
import { defineHidden } from "./properties.ts";
import { forbiddenError } from "./refusals.ts";

type AsyncMethod = (this: unknown, ...args: unknown[]) => Promise<unknown>;

const bodyMethods = ["arrayBuffer", "blob", "bytes", "json", "text"];

export function trackHostWork(realm: Realm): void {
  track(realm, WebAssembly, ["compile", "instantiate"]);
  track(realm, Blob.prototype, ["arrayBuffer", "bytes", "text"]);
  track(realm, Request.prototype, bodyMethods);
  track(realm, Response.prototype, bodyMethods);
  track(realm, Request.prototype, ["formData"], refuseMultipart);
  track(realm, Response.prototype, ["formData"], refuseMultipart);
  const cryptography = Object.getOwnPropertyNames(SubtleCrypto.prototype)
    .filter((name) => name !== "constructor");
  track(realm, SubtleCrypto.prototype, cryptography);
}

function track(
  realm: Realm,
  owner: object,
  names: readonly string[],
  check: (execution: Execution, receiver: unknown) => void = () => {},
): void {
  for (const name of names) {
    const method = Reflect.get(owner, name) as AsyncMethod;
    // A method definition, because built-in methods are no constructors.
    const { [name]: tracked } = {
      async [name](this: unknown, ...args: unknown[]) {
        const { execution } = realm;
        check(execution, this);
        execution.pendingOperations++;
        try {
          return await method.apply(this, args);
        } finally {
          execution.pendingOperations--;
        }
      },
    };
    defineHidden(owner, { [name]: tracked });
  }
}

/** The boundaries that bodies are cut at are random. */
function refuseMultipart(execution: Execution, receiver: unknown): void {
  const type = (receiver as Request).headers.get("content-type") ?? "";
  if (execution.isDeterministic && /^multipart\//i.test(type)) {
    throw forbiddenError("formData()", execution);
  }
}
