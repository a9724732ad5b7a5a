/**
 * `HULL_TEST_SEED` brings a run back, `HULL_TEST_RUNS` asks for more of them. That the simulation notices what it is
 * for is shown by breaking the server in each of the ways that must not be.
 */
import assert from "node:assert/strict";
import { InvariantError } from "../../src/assert.ts";
import { keySuccessor } from "../../src/values/index_key.ts";
import { seededRandom } from "../support/random.ts";
import { noEncounters } from "./encounters.ts";
import type { Sabotage } from "./simulated_server.ts";
import { Simulation } from "./simulation.ts";

const runs = Number(Deno.env.get("HULL_TEST_RUNS") ?? 40);
/** A broken server is noticed in one run of very few. */
const sabotagedRuns = 100;

Deno.test("I2, I3: simulated commits are serializable, acknowledged ones survive, and none happens twice", async () => {
  const { seed: firstSeed } = seededRandom();
  const encounters = noEncounters();
  for (let seed = firstSeed; seed < firstSeed + runs; seed++) {
    try {
      await new Simulation(seed, encounters).run();
    } catch (error) {
      throw new Error(`HULL_TEST_SEED=${seed} HULL_TEST_RUNS=1 brings this back`, { cause: error });
    }
  }
  if (runs < 10) return;
  for (const [what, times] of Object.entries(encounters)) {
    assert.ok(
      times > 0,
      `no ${what} in ${runs} runs from ${firstSeed}: ${JSON.stringify(encounters)}`,
    );
  }
});

const sabotages: Readonly<Record<string, Sabotage>> = {
  "nothing is checked for conflicts": {
    request: (request) => ({ ...request, reads: [] }),
  },
  "only single keys are checked for conflicts, not ranges": {
    request: ({ reads, ...request }) => ({
      ...request,
      reads: reads.map(([index, intervals]) =>
        [index, intervals.filter(({ lower, upper }) => upper === keySuccessor(lower))] as const
      ),
    }),
  },
  "a transaction may commit on top of one that did not": {
    request: (request, committed) => ({
      ...request,
      dependsOn: request.dependsOn.filter((sequence) =>
        committed.has(`${request.origin!.isolate}:${sequence}`)
      ),
    }),
  },
  "a request that was sent again runs again": {
    writer: (writer) => writer.getSessionRecord = () => undefined,
  },
  "clients are answered before anything is on disk": { answersEarly: true },
  "the disk says it has what it has not": {
    writer: (writer) => writer.sync = () => Promise.resolve(),
  },
  "indexes that came or went meanwhile are not noticed": {
    request: (request) => ({ ...request, structureVersion: 0 }),
    writer: (writer) => {
      const catalog = () => Reflect.get(Object.getPrototypeOf(writer), "catalog", writer);
      const get = () => ({ ...catalog(), structureVersion: 0 });
      Object.defineProperty(writer, "catalog", { get });
    },
  },
};

for (const [what, sabotage] of Object.entries(sabotages)) {
  Deno.test(`simulation notices when ${what}`, async () => {
    const { seed } = seededRandom();
    for (let n = 0; n < sabotagedRuns; n++) {
      try {
        await new Simulation(seed + n, noEncounters(), sabotage).run();
      } catch (error) {
        // Either by what the simulation checks or by what the engine itself does.
        if (error instanceof assert.AssertionError || error instanceof InvariantError) return;
        throw error;
      }
    }
    assert.fail(`not in ${sabotagedRuns} runs from seed ${seed}`);
  });
}
