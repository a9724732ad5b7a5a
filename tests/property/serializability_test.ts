/**
 * Random transactions of many clients at once are strictly serializable: everything that mutations, queries and
 * subscriptions saw fits into one order that agrees with real time. A failure prints the seed of its round; the plans
 * of all clients follow from it (`HULL_TEST_SEED`), though not how they meet. `HULL_TEST_TRANSACTIONS` asks for more.
 */
import { addToApp, copyApp } from "../support/apps.ts";
import { seededRandom } from "../support/random.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { LiveClient } from "../support/serializability/live_client.ts";
import { runRound } from "../support/serializability/round.ts";

const transactions = Number(Deno.env.get("HULL_TEST_TRANSACTIONS") ?? 2400);
const perRound = 400;

interface Case {
  readonly name: string;
  /** Folder of the app. */
  readonly makeApp: () => Promise<string>;
  readonly transactions: number;
}

const cases: readonly Case[] = [
  {
    name:
      "I2, I4, semantics 11.1: random transactions of concurrent clients are strictly serializable",
    makeApp: () => copyApp("tests/fixtures/transactions"),
    transactions,
  },
  {
    name:
      "I2, components 14, semantics 111: so are those that span an app and its components, where calls fail and are undone",
    makeApp: makeSpreadApp,
    transactions: transactions / 6,
  },
];

/** The same app with its cells in components. */
async function makeSpreadApp(): Promise<string> {
  const app = await copyApp("tests/fixtures/transactions");
  await Deno.rename(`${app}/convex/cell_store.ts`, `${app}/convex/own_cells.ts`);
  await addToApp(app, "tests/fixtures/spread_transactions");
  return app;
}

for (const { name, makeApp, transactions } of cases) {
  Deno.test({
    name,
    // The npm client keeps back-off timers for a moment after close().
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const { seed: firstSeed } = seededRandom();
      const app = await makeApp();
      await using server = await RestartingServer.start(app, { HULL_TRANSACTION_ISOLATES: "3" });
      await Deno.remove(app, { recursive: true });
      const { url } = server;
      const liveClients = Array.from({ length: 8 }, (_, n) => new LiveClient(url, `live${n}`));
      for (let n = 0; n < transactions / perRound; n++) {
        const seed = firstSeed + n;
        const keys = [4, 12, 40][seed % 3]!;
        const options = { httpUrl: url, httpClients: 8, liveClients, transactions: perRound, keys };
        try {
          const result = await runRound({ ...options, name: `round ${n}`, seed });
          console.log(`seed ${seed}, ${keys} keys: ${JSON.stringify(result)}`);
        } catch (error) {
          throw new Error(`HULL_TEST_SEED=${seed} has the same plans`, { cause: error });
        }
      }
      await Promise.all(liveClients.map((client) => client.close()));
    },
  });
}
