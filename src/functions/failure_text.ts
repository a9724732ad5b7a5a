/** How failures of functions read (semantics 12). Host errors have no frames; thrown ones do. */
import type { FunctionFailure } from "../errors.ts";

/** Message and frames, each line with its newline: what an action that called the function catches. */
export function failureText({ message, frames }: FunctionFailure): string {
  return `${message}\n${frames.map((frame) => `${frame}\n`).join("")}`;
}

/** What a client is told; `redacted` keeps everything but the request id from it. */
export function clientFailureText(
  failure: FunctionFailure,
  requestId: string,
  redacted: boolean,
): string {
  const head = `[Request ID: ${requestId}] Server Error`;
  return redacted ? head : `${head}\n${failureText(failure)}`;
}
