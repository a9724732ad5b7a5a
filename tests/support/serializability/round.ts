/**
 * One round of random transactions: some clients run them one after the other over HTTP, some several at a time over
 * sockets and watch queries meanwhile. Then everything that anybody saw has to fit into one serial order.
 */
import assert from "node:assert/strict";
import { ConvexHttpClient } from "convex/browser";
import { api } from "../api.ts";
import { type SeededRandom, seededRandom } from "../random.ts";
import { eventually } from "../waiting.ts";
import { findAnomalies } from "./check.ts";
import type { LiveClient } from "./live_client.ts";
import { historyOf, type Reported } from "./observations.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { randomReads, randomSteps, type World } from "./random_steps.ts";

export interface RoundOptions {
  /** Unlike all others of the server. */
  readonly name: string;
  readonly seed: number;
  readonly httpUrl: string;
  readonly httpClients: number;
  readonly liveClients: readonly LiveClient[];
  /** Of all clients together. */
  readonly transactions: number;
  /** Few of them: nearly everything conflicts. */
  readonly keys: number;
}

export interface RoundResult {
  readonly committed: number;
  readonly failed: number;
  /** Whose answer was lost, whether or not they committed. */
  readonly unknown: number;
  readonly queries: number;
  readonly snapshots: number;
}

/** Throws if there is no such order. */
export async function runRound(options: RoundOptions): Promise<RoundResult> {
  const round = new Round(options);
  await round.run();
  return await round.check();
}

class Round {
  readonly #options: RoundOptions;
  readonly #http: ConvexHttpClient;
  readonly #world: World;
  /** Mutations by name. */
  readonly #outcomes = new Map<string, Outcome>();
  readonly #queries: Reported[] = [];

  constructor(options: RoundOptions) {
    this.#options = options;
    this.#http = new ConvexHttpClient(options.httpUrl, { logger: false });
    const names = (prefix: string, length: number) =>
      Array.from({ length }, (_, n) => `${prefix}${n}`);
    this.#world = {
      groups: names("group", 3),
      keys: names("key", options.keys),
      lastingKeys: names("lasting", 4),
      documents: [],
    };
  }

  async run(): Promise<void> {
    const { name: round, seed, httpClients, liveClients, transactions } = this.#options;
    const { keys, groups } = this.#world;
    const opening = { round, transaction: "open", keys: [...keys], group: groups[0]! };
    const startedAt = performance.now();
    const observations = await this.#http.mutation(api.cells.open, opening);
    const outcome = { kind: "committed" as const, observations, follows: [] };
    this.#outcomes.set("open", { ...outcome, startedAt, endedAt: performance.now() });
    const share = Math.ceil(transactions / (httpClients + liveClients.length));
    const random = (client: number) => seededRandom(seed * 1000 + client);
    await Promise.all([
      ...liveClients.map((client, n) => this.#drive(client, share, random(n), `live${n}`)),
      ...Array.from(
        { length: httpClients },
        (_, n) => this.#driveHttp(share, random(500 + n), `http${n}`),
      ),
    ]);
  }

  async #drive(
    client: LiveClient,
    transactions: number,
    random: SeededRandom,
    name: string,
  ): Promise<void> {
    const watched = Array.from({ length: 3 }, () => randomReads(random, this.#world));
    client.watch(this.#options.name, watched);
    const inFlight = new Set<Promise<void>>();
    for (let n = 0; n < transactions; n++) {
      const id = `${name}-${n}`;
      const steps = randomSteps(random, this.#world, id);
      const done = client.run(this.#options.name, id, steps)
        .then((outcome) => this.#ended(id, outcome))
        .finally(() => inFlight.delete(done));
      inFlight.add(done);
      if (inFlight.size > random.integer(4)) await Promise.race(inFlight);
    }
    await Promise.all(inFlight);
  }

  async #driveHttp(transactions: number, random: SeededRandom, name: string): Promise<void> {
    const { name: round } = this.#options;
    for (let n = 0; n < transactions; n++) {
      const id = `${name}-${n}`;
      const isQuery = random.integer(4) === 0;
      const steps = isQuery
        ? randomReads(random, this.#world)
        : randomSteps(random, this.#world, id);
      const args = { round, transaction: id, steps };
      const startedAt = performance.now();
      const answer = await outcomeOf(
        isQuery
          ? this.#http.query(api.cells.look, args)
          : this.#http.mutation(api.cells.run, args, { skipQueue: true }),
      );
      const outcome = { ...answer, startedAt, endedAt: performance.now(), follows: [] };
      if (!isQuery) this.#ended(id, outcome);
      else if (outcome.kind === "committed") this.#queries.push(report(id, outcome));
      // The server is down, or too much was asked of it.
      if (outcome.kind === "unknown") await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  #ended(id: string, outcome: Outcome): void {
    this.#outcomes.set(id, outcome);
    for (const observation of JSON.parse(outcome.observations)) {
      if (observation.saw !== "cells") continue;
      for (const { document } of observation.cells) this.#world.documents.push(document);
    }
    this.#world.documents.splice(0, this.#world.documents.length - 100);
  }

  async check(): Promise<RoundResult> {
    const { liveClients, name: round } = this.#options;
    const snapshots = liveClients.flatMap((client) => client.snapshots);
    const mutations = await this.#mutations();
    const reports = [...mutations, ...this.#queries, ...snapshots];
    const anomalies = findAnomalies(historyOf(reports));
    const involved = reports.filter(({ id }) =>
      anomalies.some(({ text }) => text.split(" ").includes(id))
    );
    assert.deepEqual(anomalies, [], `round ${round}: ${JSON.stringify(involved, null, 1)}`);
    await this.#whenUp(() => this.#http.mutation(api.cells.close, { round }));
    const count = (kind: Outcome["kind"]) =>
      [...this.#outcomes.values()].filter((outcome) => outcome.kind === kind).length;
    return {
      committed: count("committed"),
      failed: count("failed"),
      unknown: count("unknown"),
      queries: this.#queries.length,
      snapshots: snapshots.length,
    };
  }

  /** All that took effect, and those that threw; the journal knows what became of those nobody was told of. */
  async #mutations(): Promise<Reported[]> {
    const { name: round } = this.#options;
    const entries: { transaction: string; observations: string }[] = await this.#whenUp(() =>
      this.#http.query(api.cells.journal, { round })
    );
    const journal = new Map(
      entries.map(({ transaction, observations }) => [transaction, observations]),
    );
    assert.equal(journal.size, entries.length, "a transaction took effect twice");
    const reports: Reported[] = [];
    for (const [id, outcome] of this.#outcomes) {
      const journaled = journal.get(id);
      switch (outcome.kind) {
        case "committed":
          assert.equal(
            journaled,
            outcome.observations,
            `${id}: what was answered is what happened`,
          );
          reports.push(report(id, outcome));
          break;
        case "failed":
          assert.equal(journaled, undefined, `${id} threw and took effect`);
          reports.push({ ...report(id, outcome), follows: [] });
          break;
        case "unknown": {
          if (journaled === undefined) break;
          const { endedAt: _, ...known } = report(id, { ...outcome, observations: journaled });
          reports.push({ ...known, committed: true });
        }
      }
    }
    return reports;
  }

  /**
   * Of these mutations of one client, those that committed. One that threw leaves no record: when it is sent again
   * over a new connection, it runs again, then after those that were sent after it (sync-protocol 83).
   */
  #committed(ids: readonly string[]): string[] {
    return ids.filter((id) => this.#outcomes.get(id)?.kind === "committed");
  }

  async #whenUp<T>(call: () => Promise<T>): Promise<T> {
    return await eventually(() => call().catch(() => undefined), "the server to answer");
  }
}

function report(
  id: string,
  { kind, observations, startedAt, endedAt, follows }: Outcome,
): Reported {
  const committed = kind === "committed";
  return { id, startedAt, endedAt, follows, committed, observations: JSON.parse(observations) };
}
