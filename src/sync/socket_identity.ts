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

/** An admin key may be withdrawn: how long a verification counts, in milliseconds. */
const adminTrustMs = 60_000;
const refusals = new Set(["unauthenticated", "forbidden", "badRequest"]);

export class SocketIdentity {
  readonly #verify: VerifyCredential;
  readonly #environment: Environment;
  #caller: Caller = { kind: "anonymous" };
  #credential: Credential = { tokenType: "None" };
  #verifiedAtMs = 0;

  constructor(verify: VerifyCredential, environment: Environment) {
    this.#verify = verify;
    this.#environment = environment;
  }

  get caller(): Caller {
    return this.#caller;
  }

  set(caller: Caller, credential: Credential): void {
    this.#caller = caller;
    this.#credential = credential;
    this.#verifiedAtMs = this.#environment.monotonicMs();
  }

  /**
   * To be called before anything is done for the caller; undefined when there is nothing to wait for.
   * @throws AuthenticationError when the identity has ended (sync-protocol 91, 92).
   */
  revalidate(version: number): Promise<void> | undefined {
    const caller = this.#caller;
    if (caller.kind === "user" && caller.expiresAt !== null) {
      if (this.#environment.nowMs() >= caller.expiresAt * 1000) {
        throw new AuthenticationError("Convex token identity expired", version, false);
      }
    }
    if (caller.kind !== "admin") return undefined;
    const ageMs = this.#environment.monotonicMs() - this.#verifiedAtMs;
    return ageMs > adminTrustMs ? this.#verifyAgain(version) : undefined;
  }

  async #verifyAgain(version: number): Promise<void> {
    const credential = this.#credential;
    const caller = await this.verify(credential, version);
    // Unless the client has presented another one meanwhile.
    if (credential === this.#credential) this.set(caller, credential);
  }

  /**
   * Who presents this credential. `baseVersion`: of the identity that stays if it is refused.
   * @throws AuthenticationError when it is.
   */
  async verify(credential: Credential, baseVersion: number): Promise<Caller> {
    if (credential.tokenType === "None") return { kind: "anonymous" };
    try {
      return await this.#verify(credential);
    } catch (error) {
      if (error instanceof RequestError && refusals.has(error.kind)) {
        throw new AuthenticationError(error.message, baseVersion, true);
      }
      throw error;
    }
  }
}
