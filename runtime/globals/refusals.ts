/** How the host says no (semantics 1.4, 2). */
import type { Execution } from "../execution.ts";
import type { Realm } from "../realm.ts";

/** For what only actions may do. */
export function forbiddenError(thing: string, execution: Execution): Error {
  if (execution.phase === "import") return new Error(`${thing} unsupported at import time`);
  return new Error(
    `Can't use ${thing} in queries and mutations. Please consider using an action. ` +
      "See https://docs.convex.dev/functions/actions for more details.",
  );
}

/** Throws, and ends the function even if user code catches it. */
export function failExecution(execution: Execution, error: Error): never {
  execution.fail(error);
  throw error;
}

/** A member of a web API that isolates do not offer. */
export function notImplemented(realm: Realm, member: string, className: string): () => never {
  return () =>
    failExecution(
      realm.execution,
      new Error(
        `Not implemented: ${member} for ${className}. Consider calling an action defined in Node.js ` +
          "instead (https://docs.convex.dev/functions/actions).",
      ),
    );
}
