/** Clients of the fixture `transactions` whose every effect is compared with what they were told of it. */
import assert from "node:assert/strict";
import type { ConvexClient, ConvexHttpClient } from "convex/browser";
import { api } from "./api.ts";
import type { SeededRandom } from "./random.ts";

interface Effect {
  readonly id: string;
  readonly number: number;
}

export interface LedgerOptions {
  readonly run: string;
  readonly client: string;
  readonly mutations: number;
  readonly random: SeededRandom;
}

export class LedgerClient {
  readonly #connection: ConvexClient;
  readonly #options: LedgerOptions;
  /** What the mutations returned, by number. */
  #mutations: string[] = [];
  /** What those actions returned that were answered, by number. */
  readonly #actions = new Map<number, string>();
  #actionsTried = 0;

  constructor(connection: ConvexClient, options: LedgerOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Keeps several mutations in flight, with an action now and then. Resolves when all are settled. */
  async write(): Promise<void> {
    const { run, client, mutations, random } = this.#options;
    const inFlight: Promise<string>[] = [];
    const actions: Promise<void>[] = [];
    for (let number = 0; number < mutations; number++) {
      inFlight.push(this.#connection.mutation(api.ledger.add, { run, client, number }));
      if (random.integer(8) === 0) actions.push(this.#act());
      if (random.integer(3) === 0) await inFlight[Math.max(0, number - random.integer(10))];
    }
    this.#mutations = await Promise.all(inFlight);
    await Promise.all(actions);
  }

  async #act(): Promise<void> {
    const { run, client } = this.#options;
    const number = this.#actionsTried++;
    try {
      const id = await this.#connection.action(api.ledger.act, { run, client, number });
      this.#actions.set(number, id);
    } catch {
      // The connection was lost meanwhile: nobody knows whether it ran, and it is not sent again.
    }
  }

  /**
   * Every mutation happened once, in order, as it was answered, and every one it scheduled once; every action at
   * most once.
   */
  async verify(http: ConvexHttpClient): Promise<void> {
    const { run, client } = this.#options;
    const list = async (kind: string): Promise<Effect[]> =>
      await http.query(api.ledger.list, { run, client, kind });
    const expected = this.#mutations.map((id, number) => ({ id, number }));
    assert.deepEqual(await list("mutation"), expected, `mutations of ${client}`);
    const actions = await list("action");
    const ids = new Map(actions.map(({ id, number }) => [number, id]));
    assert.equal(ids.size, actions.length, `an action of ${client} ran twice`);
    for (const [number, id] of this.#actions) {
      assert.equal(ids.get(number), id, `action ${number} of ${client} was answered`);
    }
    const numbers = async (kind: string) =>
      (await list(kind)).map(({ number }) => number).sort((a, b) => a - b);
    const scheduled = expected.map(({ number }) => number).filter((number) => number % 3 === 0);
    assert.deepEqual(await numbers("job"), scheduled, `mutations scheduled by ${client}`);
    const acted = await numbers("job action");
    assert.equal(new Set(acted).size, acted.length, `a scheduled action of ${client} ran twice`);
  }
}
