/**
 * The keys that one provider signs with, kept in memory:
 *
 *     nothing ──first token──► fresh ──its time is over──► stale ──next token──► fetched again
 *                                └──a key that is not among them──────────────────────┘
 *
 * All who wait share one fetch, and there are only so many fetches a minute, so that neither many tokens nor
 * tokens with made-up keys burden the provider. While it cannot be reached its last keys go on to count, and
 * after the first nobody waits to hear that it still cannot.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { Environment } from "../environment.ts";
import { type ProviderDocument, ProviderDocumentError } from "./provider_document.ts";

/** How long keys are fresh when the provider does not say, and the bounds of what it may say, in milliseconds. */
const freshMsDefault = 10 * 60_000;
const freshMsMin = 60_000;
const freshMsMax = 60 * 60_000;
/** How long keys count when they cannot be fetched again, in milliseconds. */
const staleMsMax = 24 * 60 * 60_000;
/** Fetches a minute; a provider that rotates its keys needs one. */
const fetchesPerMinuteMax = 5;

export class KeySet {
  readonly #fetch: () => Promise<ProviderDocument>;
  readonly #environment: Environment;
  #keys: JWTVerifyGetKey | undefined;
  /** How often keys have come. */
  #version = 0;
  #fetchedAtMs = 0;
  #freshMs = 0;
  #fetching: Promise<JWTVerifyGetKey> | undefined;
  /** When the newest fetches began, oldest first. */
  readonly #fetches: number[] = [];
  /** Why the last fetch failed; undefined when it did not. */
  #failure: unknown;

  constructor(fetch: () => Promise<ProviderDocument>, environment: Environment) {
    this.#fetch = fetch;
    this.#environment = environment;
  }

  /** Tells the keys apart from those before; null while there are none that are fresh. */
  get freshVersion(): number | null {
    return this.#keys !== undefined && this.#ageMs <= this.#freshMs ? this.#version : null;
  }

  /**
   * Finds the key of a token; to be given to jose.
   * @throws what the fetch throws when there are no keys, and jose's errors when none of them is the token's.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const keys = await this.#current();
    try {
      return await keys(header, token);
    } catch (error) {
      // It may be new.
      if (!(error instanceof errors.JWKSNoMatchingKey) || !this.#mayFetch()) throw error;
      return await (await this.#fetchAgain())(header, token);
    }
  };

  get #ageMs(): number {
    return this.#environment.monotonicMs() - this.#fetchedAtMs;
  }

  async #current(): Promise<JWTVerifyGetKey> {
    if (this.#keys !== undefined && this.freshVersion !== null) return this.#keys;
    const fetched = this.#fetchAgain();
    try {
      return this.#keysOfOutage ?? await fetched;
    } catch (error) {
      if (this.#keysOfOutage === undefined) throw error;
      return this.#keysOfOutage;
    } finally {
      fetched.catch(() => {}); // What went wrong is in #failure.
    }
  }

  /** The last keys, while they stand in for those that cannot be fetched. */
  get #keysOfOutage(): JWTVerifyGetKey | undefined {
    const isOutage = this.#failure instanceof ProviderDocumentError && this.#failure.isTransient;
    return isOutage && this.#ageMs <= staleMsMax ? this.#keys : undefined;
  }

  async #fetchAgain(): Promise<JWTVerifyGetKey> {
    if (!this.#mayFetch()) throw this.#failure;
    return await (this.#fetching ??= this.#load().finally(() => this.#fetching = undefined));
  }

  /** Whether a fetch is under way, or there have been few enough. */
  #mayFetch(): boolean {
    if (this.#fetching !== undefined) return true;
    const now = this.#environment.monotonicMs();
    while (this.#fetches.length > 0 && now - this.#fetches[0]! >= 60_000) this.#fetches.shift();
    return this.#fetches.length < fetchesPerMinuteMax;
  }

  async #load(): Promise<JWTVerifyGetKey> {
    this.#fetches.push(this.#environment.monotonicMs());
    try {
      const { json, maxAgeS } = await this.#fetch();
      this.#keys = createLocalJWKSet(json as JSONWebKeySet);
      this.#version++;
      this.#fetchedAtMs = this.#environment.monotonicMs();
      this.#freshMs = maxAgeS === null
        ? freshMsDefault
        : Math.min(Math.max(maxAgeS * 1000, freshMsMin), freshMsMax);
      this.#failure = undefined;
      return this.#keys;
    } catch (error) {
      this.#failure = error;
      throw error;
    }
  }
}
