/** What callers are told when an isolate could not answer for itself. */
import type { Config } from "../config.ts";
import { RequestError } from "../errors.ts";
import type { Death } from "./isolate.ts";
import type { CallResult } from "./isolates.ts";
import type { FunctionKind } from "./protocol.ts";

/** A failed call without a body. */
export function failedCall(message: string, durationMs: number): CallResult {
  return {
    outcome: { kind: "failure", failure: { message, frames: [] } },
    body: new Uint8Array(0),
    logLines: [],
    usage: { documentsRead: 0, bytesRead: 0, documentsWritten: 0, bytesWritten: 0, durationMs },
  };
}

/** Why the call that an isolate was running failed, if it was the call's own doing (semantics 9.2); else null. */
export function deathMessage(
  reason: Death["reason"],
  isAction: boolean,
  config: Config,
): string | null {
  switch (reason) {
    case "timeout":
      return timeoutMessage(isAction ? config.actionTimeoutS : config.functionTimeoutMs / 1000);
    case "databaseTimeout":
      return "Your request timed out performing too many system operations.";
    case "heap":
      return memoryMessage(config.isolateHeapMiB);
    case "exit":
    case "terminated":
      return null;
  }
}

export function timeoutMessage(seconds: number): string {
  return `Function execution timed out (maximum duration: ${seconds}s)`;
}

export function memoryMessage(heapMiB: number): string {
  return `JavaScript execution ran out of memory (maximum memory usage: ${heapMiB} MB)`;
}

/** An action's process or isolate vanished under it; it may have had effects, so it is not run again. */
export const lostActionMessage =
  "The process that ran this action ended before the action did. It may have run in part, and is not run again.";

/** A call waited too long for an isolate (semantics 9.3). */
export function tooManyConcurrent(
  kind: FunctionKind,
  limit: number,
  variable: string,
): RequestError {
  return new RequestError(
    "rateLimited",
    "TooManyConcurrentRequests",
    `Too many concurrent requests. Your backend is limited to ${limit} concurrent ${
      kind === "query" ? "querys" : `${kind}s`
    }. To let more run at the same time, raise ${variable}.`,
  );
}

/** A call was running each time an isolate or its process ended for a reason that is nobody's stated limit. */
export function lostTooOften(times: number): RequestError {
  return new RequestError(
    "internal",
    "InternalServerError",
    `The thread or process that ran this function ended ${times} times before the function did, so it is not run again.`,
  );
}

/** The server is going down. */
export function shuttingDown(): RequestError {
  return new RequestError(
    "overloaded",
    "ServerStopping",
    "The server is stopping. Try again later.",
  );
}
