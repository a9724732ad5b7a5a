/** Verifies the tokens of users against the providers of the deployment (http-api 15). */
import { RequestError } from "../errors.ts";
import {
  type AuthProvider,
  describeProviders,
  findProvider,
  type TokenOrigin,
} from "./auth_provider.ts";
import type { UserPrincipal } from "./identity.ts";
import type { ProviderTokens, ProviderTokensOptions } from "./provider_tokens.ts";
import { parseTokenOrigin } from "./unverified_token.ts";

/** Of what a stranger's token says only so much belongs into a message. */
const shownLengthMax = 500;

export class TokenVerifier {
  readonly #options: ProviderTokensOptions;
  #providers: readonly AuthProvider[] = [];
  /** By the provider's JSON text; with the keys that have been fetched for it. */
  #verifiers = new Map<string, Promise<ProviderTokens>>();

  constructor(options: ProviderTokensOptions) {
    this.#options = options;
  }

  /** Replaces the providers; returns whether they differ from those before. */
  use(providers: readonly AuthProvider[]): boolean {
    if (JSON.stringify(providers) === JSON.stringify(this.#providers)) return false;
    this.#providers = providers;
    const used = new Set(providers.map((provider) => JSON.stringify(provider)));
    for (const key of this.#verifiers.keys()) if (!used.has(key)) this.#verifiers.delete(key);
    return true;
  }

  /** @throws RequestError that says why the token is refused, or cannot be verified now. */
  async verify(token: string): Promise<UserPrincipal> {
    const origin = parseTokenOrigin(token);
    const provider = findProvider(this.#providers, origin);
    if (provider === undefined) throw this.#noProvider(origin);
    const verifier = await this.#verifierOf(provider);
    return await verifier.verify(token, origin.issuer);
  }

  /** The library is loaded with the first token: most deployments of a machine have no users that sign in. */
  #verifierOf(provider: AuthProvider): Promise<ProviderTokens> {
    const key = JSON.stringify(provider);
    let verifier = this.#verifiers.get(key);
    if (verifier === undefined) {
      verifier = import("./provider_tokens.ts")
        .then(({ ProviderTokens }) => new ProviderTokens(provider, this.#options));
      this.#verifiers.set(key, verifier);
    }
    return verifier;
  }

  #noProvider({ issuer, audiences }: TokenOrigin): RequestError {
    const message = "No auth provider found matching the given token";
    if (this.#options.redact) return noAuthProvider(message);
    const shown = (value: unknown) => JSON.stringify(value).slice(0, shownLengthMax);
    return noAuthProvider(
      `${message} (issuer ${shown(issuer)}, audience ${
        shown(audiences)
      }). Check that your server's auth ` +
        `config matches the token. Configured providers: ${describeProviders(this.#providers)}.`,
    );
  }
}

function noAuthProvider(message: string): RequestError {
  return new RequestError("unauthenticated", "NoAuthProvider", message);
}
