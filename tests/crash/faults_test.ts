/**
 * The network cuts, delays and reorders connections, and the server is stopped and killed, while unmodified clients
 * run random transactions, keep a ledger, and watch. Nothing acknowledged is lost, nothing happens twice, and all
 * that anybody saw fits into one order. The seed brings back plans and faults, not how they meet;
 * `HULL_TEST_TRANSACTIONS` and `HULL_TEST_KILLS` ask for more.
 */
import assert from "node:assert/strict";
import { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { Clients } from "../support/clients.ts";
import { startFlakyProxy } from "../support/flaky_proxy.ts";
import { LedgerClient } from "../support/ledger.ts";
import { seededRandom } from "../support/random.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { LiveClient } from "../support/serializability/live_client.ts";
import { runRound } from "../support/serializability/round.ts";
import { eventually, within } from "../support/waiting.ts";

const transactions = Number(Deno.env.get("HULL_TEST_TRANSACTIONS") ?? 1200);
const perRound = 400;
const rounds = transactions / perRound;
const restarts = Number(Deno.env.get("HULL_TEST_KILLS") ?? 4);
const ledgerClients = 6;

Deno.test({
  name:
    "I2, I3, semantics 11.1, 11.3, 13.2, 73: transactions over a bad network to a server that is killed are strictly serializable and happen once",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const random = seededRandom();
    console.log(`seed ${random.seed}`);
    await using server = await RestartingServer.start("tests/fixtures/transactions");
    const proxy = await startFlakyProxy(server.url, {
      random,
      bytesMax: 300_000,
      breaksMax: 8 * rounds,
      delayMsMax: 8,
    });
    const flaky = new Clients(proxy);
    const liveClients = Array.from({ length: 6 }, (_, n) => new LiveClient(proxy.url, `live${n}`));
    const ledger = Array.from(
      { length: ledgerClients },
      (_, n) =>
        new LedgerClient(flaky.live(), {
          run: "faults",
          client: `ledger${n}`,
          mutations: transactions / ledgerClients,
          random: seededRandom(random.seed + n),
        }),
    );

    let isRunning = true;
    const disturb = async () => {
      for (let n = 0; n < restarts && isRunning; n++) {
        // Long enough for work to be under way, at no particular point of it.
        await new Promise((resolve) => setTimeout(resolve, 300 + random.integer(4000)));
        await (n % 4 === 3 ? server.stop() : server.kill());
        await server.startAgain();
      }
    };
    const transact = async () => {
      for (let n = 0; n < rounds; n++) {
        const result = await runRound({
          name: `round ${n}`,
          seed: random.seed + n,
          httpUrl: proxy.url,
          httpClients: 6,
          liveClients,
          transactions: perRound,
          keys: [12, 4, 40][n % 3]!,
        });
        console.log(JSON.stringify(result));
      }
    };
    const work = Promise.all([transact(), ...ledger.map((client) => client.write())]);
    await within(
      Promise.all([work.finally(() => isRunning = false), disturb()]),
      120_000 * Math.max(1, rounds / 4),
      "everything to settle",
    );
    const http = new ConvexHttpClient(server.url);
    const jobsAreOver = async () => await http.query(api.ledger.jobsLeft, {}) === 0 || undefined;
    await eventually(jobsAreOver, "every scheduled function to end", 60_000);
    for (const client of ledger) await client.verify(http);
    assert.ok(proxy.broken > 0, "no connection broke: the test proves nothing");
    await Promise.all([flaky.close(), ...liveClients.map((client) => client.close())]);
    await proxy.close();
  },
});
