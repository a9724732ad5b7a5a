/** Failures that functions see for what the server does on their behalf. */
import { DeveloperError, FunctionError, type FunctionFailure, RequestError } from "../errors.ts";
import { failureText } from "./failure_text.ts";

/** What a function is told when the fault is ours. */
export const internalFailure = hostFailure(
  "Your request couldn't be completed. Try again later.",
);

/** A failure of the host: one sentence, no frames. */
export function hostFailure(message: string): FunctionFailure {
  return { message, frames: [] };
}

/** The failure that a calling action sees for its callee's: rendered whole, its data kept (function-abi 13). */
export function calleeFailure(failure: FunctionFailure): FunctionFailure {
  const rendered = hostFailure(failureText(failure));
  return failure.data === undefined ? rendered : { ...rendered, data: failure.data };
}

/** What user code is told of something thrown by the server; undefined when the fault is ours. */
export function developerFailure(error: unknown): FunctionFailure | undefined {
  if (error instanceof FunctionError) return error.failure;
  if (error instanceof DeveloperError) {
    const failure = hostFailure(error.message);
    return error.data === undefined ? failure : { ...failure, data: JSON.stringify(error.data) };
  }
  if (error instanceof RequestError && error.kind !== "internal") return hostFailure(error.message);
  return undefined;
}
