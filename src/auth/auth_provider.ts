/** The identity providers of a deployment, and which of them a token belongs to (http-api 15.1, 15.2). */

/** OpenID Connect: the keys are found through the issuer's discovery document. */
export interface OpenIdProvider {
  /** The issuer, as an absolute URL. */
  readonly domain: string;
  /** The audience that tokens are for. */
  readonly applicationID: string;
}

export interface CustomJwtProvider {
  readonly type: "customJwt";
  /** Null: tokens for any audience. */
  readonly applicationID: string | null;
  /** An absolute URL. */
  readonly issuer: string;
  /** Where the keys are: an http, https or data URL. */
  readonly jwks: string;
  readonly algorithm: string;
}

export type AuthProvider = OpenIdProvider | CustomJwtProvider;

/** What a token says about where it comes from and for whom it is, before anything is verified. */
export interface TokenOrigin {
  readonly issuer: string;
  readonly audiences: readonly string[];
}

export function isCustomJwt(provider: AuthProvider): provider is CustomJwtProvider {
  return "type" in provider;
}

function issuerOf(provider: AuthProvider): string {
  return isCustomJwt(provider) ? provider.issuer : provider.domain;
}

/** Whether two issuers are the same: the scheme may be missing, slashes at the end do not count. */
export function isSameIssuer(a: string, b: string): boolean {
  return normalizeIssuer(a) === normalizeIssuer(b);
}

/** The first provider that has the issuer, and an audience of the token if it asks for one. */
export function findProvider(
  providers: readonly AuthProvider[],
  { issuer, audiences }: TokenOrigin,
): AuthProvider | undefined {
  return providers.find((provider) =>
    isSameIssuer(issuerOf(provider), issuer) &&
    (provider.applicationID === null || audiences.includes(provider.applicationID))
  );
}

/** For messages to developers. */
export function describeProviders(providers: readonly AuthProvider[]): string {
  if (providers.length === 0) return "none";
  return providers.map((provider) => {
    const kind = isCustomJwt(provider) ? "customJwt issuer" : "OIDC domain";
    const audience = provider.applicationID === null
      ? ""
      : `, applicationID ${JSON.stringify(provider.applicationID)}`;
    return `${kind} ${JSON.stringify(issuerOf(provider))}${audience}`;
  }).join("; ");
}

function normalizeIssuer(issuer: string): string {
  const url = /^https?:\/\//.test(issuer) ? issuer : `https://${issuer}`;
  let end = url.length;
  while (url[end - 1] === "/") end--;
  return url.slice(0, end);
}
