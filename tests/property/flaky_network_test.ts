/**
 * Connections break at random bytes while clients write: every mutation is applied exactly once and in order, every
 * promise settles, and a live query passes through states of the one history that there was.
 */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { Clients, watch } from "../support/clients.ts";
import { startFlakyProxy } from "../support/flaky_proxy.ts";
import { seededRandom } from "../support/random.ts";
import { within } from "../support/waiting.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });
const clientCount = 8;
const mutationsPerClient = 60;

test("mutations over breaking connections are applied exactly once and in order", async ({ server, clients }) => {
  const random = seededRandom();
  console.log(`seed ${random.seed}`);
  const proxy = await startFlakyProxy(server.url, { random, bytesMax: 12_000, breaksMax: 20 });
  const flaky = new Clients(proxy);
  const numbers = Array.from({ length: mutationsPerClient }, (_, number) => number);
  const watched = numbers.slice(0, 2).map((n) =>
    watch(flaky.live(), api.entries.listByClient, { client: `flaky ${n}` })
  );

  const write = async (client: string) => {
    const connection = flaky.live();
    const inFlight: Promise<unknown>[] = [];
    for (const number of numbers) {
      inFlight.push(connection.mutation(api.entries.add, { client, number }));
      if (random.integer(4) === 0) await inFlight[random.integer(inFlight.length)];
    }
    return await Promise.all(inFlight);
  };
  const results = await within(
    Promise.all(Array.from({ length: clientCount }, (_, n) => write(`flaky ${n}`))),
    50_000,
    "every mutation to settle",
  );

  assert.equal(proxy.broken, 20, "too few connections broke: the test proves nothing");
  for (let n = 0; n < clientCount; n++) {
    assert.deepEqual(results[n], numbers);
    const stored = await clients.http().query(api.entries.listByClient, { client: `flaky ${n}` });
    assert.deepEqual(stored, numbers, `client ${n}`);
  }
  for (const list of watched) {
    await list.until((value) => value.length === mutationsPerClient, "the final list");
    for (const state of list.history as number[][]) {
      assert.deepEqual(state, numbers.slice(0, state.length));
    }
  }
  await flaky.close();
  await proxy.close();
});
