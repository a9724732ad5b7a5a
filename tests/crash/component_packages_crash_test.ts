/** Work in the background, as published components do it, on a server that is killed in the middle. */
import assert from "node:assert/strict";
import { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { packageAppFolder } from "../support/package_app.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { eventually } from "../support/waiting.ts";

/**
 * The work pool notices after five minutes that a server took an action down with it. `HULL_TEST_RECOVERY=1` waits
 * for that; otherwise the test is over when all others have completed.
 */
const recoveryIsAwaited = Deno.env.get("HULL_TEST_RECOVERY") === "1";
const recoveryMaxMs = 8 * 60_000;
const parallelMax = 5;
const actions = 100;

interface Completion {
  readonly i: number;
  readonly kind: string;
}

Deno.test({
  name:
    "components 32, 33: work pools and workflows go on after a kill, and complete everything once",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const app = await packageAppFolder();
    await using server = await RestartingServer.start(app);
    await Deno.remove(app, { recursive: true });
    const http = new ConvexHttpClient(server.url);
    const flow = await http.mutation(api.flows.begin, {
      flow: "threeSteps",
      args: { name: "Ada", sleepMs: 4_000 },
    });
    const hasSteps = async () => await http.query(api.flows.steps, { id: flow }) >= 3 || undefined;
    await eventually(hasSteps, "the workflow to fall asleep", 30_000);
    for (let from = 0; from < actions; from += 25) {
      await http.mutation(api.work.enqueue, { from, count: 25, delayMs: 20 });
    }
    const completions = (): Promise<Completion[]> => http.query(api.work.completions, {});
    const completed = async (count: number, timeoutMs: number) =>
      await eventually(
        async () => {
          const all = await completions();
          return all.length >= count ? all : undefined;
        },
        `${count} completions`,
        timeoutMs,
      );
    const before = await completed(20, 60_000);
    assert.ok(before.length < actions, "all was over before the kill: the test proves nothing");
    await server.kill();
    await server.startAgain();

    const all = recoveryIsAwaited
      ? await completed(actions, recoveryMaxMs)
      : await completed(actions - parallelMax, 90_000);
    const numbers = all.map(({ i }) => i);
    assert.equal(new Set(numbers).size, numbers.length, "each completes once");
    const failed = all.filter(({ kind }) => kind !== "success");
    assert.ok(failed.length <= parallelMax, `${failed.length} were cut off`);
    const [result] = await eventually(
      async () => {
        const results = await http.query(api.flows.results, { id: flow });
        return results.length > 0 ? results : undefined;
      },
      "the end of the workflow",
      60_000,
    );
    assert.equal(result.kind, "success");
    assert.deepEqual(await http.query(api.flows.notes, {}), ["HELLO ADA"]);
  },
});
