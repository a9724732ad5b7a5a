/**
 * The server is killed without warning while clients write, and started again, several times over. Afterwards every
 * acknowledged mutation must be there exactly once: those over sockets whether or not they were replayed, those over
 * HTTP once if they were answered and at most once if they were not.
 */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { seededRandom } from "../support/random.ts";
import { RestartingServer } from "../support/restarting_server.ts";
import { within } from "../support/waiting.ts";

const kills = Number(Deno.env.get("HULL_TEST_KILLS") ?? 4);
const liveClients = 6;
const httpClients = 6;

Deno.test({
  name: "every acknowledged mutation survives SIGKILL exactly once",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const random = seededRandom();
    console.log(`seed ${random.seed}`);
    await using server = await RestartingServer.start("tests/fixtures/workshop");
    let writing = true;
    const live = Array.from(
      { length: liveClients },
      (_, n) => writeLive(server, `live ${n}`, () => writing),
    );
    const http = Array.from(
      { length: httpClients },
      (_, n) => writeOverHttp(server, `http ${n}`, () => writing),
    );
    for (let n = 0; n < kills; n++) {
      // Long enough for writes to be under way, at no particular point of them.
      await new Promise((resolve) => setTimeout(resolve, 300 + random.integer(900)));
      await server.kill();
      await server.startAgain();
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
    writing = false;

    const stored = async (client: string): Promise<number[]> =>
      await server.clients.http().query(api.entries.listByClient, { client });
    for (const writer of await within(Promise.all(live), 60_000, "every live mutation to settle")) {
      assert.deepEqual(await stored(writer.client), writer.acknowledged, writer.client);
      assert.ok(writer.acknowledged.length > 0, `${writer.client} wrote nothing`);
    }
    for (const writer of await within(Promise.all(http), 60_000, "every HTTP mutation to settle")) {
      const numbers = await stored(writer.client);
      assert.equal(new Set(numbers).size, numbers.length, `${writer.client} has an entry twice`);
      const lost = writer.acknowledged.filter((number) => !numbers.includes(number));
      assert.deepEqual(lost, [], `${writer.client} lost acknowledged entries`);
      assert.ok(writer.acknowledged.length > 0, `${writer.client} wrote nothing`);
    }
  },
});

interface Writer {
  readonly client: string;
  /** In the order in which they were acknowledged. */
  readonly acknowledged: readonly number[];
}

/** Keeps eight mutations in flight on one `ConvexClient`, which replays what a dead connection left open. */
async function writeLive(
  server: RestartingServer,
  client: string,
  isWriting: () => boolean,
): Promise<Writer> {
  const connection = server.clients.live();
  const acknowledged: number[] = [];
  const inFlight: Promise<unknown>[] = [];
  for (let number = 0; isWriting(); number++) {
    inFlight.push(
      connection.mutation(api.entries.add, { client, number })
        .then((answer) => acknowledged.push(answer)),
    );
    if (inFlight.length >= 8) await inFlight.shift();
  }
  await Promise.all(inFlight);
  return { client, acknowledged };
}

/** Writes one entry after the other; an answer that never came is neither acknowledged nor tried again. */
async function writeOverHttp(
  server: RestartingServer,
  client: string,
  isWriting: () => boolean,
): Promise<Writer> {
  const connection = server.clients.http();
  const acknowledged: number[] = [];
  for (let number = 0; isWriting(); number++) {
    try {
      acknowledged.push(
        await connection.mutation(api.entries.add, { client, number }, { skipQueue: true }),
      );
    } catch {
      // The server is down or went down meanwhile: whether this one was stored is unknown, which is allowed.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
  return { client, acknowledged };
}
