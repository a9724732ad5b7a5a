/** Who a request speaks for, and the attributes of a user that an admin acts as. */
import { RequestError } from "../errors.ts";
import type { UserIdentity } from "../isolate/protocol.ts";

export interface UserPrincipal {
  readonly kind: "user";
  readonly identity: UserIdentity;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
  /** As it was presented. */
  readonly token: string;
}

/** The result of authentication; assignable to `Caller` of src/functions/functions.ts. */
export type Principal =
  | { readonly kind: "anonymous" }
  | UserPrincipal
  | { readonly kind: "admin"; readonly impersonating: UserIdentity | null };

export const anonymous: Principal = { kind: "anonymous" };

const stringAttributes = new Set([
  "tokenIdentifier",
  "issuer",
  "subject",
  "name",
  "givenName",
  "familyName",
  "nickname",
  "preferredUsername",
  "profileUrl",
  "pictureUrl",
  "websiteUrl",
  "email",
  "gender",
  "birthday",
  "timezone",
  "language",
  "phoneNumber",
  "address",
  "updatedAt",
]);
const booleanAttributes = new Set(["emailVerified", "phoneNumberVerified"]);

/**
 * Attributes of the user that an admin acts as, from JSON. Unknown properties are custom claims and kept;
 * the token identifier is formed from issuer and subject when it is missing (sync-protocol 20).
 * @throws RequestError when an attribute has the wrong type, or too few of them are there.
 */
export function parseUserAttributes(value: unknown): UserIdentity {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badAttributes("expected an object");
  }
  const given = Object.entries(value).filter(([, attribute]) => attribute !== null);
  for (const [name, attribute] of given) {
    if (stringAttributes.has(name) && typeof attribute !== "string") {
      throw badAttributes(`${name} must be a string`);
    }
    if (booleanAttributes.has(name) && typeof attribute !== "boolean") {
      throw badAttributes(`${name} must be a boolean`);
    }
  }
  // Not by assignment, which an attribute `__proto__` would turn into something else.
  const attributes: Record<string, unknown> = Object.fromEntries(given);
  const { tokenIdentifier, issuer, subject } = attributes;
  if (typeof tokenIdentifier === "string") return { ...attributes, tokenIdentifier };
  if (issuer === undefined || subject === undefined) {
    throw badAttributes("tokenIdentifier, or issuer and subject, must be given");
  }
  return { ...attributes, tokenIdentifier: `${issuer}|${subject}` };
}

function badAttributes(reason: string): RequestError {
  return new RequestError("badRequest", "InvalidIdentity", `Invalid user attributes: ${reason}.`);
}
