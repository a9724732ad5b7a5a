/**
 * What each client has had of the isolates, for start-time fair queueing: the next call is of the client that has had
 * least. Calls differ in cost, so time counts, not calls.
 *
 * Who begins to ask, or comes back, starts where the client stands whose turn it was last: it neither has to make up
 * for what the others had before, nor saves up. What a client has had beyond the others is forgiven above `debtMsMax`:
 * one long call must not shut it out for as long again.
 */

const debtMsMax = 250;
/** How long a client that calls nothing more counts as one that does, in milliseconds. */
const activeMs = 1_000;
/** How long it is reckoned with that it may call again. */
const rememberedMs = 60_000;

interface Share {
  /** Of isolates, in milliseconds; comparable between clients alone. */
  usedMs: number;
  lastCallMs: number;
  /** That wait or run. */
  calls: number;
  isActive: boolean;
}

export class ClientShares {
  readonly #shares = new Map<string, Share>();
  /** What the client had used whose turn it was last. Nobody that waits has used less. */
  #currentMs = 0;
  #activeCount = 0;
  #sweptAtMs = 0;

  /** A rank that no client's is below; see `FairQueue.first`. */
  get lowest(): number {
    return this.#currentMs;
  }

  /** Whether there have been several clients in the last minute. */
  get areSeveral(): boolean {
    return this.#shares.size > 1;
  }

  /** Whether several clients have been calling a moment ago. */
  get areSeveralActive(): boolean {
    return this.#activeCount > 1;
  }

  usedMs(client: string): number {
    return this.#shares.get(client)!.usedMs;
  }

  /** A call begins to wait. */
  arrived(client: string, nowMs: number): void {
    this.#sweep(nowMs);
    let share = this.#shares.get(client);
    if (share === undefined) {
      share = { usedMs: 0, lastCallMs: 0, calls: 0, isActive: false };
      this.#shares.set(client, share);
    }
    if (share.calls === 0) share.usedMs = Math.max(share.usedMs, this.#currentMs);
    if (!share.isActive) this.#activeCount++;
    share.isActive = true;
    share.lastCallMs = nowMs;
    share.calls++;
  }

  /** It is this client's turn. */
  chosen(client: string): void {
    this.#currentMs = Math.max(this.#currentMs, this.usedMs(client));
  }

  /** An isolate was busy with a call. */
  used(client: string, ms: number): void {
    const share = this.#shares.get(client)!;
    share.usedMs = Math.max(share.usedMs, Math.min(share.usedMs + ms, this.#currentMs + debtMsMax));
  }

  /** A call neither waits nor runs any more. */
  left(client: string): void {
    this.#shares.get(client)!.calls--;
  }

  /** Forgets who has been silent. */
  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < activeMs) return;
    this.#sweptAtMs = nowMs;
    this.#activeCount = 0;
    for (const [client, share] of this.#shares) {
      const silentMs = share.calls > 0 ? 0 : nowMs - share.lastCallMs;
      share.isActive = silentMs < activeMs;
      if (share.isActive) this.#activeCount++;
      if (silentMs >= rememberedMs) this.#shares.delete(client);
    }
  }
}
