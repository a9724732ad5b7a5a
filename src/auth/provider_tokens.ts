/**
 * Verifies the tokens of one provider (http-api 15.3, 15.4). Of a token's header only the algorithm and the
 * name of the key count: wherever else it points (`jku`, `x5u`, `jwk`), nobody looks.
 */
import { errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from "jose";
import type { Environment } from "../environment.ts";
import { type ErrorKind, errorMessage, RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import { type AuthProvider, isCustomJwt, isSameIssuer } from "./auth_provider.ts";
import type { UserPrincipal } from "./identity.ts";
import { KeySet } from "./key_set.ts";
import {
  type FetchDocument,
  type ProviderDocument,
  ProviderDocumentError,
} from "./provider_document.ts";
import { invalidToken } from "./unverified_token.ts";
import { ClaimError, customJwtUser, openIdUser } from "./user_claims.ts";
import { VerifiedTokens } from "./verified_tokens.ts";

export interface ProviderTokensOptions {
  readonly environment: Environment;
  readonly fetchDocument: FetchDocument;
  /** Withhold from callers what would help somebody who guesses. */
  readonly redact: boolean;
}

const openIdAlgorithms = ["RS256", "EdDSA"];
/** How far clocks may differ, in seconds; an OpenID Connect token ends on the dot (http-api 109, 112). */
const clockSkewS = 5;
const shownKeyIdLength = 100;

export class ProviderTokens {
  readonly #provider: AuthProvider;
  readonly #options: ProviderTokensOptions;
  readonly #keys: KeySet;
  readonly #findKey: JWTVerifyGetKey;
  readonly #verified = new VerifiedTokens();

  constructor(provider: AuthProvider, options: ProviderTokensOptions) {
    this.#provider = provider;
    this.#options = options;
    this.#keys = new KeySet(() => this.#fetchKeys(), options.environment);
    const { find } = this.#keys;
    this.#findKey = isCustomJwt(provider) ? byKeyId(find, options.redact) : find;
  }

  /**
   * `issuer`: what the token says it is, which is this provider's but for the spelling.
   * @throws RequestError that says why the token is refused, or cannot be verified now.
   */
  async verify(token: string, issuer: string): Promise<UserPrincipal> {
    const nowMs = this.#options.environment.nowMs();
    const keysVersion = this.#keys.freshVersion;
    const known = this.#verified.get(token, keysVersion, nowMs);
    if (known !== undefined) return known;
    const user = await this.#verify(token, issuer, nowMs);
    // Should other keys have come meanwhile, it is verified once more with them.
    this.#verified.add(user, keysVersion);
    return user;
  }

  async #verify(token: string, issuer: string, nowMs: number): Promise<UserPrincipal> {
    const provider = this.#provider;
    try {
      const { payload } = await jwtVerify(token, this.#findKey, {
        algorithms: isCustomJwt(provider) ? [provider.algorithm] : openIdAlgorithms,
        issuer,
        ...(provider.applicationID === null ? {} : { audience: provider.applicationID }),
        currentDate: new Date(nowMs),
        clockTolerance: clockSkewS,
      });
      const user = isCustomJwt(provider)
        ? customJwtUserOf(payload)
        : openIdUserOf(payload, nowMs / 1000);
      return { kind: "user", token, ...user };
    } catch (error) {
      if (error instanceof RequestError) throw error;
      if (error instanceof ProviderDocumentError) throw unavailable(provider, error);
      if (error instanceof ClaimError) throw invalidToken(error.message);
      throw isCustomJwt(provider) ? customJwtRefusal(error) : openIdRefusal(errorMessage(error));
    }
  }

  async #fetchKeys(): Promise<ProviderDocument> {
    try {
      const { fetchDocument } = this.#options;
      return isCustomJwt(this.#provider)
        ? await fetchDocument("JWKS", this.#provider.jwks)
        : await discoverKeys(fetchDocument, this.#provider.domain);
    } catch (error) {
      log("warn", "The keys of an auth provider could not be fetched", {
        reason: errorMessage(error),
      });
      throw error;
    }
  }
}

/** Fetches keys through the issuer's discovery document. @throws ProviderDocumentError */
async function discoverKeys(
  fetchDocument: FetchDocument,
  domain: string,
): Promise<ProviderDocument> {
  const url = `${domain.replace(/\/+$/, "")}/.well-known/openid-configuration`;
  const { json } = await fetchDocument("discovery document", url);
  const { issuer, jwks_uri: keysUrl } = Object(json) as Record<string, unknown>;
  if (typeof issuer !== "string" || !isSameIssuer(issuer, domain)) {
    const found = JSON.stringify(issuer) ?? "none";
    throw badDiscovery(url, `its 'issuer' must be '${domain}', but is ${found}`);
  }
  const scheme = typeof keysUrl === "string" ? URL.parse(keysUrl)?.protocol : undefined;
  if (scheme !== "https:" && !(scheme === "http:" && domain.startsWith("http:"))) {
    throw badDiscovery(url, "its 'jwks_uri' must be an https URL");
  }
  return await fetchDocument("JWKS", keysUrl as string);
}

/** Custom tokens have to name their key, even if there is only one. */
function byKeyId(find: JWTVerifyGetKey, redact: boolean): JWTVerifyGetKey {
  return async (header, token) => {
    const { kid } = header;
    if (kid === undefined) {
      throw invalidToken("Could not decode token. JWT may be missing a 'kid' (key ID) header.");
    }
    try {
      return await find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      const shown = redact ? "" : ` is '${String(kid).slice(0, shownKeyIdLength)}'`;
      throw invalidToken(
        `Could not decode token. The JWT's 'kid' (key ID) header${shown}, does this key match any key in ` +
          "the provider's JWKS?",
      );
    }
  };
}

type User = Pick<UserPrincipal, "identity" | "expiresAt">;

function customJwtUserOf(payload: JWTPayload): User {
  const { sub, exp } = payload;
  if (typeof sub !== "string") throw invalidToken("Missing subject");
  if (exp === undefined) throw invalidToken("Missing expiry");
  return { identity: customJwtUser(payload), expiresAt: exp };
}

function openIdUserOf(payload: JWTPayload, nowS: number): User {
  const { sub, exp, aud } = payload;
  if (typeof sub !== "string" || exp === undefined) {
    throw invalidToken(
      "Could not parse token as OIDC token: it has to have the claims 'sub' and 'exp'.",
    );
  }
  if (exp <= nowS) throw openIdRefusal("the token has expired");
  if (Array.isArray(aud) && aud.length > 1) {
    throw openIdRefusal("the token is for other audiences, too, which 'customJwt' providers allow");
  }
  return { identity: openIdUser(payload), expiresAt: exp };
}

/** http-api 110, 113. */
function unavailable(provider: AuthProvider, error: ProviderDocumentError): RequestError {
  const code = isCustomJwt(provider) ? "InvalidAuthHeader" : "AuthProviderDiscoveryFailed";
  const kind = error.isTransient
    ? "overloaded"
    : isCustomJwt(provider)
    ? "unauthenticated"
    : keptStatus[error.status ?? 0] ?? "badRequest";
  return new RequestError(kind, code, error.message, { cause: error });
}

const keptStatus: Readonly<Record<number, ErrorKind>> = {
  401: "unauthenticated",
  403: "forbidden",
  404: "notFound",
  429: "rateLimited",
};

function badDiscovery(url: string, reason: string): ProviderDocumentError {
  const message = `The discovery document at '${url}' cannot be used: ${reason}.`;
  return new ProviderDocumentError(message, null, false);
}

function customJwtRefusal(error: unknown): RequestError {
  const isClaim = error instanceof errors.JWTExpired ||
    error instanceof errors.JWTClaimValidationFailed;
  return invalidToken(
    `${isClaim ? "Could not validate token:" : "Could not decode token."} ${errorMessage(error)}`,
    error,
  );
}

function openIdRefusal(reason: string): RequestError {
  return new RequestError(
    "unauthenticated",
    "Unauthenticated",
    "Could not verify OIDC token claim. Check that the token signature is valid and the token hasn't " +
      `expired. (${reason})`,
  );
}
