/**
 * Calls that wait, by the client that made them: first in, first out for each client, and whose turn it is among
 * clients is for the rank to say. So who has a thousand calls waiting delays the others by what runs, not by what
 * waits.
 */
export class FairQueue<T extends { readonly client: string }> {
  /** In the order in which they began to wait; none is empty. */
  readonly #queues = new Map<string, T[]>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(call: T): void {
    this.#size++;
    const queue = this.#queues.get(call.client);
    if (queue === undefined) this.#queues.set(call.client, [call]);
    else queue.push(call);
  }

  /** Puts calls back, each before all others of its client, in the given order. */
  unshift(calls: readonly T[]): void {
    for (const call of calls.toReversed()) {
      this.#size++;
      const queue = this.#queues.get(call.client);
      if (queue === undefined) this.#queues.set(call.client, [call]);
      else queue.unshift(call);
    }
  }

  /**
   * The oldest call of the client with the lowest rank; of equal ones the client that has been waiting for longer.
   * No rank is below `lowest`, which spares looking further. A client of rank Infinity has to wait.
   */
  first(rank: (client: string) => number, lowest: number): T | undefined {
    let best: T | undefined;
    let bestRank = Infinity;
    for (const [client, queue] of this.#queues) {
      const clientRank = rank(client);
      if (clientRank >= bestRank) continue;
      best = queue[0]!;
      bestRank = clientRank;
      if (clientRank <= lowest) break;
    }
    return best;
  }

  remove(call: T): void {
    this.removeWhere((other) => other === call, call.client);
  }

  /** Takes out the calls that `isWanted` names, of one client or of all. */
  removeWhere(isWanted: (call: T) => boolean, client?: string): T[] {
    const removed: T[] = [];
    const clients = client === undefined ? [...this.#queues.keys()] : [client];
    for (const client of clients) {
      const queue = this.#queues.get(client);
      if (queue === undefined) continue;
      const kept: T[] = [];
      for (const call of queue) (isWanted(call) ? removed : kept).push(call);
      if (kept.length === queue.length) continue;
      if (kept.length > 0) this.#queues.set(client, kept);
      else this.#queues.delete(client);
    }
    this.#size -= removed.length;
    return removed;
  }

  /** Takes out the oldest call of a client that has one. */
  shift(client: string): T {
    const queue = this.#queues.get(client)!;
    const call = queue.shift()!;
    if (queue.length === 0) this.#queues.delete(client);
    this.#size--;
    return call;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const queue of this.#queues.values()) yield* queue;
  }
}
