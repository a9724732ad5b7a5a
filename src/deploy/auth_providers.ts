/** The identity providers that `auth.config.js` exports (deploy-protocol 3.9, http-api 105–106). */
import { z } from "zod";
import type { AuthProvider } from "../auth/auth_provider.ts";
import { RequestError } from "../errors.ts";
import { parseExported } from "./exported_json.ts";

const customJwt = z.object({
  type: z.literal("customJwt"),
  applicationID: z.string().nullish().transform((id) => id ?? null),
  issuer: z.string(),
  jwks: z.url({ protocol: /^(https?|data)$/, error: "expected an http, https or data URL" }),
  algorithm: z.enum(["RS256", "ES256"]),
});
const openIdConnect = z.object({
  type: z.undefined("expected 'customJwt', or no type for an OpenID Connect provider").optional(),
  domain: z.string(),
  applicationID: z.string(),
});
const config = z.object({ providers: z.array(z.unknown()) });

/**
 * Parses the default export of `auth.config.js`, given as JSON text.
 * @throws RequestError when it is no list of providers.
 */
export function parseAuthProviders(exported: string): readonly AuthProvider[] {
  const { providers } = parse(config, parseExported(exported), "");
  return providers.map((provider, index) => {
    const name = `, providers[${index}]`;
    if (Object(provider).type === "customJwt") {
      const parsed = parse(customJwt, provider, name);
      return { ...parsed, issuer: absoluteUrl(parsed.issuer) };
    }
    const { domain, applicationID } = parse(openIdConnect, provider, name);
    return { domain: absoluteUrl(domain), applicationID };
  });
}

function parse<T>(type: z.ZodType<T>, value: unknown, name: string): T {
  const result = type.safeParse(value);
  if (result.success) return result.data;
  throw authConfigError(
    "AuthConfigNotMatchingSchemaError",
    `The default export of auth.config.js${name} is not as it has to be:\n${
      z.prettifyError(result.error)
    }`,
  );
}

/** A domain without a scheme is an https one: then it must look like a name on the internet, or be the machine itself. */
function absoluteUrl(domain: string): string {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(domain);
  const url = hasScheme ? domain : `https://${domain}`;
  const parsed = URL.parse(url);
  const isHttp = parsed !== null && /^https?:$/.test(parsed.protocol);
  const isKnownHost = hasScheme ||
    /^localhost$|\.[a-z][a-z0-9-]*[a-z]$/i.test(parsed?.hostname ?? "");
  if (isHttp && isKnownHost) return url;
  throw authConfigError(
    "InvalidProviderDomainUrl",
    `${
      JSON.stringify(domain)
    } in auth.config.js is no domain of a provider: expected an http or https URL, ` +
      "or a host name such as 'your-app.auth0.com'.",
  );
}

function authConfigError(code: string, text: string): RequestError {
  return new RequestError("badRequest", code, text);
}
