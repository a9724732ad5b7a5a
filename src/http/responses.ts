/** Responses of the API: JSON, text, and the envelope of everything that fails outside a function. */
import { type ErrorKind, RequestError } from "../errors.ts";
import { log } from "../logger.ts";

/** http-api 7; the only place where an error becomes a status. */
const statusOf: Record<ErrorKind, number> = {
  badRequest: 400,
  unauthenticated: 401,
  forbidden: 403,
  notFound: 404,
  clientDisconnect: 408,
  conflict: 409,
  rateLimited: 429,
  internal: 500,
  overloaded: 503,
  writeConflict: 503,
};

/** What was refused for lack of room may well be served then; proxies and HTTP libraries read it. */
const retryAfterS = "1";

const jsonHeaders = { "content-type": "application/json" };
const ok: ResponseInit = { headers: jsonHeaders };

/** JSON that is text already. */
export function jsonText(text: string): Response {
  return new Response(text, ok);
}

export function json(value: unknown): Response {
  return jsonText(JSON.stringify(value));
}

export function plainText(text: string, status = 200): Response {
  return new Response(text, { status, headers: { "content-type": "text/plain; charset=utf-8" } });
}

/** The envelope `{code, message}` (http-api 6). What has no classified cause is logged and not shown. */
export function errorResponse(error: unknown): Response {
  if (!(error instanceof RequestError)) {
    log("error", "A request failed for a reason that is not the client's", { error });
    return envelope(
      500,
      "InternalServerError",
      "Your request couldn't be completed. Try again later.",
    );
  }
  return envelope(statusOf[error.kind], error.code, error.message);
}

/** `allowed` is a list of methods for the `Allow` header. */
export function methodNotAllowed(method: string, allowed: string): Response {
  const response = envelope(405, "MethodNotAllowed", `${method} is not allowed here`);
  response.headers.set("allow", allowed);
  return response;
}

function envelope(status: number, code: string, message: string): Response {
  const body = JSON.stringify({ code, message });
  if (status === 429 || status === 503) {
    return new Response(body, { status, headers: { ...jsonHeaders, "retry-after": retryAfterS } });
  }
  if (code !== "ClientVersionUnsupported") {
    return new Response(body, { status, headers: jsonHeaders });
  }
  // The npm clients print what these two say (http-api 9).
  const headers = {
    ...jsonHeaders,
    "x-convex-deprecation-state": "Unsupported",
    "x-convex-deprecation-message": message,
  };
  return new Response(body, { status, headers });
}
