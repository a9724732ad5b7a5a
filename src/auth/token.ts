/**
 * Tokens of users (JSON Web Tokens). This version of Hull knows no auth providers, so every well-formed
 * token is refused in the way a token of an unknown provider is (http-api 107–108).
 */
import { Buffer } from "node:buffer";
import { RequestError } from "../errors.ts";

/** @throws RequestError always; its code says whether the token was at least well-formed. */
export function refuseToken(token: string): never {
  const { iss: issuer, aud: audience } = parseUnverifiedPayload(token);
  if (typeof issuer !== "string") {
    throw invalidToken(
      "Missing issuer claim ('iss') in JWT payload. The token must name the provider that issued it.",
    );
  }
  throw new RequestError(
    "unauthenticated",
    "NoAuthProvider",
    `No auth provider found matching the given token (issuer ${JSON.stringify(issuer)}, audience ${
      JSON.stringify(audience ?? null)
    }). Configured providers: none. Tokens of users cannot be verified by this version of Hull.`,
  );
}

function parseUnverifiedPayload(token: string): Record<string, unknown> {
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

function invalidToken(message: string, cause?: unknown): RequestError {
  return new RequestError("unauthenticated", "InvalidAuthHeader", message, { cause });
}
