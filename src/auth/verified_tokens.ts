/**
 * Users whose tokens were verified lately. To verify a signature takes several times as long as to answer a query
 * that is cached.
 */
import type { UserPrincipal } from "./identity.ts";

/** One that is forgotten is verified again; with their claims they take a few KB each. */
const tokensMax = 1000;

interface VerifiedToken {
  readonly user: UserPrincipal;
  /** Of the keys that verified it. */
  readonly keysVersion: number;
}

export class VerifiedTokens {
  /** By token, the oldest first. */
  readonly #tokens = new Map<string, VerifiedToken>();

  /** Undefined unless these very keys have verified the token, and it is not over. */
  get(token: string, keysVersion: number | null, nowMs: number): UserPrincipal | undefined {
    const verified = this.#tokens.get(token);
    if (verified === undefined) return undefined;
    const { user } = verified;
    const counts = verified.keysVersion === keysVersion && nowMs < user.expiresAt * 1000;
    return counts ? user : undefined;
  }

  /** `keysVersion`: of the fresh keys before the verification began; null if there were none. */
  add(user: UserPrincipal, keysVersion: number | null): void {
    if (keysVersion === null) return;
    this.#tokens.set(user.token, { user, keysVersion });
    const [oldest] = this.#tokens.keys();
    if (this.#tokens.size > tokensMax) this.#tokens.delete(oldest!);
  }
}
