/** The evaluation of a `convex.config.js`: what it says must not depend on when, or how often, it is asked (components 2.3). */
import { Execution } from "./execution.ts";
import { HostFailure } from "./failure.ts";
import type { SeededRandom } from "./globals/random.ts";

export class DefinitionExecution extends Execution {
  override now(): number {
    throw refusal("NoClockDuringDefinitionEvaluation", "the time");
  }

  override performanceNow(): number {
    return this.now();
  }

  override get random(): SeededRandom {
    throw refusal("NoRandomnessDuringDefinitionEvaluation", "randomness");
  }
}

function refusal(code: string, what: string): HostFailure {
  return new HostFailure(`${code}: \`convex.config.ts\` cannot use ${what}.`);
}
