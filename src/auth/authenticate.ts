/** From what a client presents — an `Authorization` header, an admin key, a user's token — to who it is. */
import { Buffer } from "node:buffer";
import { RequestError } from "../errors.ts";
import { AdminKeyVerifier, parseAdminCredential } from "./admin_key.ts";
import { anonymous, parseUserAttributes, type Principal } from "./identity.ts";
import type { TokenVerifier } from "./token_verifier.ts";

/**
 * Verifies credentials of one instance. Every method throws (or rejects with) a `RequestError` whose code
 * http-api 17–21 name.
 */
export class Authenticator {
  readonly #adminKey: AdminKeyVerifier;
  readonly #tokens: TokenVerifier;

  constructor(adminKey: string, tokens: TokenVerifier) {
    this.#adminKey = new AdminKeyVerifier(adminKey);
    this.#tokens = tokens;
  }

  /** The caller of an HTTP request; the query parameter `adminKey` counts only without the header. */
  async request(authorization: string | null, adminKey: string | null): Promise<Principal> {
    if (authorization === null) return adminKey === null ? anonymous : this.admin(adminKey);
    if (authorization.length < 7) {
      throw new RequestError(
        "badRequest",
        "InvalidHeaderFailure",
        "Invalid authentication header",
      );
    }
    const scheme = authorization.slice(0, 7).toLowerCase();
    const credential = authorization.slice(7).trim();
    if (scheme === "convex ") return this.admin(credential);
    if (scheme === "bearer " && credential !== "") return await this.user(credential);
    throw new RequestError("badRequest", "InvalidAdminKey", "Invalid admin key");
  }

  /** An admin key, possibly with the user to act as behind a colon. */
  admin(credential: string): Principal {
    const { key, actingAs } = parseAdminCredential(credential);
    if (!this.#adminKey.matches(key)) {
      throw new RequestError(
        "unauthenticated",
        "BadAdminKey",
        "The provided admin key was invalid for this instance",
      );
    }
    return { kind: "admin", impersonating: actingAs === null ? null : parseActingAs(actingAs) };
  }

  /** A user's token. */
  async user(token: string): Promise<Principal> {
    return await this.#tokens.verify(token);
  }
}

function parseActingAs(base64: string) {
  try {
    return parseUserAttributes(JSON.parse(Buffer.from(base64, "base64").toString("utf8")));
  } catch (cause) {
    throw new RequestError(
      "badRequest",
      "HeaderParseFailure",
      "Malformed Authorization header.",
      { cause },
    );
  }
}
