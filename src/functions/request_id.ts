/** Ids of requests and executions, as they appear in error messages and logs. */
import { createHash } from "node:crypto";
import type { Environment } from "../environment.ts";

/** Id of a mutation or action on a socket whose session is known: the same whenever it is sent (sync-protocol 63). */
export function sessionRequestId(sessionId: string, requestId: number): string {
  return createHash("sha256").update(`${sessionId}|${requestId}`).digest("hex").slice(0, 16);
}

/** Random bytes are cheap by the page and dear by the piece. */
const pageBytes = 4096;

/** Makes random ids. */
export class RequestIds {
  readonly #environment: Environment;
  #page: Uint8Array = new Uint8Array(0);
  #used = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** 16 lower-case hex digits. */
  requestId(): string {
    return this.#hex(8);
  }

  /** 64 hex digits: the seed of one execution's random numbers. */
  seed(): string {
    return this.#hex(32);
  }

  #hex(bytes: number): string {
    if (this.#used + bytes > this.#page.length) {
      this.#page = this.#environment.randomBytes(pageBytes);
      this.#used = 0;
    }
    const start = this.#used;
    this.#used += bytes;
    return this.#page.subarray(start, this.#used).toHex();
  }
}
