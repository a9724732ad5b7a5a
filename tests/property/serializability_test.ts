/**
 * Random transactions of many clients at once are strictly serializable: everything that mutations, queries and
 * subscriptions saw fits into one order that agrees with real time. A failure prints the seed of its round; the plans
 * of all clients follow from it (`HULL_TEST_SEED`), though not how they meet. `HULL_TEST_TRANSACTIONS` asks for more.
 */
import { seededRandom } from "../support/random.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { LiveClient } from "../support/serializability/live_client.ts";
import { runRound } from "../support/serializability/round.ts";

const transactions = Number(Deno.env.get("HULL_TEST_TRANSACTIONS") ?? 2400);
const perRound = 400;

Deno.test({
  name:
    "I2, I4, semantics 11.1: random transactions of concurrent clients are strictly serializable",
  // The npm client keeps back-off timers for a moment after close().
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { seed: firstSeed } = seededRandom();
    await using server = await RestartingServer.start("tests/fixtures/transactions", {
      HULL_TRANSACTION_ISOLATES: "3",
    });
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
