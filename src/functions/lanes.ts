/**
 * Which mutations run one after the other.
 *
 * Mutations that keep changing the same documents conflict when they run side by side, and each conflict
 * is work for nothing. On one lane they run on one isolate, each on top of the one before, and commit as a
 * pipeline. So a function whose commits often meet conflicts moves to the lane of the table it meets them
 * in, together with every other function that does, and leaves it when that has become rare. A rare
 * conflict is cheaper to retry than to avoid: everything else on the lane would wait its turn for nothing.
 */
import type { Environment } from "../environment.ts";
import type { DeployedFunction } from "./function_table.ts";

/** So many meetings within so many milliseconds are often; fewer retries than that hurt nobody. */
const meetingsMin = 16;
const windowMs = 1_000;

interface Contention {
  /** Of the newest conflict whose table is known. */
  lane: string;
  /** When the newest meetings were, at most `meetingsMin` of them, oldest first. */
  readonly meetingsMs: number[];
}

export class Lanes {
  readonly #environment: Environment;
  readonly #contention = new WeakMap<DeployedFunction, Contention>();

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  /** Undefined: any isolate will do. */
  laneOf(mutation: DeployedFunction): string | undefined {
    const contention = this.#contention.get(mutation);
    if (contention === undefined || contention.meetingsMs.length < meetingsMin) return undefined;
    const isOften = this.#environment.monotonicMs() - contention.meetingsMs[0]! < windowMs;
    return isOften ? contention.lane : undefined;
  }

  /**
   * A commit of this mutation met another's; `table` says where. It is not known for a mutation that failed
   * with one it had built on: that one knows, and is the same function or shares its lane.
   */
  conflicted(mutation: DeployedFunction, table: string | undefined): void {
    let contention = this.#contention.get(mutation);
    if (contention === undefined) {
      contention = { lane: `function ${mutation.path}`, meetingsMs: [] };
      this.#contention.set(mutation, contention);
    }
    if (table !== undefined) contention.lane = `table ${table}`;
    this.#count(contention);
  }

  /** This mutation built on one that was not yet decided: without the lane they would have met. */
  builtOnUndecided(mutation: DeployedFunction): void {
    const contention = this.#contention.get(mutation);
    if (contention !== undefined) this.#count(contention);
  }

  #count({ meetingsMs }: Contention): void {
    meetingsMs.push(this.#environment.monotonicMs());
    if (meetingsMs.length > meetingsMin) meetingsMs.shift();
  }
}
