/**
 * Which mutations run one after the other.
 *
 * Mutations that keep changing the same documents conflict when they run side by side, and each conflict
 * is work for nothing. On one lane they run on one isolate, each on top of the one before, and commit as a
 * pipeline. So a function whose commit met a conflict moves to the lane of the table it met it in, together
 * with every other function that did, and leaves the lane when it has been quiet there for a while.
 */
import type { Environment } from "../environment.ts";
import type { DeployedFunction } from "./modules.ts";

/** Long enough that a steady trickle stays on its lane, short enough to spread out again after a burst. */
const quietMs = 1_000;

interface Assignment {
  readonly lane: string;
  until: number;
}

export class Lanes {
  readonly #environment: Environment;
  readonly #assignments = new WeakMap<DeployedFunction, Assignment>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Undefined: any isolate will do. */
  laneOf(mutation: DeployedFunction): string | undefined {
    const assignment = this.#assignments.get(mutation);
    if (assignment === undefined) return undefined;
    if (this.#environment.monotonicMs() < assignment.until) return assignment.lane;
    this.#assignments.delete(mutation);
    return undefined;
  }

  /** A commit of this mutation met another's; `table` says where, if that is known. */
  conflicted(mutation: DeployedFunction, table: string | undefined): void {
    const lane = table === undefined ? `function ${mutation.path}` : `table ${table}`;
    this.#assignments.set(mutation, { lane, until: this.#environment.monotonicMs() + quietMs });
  }

  /** This mutation built on one that was not yet committed: without the lane they would have conflicted. */
  wasUseful(mutation: DeployedFunction): void {
    const assignment = this.#assignments.get(mutation);
    if (assignment !== undefined) assignment.until = this.#environment.monotonicMs() + quietMs;
  }
}
