/** What a JSON Web Token claims about its origin, before anything of it is verified (http-api 107, 108). */
import { Buffer } from "node:buffer";
import { RequestError } from "../errors.ts";
import type { TokenOrigin } from "./auth_provider.ts";

/** A token is kept in memory, and its claims travel with every call; real ones have one or two KB. */
const tokenLengthMax = 16 * 1024;

/** @throws RequestError when it is no token, or names no issuer. */
export function parseTokenOrigin(token: string): TokenOrigin {
  const { iss: issuer, aud: audience } = parsePayload(token);
  if (typeof issuer !== "string") {
    throw invalidToken(
      "Missing issuer claim ('iss') in JWT payload. The token must name the provider that issued it.",
    );
  }
  const audiences = Array.isArray(audience) ? audience : audience == null ? [] : [audience];
  if (!audiences.every((audience) => typeof audience === "string")) {
    throw invalidToken(
      "Could not parse JWT payload. The audience claim ('aud') must be a string or an array of strings.",
    );
  }
  return { issuer, audiences };
}

export function invalidToken(message: string, cause?: unknown): RequestError {
  return new RequestError("unauthenticated", "InvalidAuthHeader", message, { cause });
}

function parsePayload(token: string): Record<string, unknown> {
  if (token.length > tokenLengthMax) {
    throw invalidToken(
      `Could not parse JWT payload. The token has ${token.length} characters (maximum ${tokenLengthMax}).`,
    );
  }
  const parts = token.split(".");
  try {
    if (parts.length !== 3) throw new SyntaxError("a token has three parts separated by dots");
    const payload: unknown = JSON.parse(Buffer.from(parts[1]!, "base64url").toString("utf8"));
    if (typeof payload !== "object" || payload === null) throw new SyntaxError("not an object");
    return { ...payload };
  } catch (cause) {
    throw invalidToken(
      "Could not parse JWT payload. Check that the token is a valid JWT and not another kind of token.",
      cause,
    );
  }
}
