/** What a client was told about a transaction of the fixture `transactions`. */
import { ConvexError } from "convex/values";

export const runFunction = "cells:run";

export interface Outcome {
  /** `failed`: it threw, and left nothing. `unknown`: the answer never came. */
  readonly kind: "committed" | "failed" | "unknown";
  /** As text. */
  readonly observations: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly follows: readonly string[];
}

export async function outcomeOf(
  answer: Promise<unknown>,
): Promise<Pick<Outcome, "kind" | "observations">> {
  try {
    return { kind: "committed", observations: await answer as string };
  } catch (error) {
    if (!(error instanceof ConvexError)) return { kind: "unknown", observations: "[]" };
    return { kind: "failed", observations: error.data };
  }
}
