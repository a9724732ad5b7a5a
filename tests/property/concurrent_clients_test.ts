/**
 * Sixty-four clients at once: no increment is lost, money neither appears nor vanishes, and nobody who watches ever
 * sees a state in which it did.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ConvexClient } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });
const clientCount = 64;
const openingBalance = 100;
let runs = 0;

test("64 clients increment one counter: each gets its own number, none is lost", async ({ clients }) => {
  const name = "one for all";
  const perClient = 10;
  const counter = watch(clients.live(), api.counters.read, { name });
  await counter.until((value) => value === 0, "the first result");
  const results = await Promise.all(
    Array.from({ length: clientCount }, async () => {
      const client = clients.live();
      const own: number[] = [];
      for (let n = 0; n < perClient; n++) {
        own.push(await client.mutation(api.counters.increment, { name }));
      }
      return own;
    }),
  );
  const total = clientCount * perClient;
  assert.deepEqual(
    results.flat().sort((a, b) => a - b),
    Array.from({ length: total }, (_, n) => n + 1),
  );
  await counter.until((value) => value === total, "the last value");
  assertNeverBackwards(counter.history as number[]);
});

test("64 HTTP clients increment one counter at once: none is lost", async ({ clients }) => {
  const name = "over HTTP";
  const results: number[] = await Promise.all(
    Array.from(
      { length: clientCount },
      () => clients.http().mutation(api.counters.increment, { name }),
    ),
  );
  assert.deepEqual(
    results.sort((a, b) => a - b),
    Array.from({ length: clientCount }, (_, n) => n + 1),
  );
});

type Step =
  | { readonly kind: "increment" }
  | { readonly kind: "transfer"; from: number; to: number; amount: number }
  | { readonly kind: "burst"; readonly size: number };

const accountCount = 5;
const account = fc.nat({ max: accountCount - 1 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.constant<Step>({ kind: "increment" }),
  fc.record({
    kind: fc.constant<"transfer">("transfer"),
    from: account,
    to: account,
    amount: fc.integer({ min: 1, max: 80 }),
  }),
  fc.record({ kind: fc.constant<"burst">("burst"), size: fc.integer({ min: 2, max: 5 }) }),
);
/** What each client does, one list a client. */
const schedules = fc.array(fc.array(step, { maxLength: 6 }), {
  minLength: clientCount,
  maxLength: clientCount,
});

test("random schedules of increments and transfers keep both invariants for all who watch", async ({ clients }) => {
  const connections = Array.from({ length: clientCount }, () => clients.live());
  const watchers = [clients.live(), clients.live()];
  const property = fc.asyncProperty(schedules, async (plans) => {
    const run = runs++;
    const counter = `run ${run}`;
    const owners = Array.from({ length: accountCount }, (_, n) => `run ${run} account ${n}`);
    await connections[0]!.mutation(api.accounts.open, { owners, balance: openingBalance });
    const watched = watchers.map((client) => ({
      counter: watch(client, api.counters.read, { name: counter }),
      balances: watch(client, api.accounts.balancesOf, { owners }),
    }));
    const increments = await Promise.all(
      plans.map((plan, n) => follow(connections[n]!, plan, counter, owners)),
    );
    const expected = increments.flat().length;
    for (const { counter, balances } of watched) {
      await counter.until((value) => value === expected, `${expected} increments`);
      assertNeverBackwards(counter.history as number[]);
      for (const state of balances.history as number[][]) {
        assert.equal(state.reduce((a, b) => a + b, 0), accountCount * openingBalance);
        assert.ok(state.every((balance) => balance >= 0), `${state}`);
      }
      counter.unsubscribe();
      balances.unsubscribe();
    }
    assert.equal(new Set(increments.flat()).size, expected, "two increments got the same number");
  });
  await fc.assert(property, { numRuns: 4, endOnFailure: true });
});

/** Does what the plan says, one step after the other, and returns the numbers its increments got. */
async function follow(
  client: ConvexClient,
  plan: readonly Step[],
  counter: string,
  owners: readonly string[],
): Promise<number[]> {
  const numbers: number[] = [];
  const increment = async () => {
    numbers.push(await client.mutation(api.counters.increment, { name: counter }));
  };
  for (const step of plan) {
    switch (step.kind) {
      case "increment":
        await increment();
        break;
      case "burst":
        await Promise.all(Array.from({ length: step.size }, increment));
        break;
      case "transfer":
        await client.mutation(api.accounts.transfer, {
          from: owners[step.from],
          to: owners[step.to],
          amount: step.amount,
        });
        break;
    }
  }
  return numbers;
}

function assertNeverBackwards(values: readonly number[]): void {
  for (let n = 1; n < values.length; n++) {
    assert.ok(values[n]! >= values[n - 1]!, `a watcher saw ${values[n - 1]} and then ${values[n]}`);
  }
}
