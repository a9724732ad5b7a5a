/** How a socket ends, by the kind of error that ended it: the table of sync-protocol 15. */
import { type ErrorKind, RequestError } from "../errors.ts";
import { encodeAuthError, encodeFatalError } from "./protocol.ts";

export interface Ending {
  /** The last message, if any. */
  readonly announcement?: string;
  /** Absent: a close frame without a body. */
  readonly code?: number;
  readonly reason?: string;
}

/** A credential was refused, or an accepted identity ended. */
export class AuthenticationError extends Error {
  override name = "AuthenticationError";
  constructor(
    message: string,
    /** Version of the identity that stays in force. */
    readonly baseVersion: number,
    /** Whether it answers an `Authenticate`. */
    readonly isUpdate: boolean,
  ) {
    super(message);
  }
}

const classes: Record<ErrorKind, { announce: boolean; code: number | null }> = {
  badRequest: { announce: true, code: null },
  conflict: { announce: true, code: null },
  unauthenticated: { announce: true, code: null },
  forbidden: { announce: true, code: 1000 },
  notFound: { announce: false, code: 1000 },
  clientDisconnect: { announce: false, code: 1000 },
  rateLimited: { announce: false, code: 1013 },
  overloaded: { announce: false, code: 1013 },
  writeConflict: { announce: false, code: 1013 },
  internal: { announce: false, code: 1011 },
};

export const internalEnding: Ending = { code: 1011, reason: "InternalServerError" };

/** Undefined for errors that nobody expected: they end the socket with `internalEnding` and belong in our log. */
export function endingFor(error: unknown): Ending | undefined {
  if (error instanceof AuthenticationError) {
    const { message, baseVersion, isUpdate } = error;
    return { announcement: encodeAuthError(message, baseVersion, isUpdate) };
  }
  if (!(error instanceof RequestError)) return undefined;
  if (error.kind === "internal") return internalEnding;
  const { announce, code } = classes[error.kind];
  return {
    ...(announce ? { announcement: encodeFatalError(error.message) } : {}),
    ...(code === null ? {} : { code, reason: error.code }),
  };
}
