/** Arguments that calls over sockets wait or run with, by client: however many sockets it has, there is a bound. */
import { RequestError } from "../errors.ts";

export class HeldBytes {
  readonly #bytesMax: number;
  readonly #bytes = new Map<string, number>();

  /** `bytesMax`: of one client. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** @throws RequestError when the client would hold too much; one call may always have its arguments. */
  take(client: string, bytes: number): void {
    const held = this.#bytes.get(client) ?? 0;
    if (held > 0 && held + bytes > this.#bytesMax) throw tooMuch(this.#bytesMax);
    this.#bytes.set(client, held + bytes);
  }

  give(client: string, bytes: number): void {
    const held = (this.#bytes.get(client) ?? 0) - bytes;
    if (held > 0) this.#bytes.set(client, held);
    else this.#bytes.delete(client);
  }
}

function tooMuch(max: number): RequestError {
  return new RequestError(
    "rateLimited",
    "TooManyConcurrentRequests",
    `Too many calls with large arguments: those that wait or run may have ${max} bytes together. Try again later.`,
  );
}
