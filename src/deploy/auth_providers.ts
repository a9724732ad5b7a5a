/** The identity providers that `auth.config.js` exports (deploy-protocol 3.9). */
import { z } from "zod";
import { RequestError } from "../errors.ts";
import { parseExported } from "./exported_json.ts";

export type AuthProvider =
  | { readonly domain: string; readonly applicationID: string }
  | {
    readonly type: "customJwt";
    readonly applicationID: string | null;
    readonly issuer: string;
    readonly jwks: string;
    readonly algorithm: string;
  };

const customJwt = z.object({
  type: z.literal("customJwt"),
  applicationID: z.string().nullish().transform((id) => id ?? null),
  issuer: z.string(),
  jwks: z.string(),
  algorithm: z.string(),
});
const openIdConnect = z.object({ domain: z.string(), applicationID: z.string() })
  .transform((provider) => ({ ...provider, domain: absoluteUrl(provider.domain) }));
const config = z.object({ providers: z.array(z.union([customJwt, openIdConnect])) });

/**
 * Parses the default export of `auth.config.js`, given as JSON text.
 * @throws RequestError when it is no list of providers.
 */
export function parseAuthProviders(exported: string): readonly AuthProvider[] {
  const result = config.safeParse(parseExported(exported));
  if (result.success) return result.data.providers;
  throw authConfigError(
    "AuthConfigNotMatchingSchemaError",
    `The default export of auth.config.js is no list of providers: ${
      z.prettifyError(result.error)
    }`,
  );
}

function absoluteUrl(domain: string): string {
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(domain) ? domain : `https://${domain}`;
  if (URL.canParse(url)) return url;
  throw authConfigError(
    "InvalidProviderDomainUrl",
    `The domain ${JSON.stringify(domain)} of a provider in auth.config.js is no valid URL.`,
  );
}

export function authConfigError(code: string, text: string): RequestError {
  return new RequestError("badRequest", code, text);
}
