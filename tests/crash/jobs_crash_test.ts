/** Thousands of scheduled functions that are due at once, on a server that is killed while it runs them. */
import assert from "node:assert/strict";
import { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { seededRandom } from "../support/random.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { eventually } from "../support/waiting.ts";

const thousands = 2;
const kills = Number(Deno.env.get("HULL_TEST_KILLS") ?? 3);

Deno.test({
  name:
    "I9, semantics 13.2, 88: of thousands of jobs on a server that is killed, mutations happen once and actions at most once",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const random = seededRandom();
    console.log(`seed ${random.seed}`);
    await using server = await RestartingServer.start("tests/fixtures/transactions");
    const http = new ConvexHttpClient(server.url);
    const effect = { run: "jobs", client: "c" };
    for (let n = 0; n < thousands; n++) {
      await http.mutation(api.ledger.schedule, { ...effect, number: n * 1000 });
    }
    const effects = async (kind: string) => {
      const list: { number: number }[] = await http.query(api.ledger.list, { ...effect, kind });
      return list.map(({ number }) => number);
    };
    for (let n = 0; n < kills; n++) {
      // At no particular point, but with work done since the last kill.
      const enough = (await effects("job")).length + random.integer(300);
      await eventually(
        async () => (await effects("job")).length > enough || undefined,
        "jobs to run",
      );
      await server.kill();
      await server.startAgain();
    }
    const left = await http.query(api.ledger.jobsLeft, {});
    assert.ok(left > 0, "everything had ended before the last kill: the test proves nothing");
    const startedAt = performance.now();
    const jobsAreOver = async () => await http.query(api.ledger.jobsLeft, {}) === 0 || undefined;
    await eventually(jobsAreOver, "every scheduled function to end", 60_000);
    console.log(`${left} jobs in ${Math.round(performance.now() - startedAt)} ms`);

    const mutations = await effects("job");
    const expected = Array.from({ length: thousands * 1000 }, (_, n) => n).filter((n) => n % 10);
    assert.deepEqual(mutations.toSorted((a, b) => a - b), expected, "mutations, each once");
    const places = new Map(expected.map((number, place) => [number, place]));
    const furthest = Math.max(...mutations.map((number, i) => Math.abs(places.get(number)! - i)));
    assert.ok(furthest < 100, `a job ran ${furthest} places away from its turn`);
    const actions = await effects("job action");
    assert.equal(new Set(actions).size, actions.length, "an action ran twice");
    const { success = 0, failed = 0, ...others } = await http.query(api.ledger.jobStates, {});
    assert.deepEqual(others, {});
    assert.equal(success + failed, thousands * 1000);
    // At most those that were running when the server was killed.
    assert.ok(failed <= kills * 8, `${failed} actions were cut off`);
    assert.ok(actions.length >= success - mutations.length, "what succeeded had its effect");
  },
});
