/** Who is at the other end of a socket, and until when that is believed (sync-protocol 13). */
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import type { Caller } from "../functions/functions.ts";
import { AuthenticationError } from "./ending.ts";
import type { Credential } from "./protocol.ts";

/**
 * Verifies what a client presents.
 * @throws RequestError: unauthenticated, forbidden or badRequest when it is refused; anything else when it
 * could not be verified now.
 */
export type VerifyCredential = (credential: Credential) => Caller | Promise<Caller>;

/** What a client presented, and whom that was found to be. */
export interface VerifiedIdentity {
  readonly caller: Caller;
  readonly credential: Credential;
  /** When the verification began: by the clock, and by the count of changes of the providers. */
  readonly atMs: number;
  readonly providers: number;
}

/** An admin key may be withdrawn: how long a verification counts, in milliseconds. */
const adminTrustMs = 60_000;
const refusals = new Set(["unauthenticated", "forbidden", "badRequest"]);

export class SocketIdentity {
  readonly #verify: VerifyCredential;
  readonly #environment: Environment;
  /** How often the providers have changed. */
  #providers = 0;
  #current: VerifiedIdentity = {
    caller: { kind: "anonymous" },
    credential: { tokenType: "None" },
    atMs: 0,
    providers: 0,
  };

  constructor(verify: VerifyCredential, environment: Environment) {
    this.#verify = verify;
    this.#environment = environment;
  }

  get caller(): Caller {
    return this.#current.caller;
  }

  set(identity: VerifiedIdentity): void {
    this.#current = identity;
  }

  /** A user's token that was accepted may not be any more; that is found out when the user is needed next. */
  providersChanged(): void {
    this.#providers++;
  }

  /**
   * To be called before anything is done for the caller; undefined when there is nothing to wait for.
   * @throws AuthenticationError when the identity has ended (sync-protocol 91, 92).
   */
  revalidate(version: number): Promise<void> | undefined {
    const { caller, atMs, providers } = this.#current;
    switch (caller.kind) {
      case "user": {
        const { expiresAt } = caller;
        if (expiresAt !== null && this.#environment.nowMs() >= expiresAt * 1000) {
          throw new AuthenticationError("Convex token identity expired", version, false);
        }
        return providers === this.#providers ? undefined : this.#verifyAgain(version, false);
      }
      case "admin": {
        const ageMs = this.#environment.monotonicMs() - atMs;
        return ageMs > adminTrustMs ? this.#verifyAgain(version, true) : undefined;
      }
      default:
        return undefined;
    }
  }

  async #verifyAgain(version: number, isUpdate: boolean): Promise<void> {
    const { credential } = this.#current;
    const identity = await this.verify(credential, version, isUpdate);
    // Unless the client has presented another one meanwhile.
    if (credential === this.#current.credential) this.#current = identity;
  }

  /**
   * Who presents this credential. `baseVersion`: of the identity that stays if it is refused; `isUpdate`: whether
   * the client is told that an `Authenticate` was refused, and not that its identity has ended.
   * @throws AuthenticationError when it is refused.
   */
  async verify(
    credential: Credential,
    baseVersion: number,
    isUpdate = true,
  ): Promise<VerifiedIdentity> {
    const [atMs, providers] = [this.#environment.monotonicMs(), this.#providers];
    try {
      const caller: Caller = credential.tokenType === "None"
        ? { kind: "anonymous" }
        : await this.#verify(credential);
      return { caller, credential, atMs, providers };
    } catch (error) {
      if (error instanceof RequestError && refusals.has(error.kind)) {
        throw new AuthenticationError(error.message, baseVersion, isUpdate);
      }
      throw error;
    }
  }
}
