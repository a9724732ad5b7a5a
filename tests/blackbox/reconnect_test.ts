/** Clients live through restarts: nothing acknowledged is lost, nothing is applied twice. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { watch } from "../support/clients.ts";
import { RestartingServer } from "../support/restarting_server.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "sync-protocol 84, 85: a clean restart loses and repeats no mutation",
  options,
  async () => {
    await using server = await RestartingServer.start("tests/fixtures/workshop");
    const client = server.clients.live();
    const name = "restart";
    const list = watch(client, api.entries.listByClient, { client: name });
    await list.until((numbers) => numbers.length === 0, "the first result");

    const numbers = Array.from({ length: 200 }, (_, number) => number);
    const pending = numbers.map((number) =>
      client.mutation(api.entries.addSlowly, { client: name, number })
    );
    await pending[20];
    await server.stop();
    await server.startAgain();

    assert.deepEqual(await Promise.all(pending), numbers);
    const final = await list.until((value) => value.length >= 200, "all entries");
    assert.deepEqual(final, numbers);
    assert.ok(client.connectionState().connectionCount > 1, "the client did not reconnect");
  },
);

Deno.test("functions, data and the admin key survive a restart", options, async () => {
  await using server = await RestartingServer.start("tests/fixtures/workshop");
  const client = server.clients.http();
  await client.mutation(api.counters.increment, { name: "kept" });
  const adminKey = server.current.adminKey;
  await server.stop();
  await server.startAgain();
  assert.equal(server.current.adminKey, adminKey);
  assert.equal(await client.query(api.counters.read, { name: "kept" }), 1);
  assert.equal(await client.mutation(api.counters.increment, { name: "kept" }), 2);
});

Deno.test(
  "sync-protocol 84c: an action in flight fails at its client, and is not repeated",
  options,
  async () => {
    await using server = await RestartingServer.start("tests/fixtures/workshop");
    const client = server.clients.live();
    const action = client.action(api.waiting.sleep, { ms: 60_000, label: "never" });
    action.catch(() => {});
    // The mutation was sent after the action: once it is answered, the action is running.
    await client.mutation(api.counters.increment, { name: "behind the action" });
    await server.kill();
    await server.startAgain();
    await assert.rejects(action, /Connection lost while action was in flight/);
    assert.equal(await client.mutation(api.counters.increment, { name: "behind the action" }), 2);
  },
);
