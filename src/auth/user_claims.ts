/** From the claims of a verified token to the user that functions see (http-api 15.5, function-abi 10). */
import type { UserIdentity } from "../isolate/protocol.ts";

export type Claims = Readonly<Record<string, unknown>>;
type Attribute = readonly [name: string, value: unknown];

/** A claim that cannot be what it has to be. */
export class ClaimError extends Error {
  override name = "ClaimError";
}

/** How a claim's value is read. */
interface Reader {
  readonly expected: string;
  /** Undefined for a value that is not what was expected, null for one that says nothing. */
  read(value: unknown): unknown;
}

const text: Reader = {
  expected: "a string",
  read: (value) => typeof value === "string" ? value : undefined,
};

/** Some providers write booleans as strings. */
const flag: Reader = {
  expected: "a boolean",
  read: (value) =>
    value === "true" || value === "false"
      ? value === "true"
      : typeof value === "boolean"
      ? value
      : undefined,
};

const address: Reader = {
  expected: "an object, with a string in 'formatted' if it has that",
  read(value) {
    if (typeof value !== "object") return undefined;
    const { formatted = null } = value as { formatted?: unknown };
    return formatted === null ? null : text.read(formatted);
  },
};

/** Seconds since the epoch; some providers write a text. */
const time: Reader = {
  expected: "a time",
  read(value) {
    const date = new Date(typeof value === "number" ? value * 1000 : Date.parse(String(value)));
    return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
  },
};

/** Standard claims of OpenID Connect and the attributes they become. */
const standardClaims: Readonly<Record<string, readonly [attribute: string, reader: Reader]>> = {
  name: ["name", text],
  given_name: ["givenName", text],
  family_name: ["familyName", text],
  nickname: ["nickname", text],
  preferred_username: ["preferredUsername", text],
  profile: ["profileUrl", text],
  picture: ["pictureUrl", text],
  website: ["websiteUrl", text],
  email: ["email", text],
  email_verified: ["emailVerified", flag],
  gender: ["gender", text],
  birthdate: ["birthday", text],
  zoneinfo: ["timezone", text],
  locale: ["language", text],
  phone_number: ["phoneNumber", text],
  phone_number_verified: ["phoneNumberVerified", flag],
  address: ["address", address],
  updated_at: ["updatedAt", time],
};

/** Registered claims are about the token; `fva`, the age of a factor, differs between two tokens of one user. */
const registeredClaims = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "fva"];
const droppedClaims = new Set(registeredClaims);
/** The others of these are about the sign-in that the token came from. */
const droppedOpenIdClaims = new Set([
  ...registeredClaims,
  ...["auth_time", "nonce", "acr", "amr", "azp", "at_hash", "c_hash"],
]);

/** As in values (semantics 4.1): what is nested deeper, functions could neither store nor return. */
const nestingMax = 64;

/** These say who the user is; no other claim may take their place. */
const reserved = new Set(["tokenIdentifier", "issuer", "subject"]);

/** @throws ClaimError when a standard claim has a value of another type, or another is nested too deeply. */
export function openIdUser(claims: Claims): UserIdentity {
  const attributes: Attribute[] = [];
  for (const [claim, value] of Object.entries(claims)) {
    if (droppedOpenIdClaims.has(claim) || Object.hasOwn(standardClaims, claim)) continue;
    attributes.push([claim, value]);
  }
  for (const [claim, [attribute, reader]] of Object.entries(standardClaims)) {
    const value = Object.hasOwn(claims, claim) ? claims[claim] : null;
    if (value === null) continue;
    const meaning = reader.read(value);
    if (meaning === undefined) {
      throw new ClaimError(`The claim '${claim}' must be ${reader.expected}`);
    }
    if (meaning !== null) attributes.push([attribute, meaning]);
  }
  return identityOf(claims, attributes);
}

/** Nothing is renamed; what is nested gets dotted names. @throws ClaimError when a list is nested too deeply. */
export function customJwtUser(claims: Claims): UserIdentity {
  const attributes: Attribute[] = [];
  for (const [claim, value] of Object.entries(claims)) {
    if (!droppedClaims.has(claim)) flatten(claim, value, attributes);
  }
  return identityOf(claims, attributes);
}

/** In a fixed order, so that equal users have equal JSON whatever the order of their claims. */
function identityOf(claims: Claims, attributes: readonly Attribute[]): UserIdentity {
  const { iss: issuer, sub: subject } = claims;
  const others = attributes.filter(([name]) => !reserved.has(name));
  for (const [name, value] of others) {
    if (isDeeper(value, nestingMax)) {
      throw new ClaimError(`The claim '${name}' is nested deeper than ${nestingMax} levels`);
    }
  }
  // Not by assignment, which a claim `__proto__` would turn into something else. Of two with one name the later stays.
  return Object.fromEntries([
    ["tokenIdentifier", `${issuer}|${subject}`],
    ["issuer", issuer],
    ["subject", subject],
    ...others.sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0),
  ]) as UserIdentity;
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1));
}

function flatten(name: string, value: unknown, into: Attribute[]): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    into.push([name, value]);
    return;
  }
  for (const [member, nested] of Object.entries(value)) flatten(`${name}.${member}`, nested, into);
}
