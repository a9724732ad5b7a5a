/**
 * The error classes that cross module boundaries.
 *
 * - `RequestError`: the caller of Hull did something that Hull refuses, or Hull cannot serve it now.
 *   It becomes an HTTP status or a WebSocket close at the edge (http-api 7, sync-protocol 106).
 * - `FunctionError`: a user's function failed, by its own throw or by a rule of the runtime. It is
 *   delivered to the caller as a result, never as a transport error (http-api 33).
 *
 * Broken invariants use `assert` and are neither of these.
 */

export type ErrorKind =
  | "badRequest"
  | "unauthenticated"
  | "forbidden"
  | "notFound"
  | "conflict"
  | "rateLimited"
  | "overloaded"
  | "writeConflict"
  | "clientDisconnect"
  | "internal";

export class RequestError extends Error {
  override name = "RequestError";
  constructor(
    readonly kind: ErrorKind,
    /** Stable short code, e.g. `BadJsonBody`. */
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** What a failed function execution looks like on the server side of the isolate boundary. */
export interface FunctionFailure {
  /** Text with its "Uncaught …" prefix where it was thrown by user code; without request id. */
  readonly message: string;
  /** Mapped stack frames, each `    at f (../convex/a.ts:1:2)`; empty for errors of the host. */
  readonly frames: readonly string[];
  /** JSON text of a ConvexError's encoded data; absent unless one was thrown. */
  readonly data?: string;
}

export class FunctionError extends Error {
  override name = "FunctionError";
  constructor(readonly failure: FunctionFailure) {
    super(failure.message);
  }
}

/**
 * A rule of the data model or of a call was broken by user code. Inside an isolate it is thrown at the
 * offending call as an ordinary `Error` with this message (function-abi 1.3); `code` is for tests and logs.
 */
export class DeveloperError extends Error {
  override name = "DeveloperError";
  constructor(readonly code: string, message: string, readonly data?: unknown) {
    super(message);
  }
}

/** The text of anything thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
