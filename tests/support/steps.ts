/** Runs steps on `ctx` in the app `tests/fixtures/values`, see its `steps.ts`. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { api } from "./api.ts";

export interface StepOutcome {
  // deno-lint-ignore no-explicit-any -- whatever the step gave
  readonly value?: any;
  /** Message of what it threw, and its class. */
  readonly error?: string;
  readonly name?: string;
  // deno-lint-ignore no-explicit-any
  readonly data?: any;
}

type Step = readonly unknown[];

/** What each step gave or threw in a mutation. Steps see each other's writes. */
export async function write(client: ConvexHttpClient, ...steps: Step[]): Promise<StepOutcome[]> {
  return await client.mutation(api.steps.write, { steps });
}

/** The same with the function library's own `ctx`. */
export async function writeThroughLibrary(
  client: ConvexHttpClient,
  ...steps: Step[]
): Promise<StepOutcome[]> {
  return await client.mutation(api.steps.writeThroughLibrary, { steps });
}

/** The same in a query. */
export async function read(client: ConvexHttpClient, ...steps: Step[]): Promise<StepOutcome[]> {
  return await client.query(api.steps.read, { steps });
}

/**
 * The same in a mutation, and proves that the function library's own `ctx` does just the same. The steps must
 * not depend on what was stored before.
 */
export async function writeBoth(
  client: ConvexHttpClient,
  ...steps: Step[]
): Promise<StepOutcome[]> {
  const outcomes = await write(client, ...steps);
  const throughLibrary = await writeThroughLibrary(client, ...steps);
  assert.deepEqual(withoutIdentity(throughLibrary), withoutIdentity(outcomes));
  return outcomes;
}

/** Ids, times and cursors differ from run to run. */
function withoutIdentity(value: unknown): unknown {
  if (typeof value === "string") {
    return value.replaceAll(/\b[0-9a-z]{31,37}\b/g, "ID").replaceAll(/\b1\d{12}(\.\d+)?/g, "TIME");
  }
  if (typeof value === "bigint") return value > 1_500_000_000_000_000_000n ? "TIME" : value;
  if (Array.isArray(value)) return value.map(withoutIdentity);
  if (typeof value !== "object" || value === null || value instanceof ArrayBuffer) return value;
  return Object.fromEntries(
    Object.entries(value).filter(([field]) => !/^_creationTime$|Cursor$/.test(field))
      .map(([field, member]) => [field, withoutIdentity(member)]),
  );
}

/** The errors alone; null for a step that went well. */
export function errors(outcomes: readonly StepOutcome[]): (string | null)[] {
  return outcomes.map(({ error }) => error ?? null);
}
