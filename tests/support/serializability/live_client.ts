/** An unmodified client over its socket that writes, and watches several queries as one. */
import { BaseConvexClient } from "convex/browser";
import type { Observation, Step } from "../../fixtures/transactions/convex/steps.ts";
import type { Reported } from "./observations.ts";
import { type Outcome, outcomeOf, runFunction } from "./outcome.ts";

const lookFunction = "cells:look";

export class LiveClient {
  /** What it held after each transition, and when a mutation resolved: read-only transactions. */
  readonly snapshots: Reported[] = [];
  readonly #name: string;
  readonly #client: BaseConvexClient;
  readonly #watched: Record<string, string | readonly Step[]>[] = [];
  readonly #unsubscribe: (() => void)[] = [];
  /** Mutations that resolved since the last snapshot. */
  #resolved: string[] = [];
  /** Mutations of this round, in the order in which they were sent. */
  #sent: string[] = [];

  constructor(url: string, name: string) {
    this.#name = name;
    this.#client = new BaseConvexClient(url, (updated) => {
      if (updated.length > 0) this.#look();
    }, { logger: false });
  }

  /** Watches these reads of a round from now on, and nothing else; forgets the snapshots there were. */
  watch(round: string, queries: readonly (readonly Step[])[]): void {
    for (const unsubscribe of this.#unsubscribe.splice(0)) unsubscribe();
    this.#watched.length = 0;
    this.snapshots.length = 0;
    this.#resolved = [];
    this.#sent = [];
    for (const steps of queries) {
      const args = { round, transaction: "", steps };
      this.#watched.push(args);
      // deno-lint-ignore no-explicit-any -- readonly arrays are values, too
      this.#unsubscribe.push(this.#client.subscribe(lookFunction, args as any).unsubscribe);
    }
  }

  /** Runs a transaction after those it was given before. Survives any loss of connections. */
  async run(round: string, transaction: string, steps: readonly Step[]): Promise<Outcome> {
    const follows = [...this.#sent];
    this.#sent.push(transaction);
    const startedAt = performance.now();
    const outcome = await outcomeOf(
      // deno-lint-ignore no-explicit-any -- readonly arrays are values, too
      this.#client.mutation(runFunction, { round, transaction, steps } as any),
    );
    const report = { startedAt, endedAt: performance.now(), follows };
    if (outcome.kind === "committed") this.#resolved.push(transaction);
    this.#look();
    return { ...outcome, ...report };
  }

  async close(): Promise<void> {
    await this.#client.close();
  }

  #look(): void {
    const observations: Observation[] = [];
    for (const args of this.#watched) {
      // deno-lint-ignore no-explicit-any -- readonly arrays are values, too
      const result = this.#client.localQueryResult(lookFunction, args as any);
      if (result === undefined) continue;
      observations.push(...JSON.parse(result as string) as Observation[]);
    }
    const before = this.snapshots.at(-1);
    const follows = [...(before === undefined ? [] : [before.id]), ...this.#resolved.splice(0)];
    const id = `${this.#name} snapshot ${this.snapshots.length}`;
    const endedAt = performance.now();
    this.snapshots.push({ id, endedAt, follows, observations, committed: true });
  }
}
