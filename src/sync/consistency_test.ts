/**
 * Clients, writers and a slow disk, at random: what each client holds after a transition is what its queries
 * answer at that transition's timestamp, and is on disk. A failure prints its seed (HULL_TEST_SEED).
 */
import assert from "node:assert/strict";
import { type FakeBackend, mutation, query } from "../../tests/support/fake_backend.ts";
import { settle } from "../../tests/support/fake_environment.ts";
import { type SeededRandom, seededRandom } from "../../tests/support/random.ts";
import { add, remove, startSync, type TestSocket } from "../../tests/support/sync_harness.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { decodeWireTimestamp } from "../database/wire_timestamp.ts";

const keys = ["a", "b", "c", "d"];

/** One client: its socket, what it has asked for, and what it has been told. */
class Client {
  readonly socket: TestSocket;
  /** Keys that each query reads, by query id. */
  readonly #reads: string[][] = [];
  /** Ids of the queries that it follows, and results by the ids of those that it was told. */
  readonly #asked = new Set<number>();
  readonly #held = new Map<number, string>();
  readonly #backend: FakeBackend;
  #version: unknown = { querySet: 0, identity: 0, ts: "AAAAAAAAAAA=" };
  #requests = 0;
  /** Commit timestamps of answered mutations that no transition has contained yet. */
  #uncovered: Timestamp[] = [];
  #readMessages = 0;

  constructor(socket: TestSocket, backend: FakeBackend) {
    this.socket = socket;
    this.#backend = backend;
  }

  act(random: SeededRandom): void {
    const action = random.integer(4);
    if (action === 0 || this.#asked.size === 0) {
      const read = keys.filter(() => random.integer(2) === 0);
      const id = this.#reads.push(read) - 1;
      this.#asked.add(id);
      const path = random.pick(["m:read", "m:readSlowly"]);
      this.socket.modify(add(id, path, { args: [{ keys: read }] }));
    } else if (action === 1) {
      const id = random.pick([...this.#asked]);
      this.#asked.delete(id);
      this.socket.modify(remove(id));
    } else this.socket.call("Mutation", this.#requests++, "m:write", { key: random.pick(keys) });
  }

  check(): void {
    const { messages, closed } = this.socket;
    assert.equal(closed, undefined);
    for (const message of messages.slice(this.#readMessages)) {
      if (message.type === "MutationResponse") this.#checkResponse(message.ts);
      if (message.type === "Transition") this.#checkTransition(message);
    }
    this.#readMessages = messages.length;
  }

  checkComplete(): void {
    assert.deepEqual([...this.#held.keys()].sort(), [...this.#asked].sort());
    assert.deepEqual(this.#uncovered, []);
    for (const id of this.#asked) {
      const answer = this.#answer(this.#reads[id]!, this.#backend.appliedTimestamp);
      assert.equal(this.#held.get(id), answer);
    }
  }

  #checkResponse(ts: string): void {
    const timestamp = decodeWireTimestamp(ts)!;
    const current = decodeWireTimestamp((this.#version as { ts: string }).ts)!;
    assert.ok(timestamp > current, "a transition came before the response of its mutation");
    this.#uncovered.push(timestamp);
  }

  // deno-lint-ignore no-explicit-any -- a message as the client parses it
  #checkTransition({ startVersion, endVersion, modifications }: any): void {
    assert.deepEqual(startVersion, this.#version);
    this.#version = endVersion;
    for (const { type, queryId, value } of modifications) {
      if (type === "QueryRemoved") this.#held.delete(queryId);
      else this.#held.set(queryId, JSON.stringify(value));
    }
    const timestamp = decodeWireTimestamp(endVersion.ts)!;
    assert.ok(timestamp <= this.#backend.durableTimestamp, "told before it was on disk");
    this.#uncovered = this.#uncovered.filter((covered) => covered > timestamp);
    for (const [id, value] of this.#held) {
      assert.equal(value, this.#answer(this.#reads[id]!, timestamp), `query ${id} at ${timestamp}`);
    }
  }

  #answer(read: readonly string[], timestamp: Timestamp): string {
    return `[${read.map((key) => this.#backend.valueAt(key, timestamp)).join(",")}]`;
  }
}

async function simulate(seed: number): Promise<void> {
  const random = seededRandom(seed);
  let writes = 0;
  const read = (args: string) => JSON.parse(args)[0].keys as string[];
  const harness = startSync({
    "m:read": query((context) =>
      `[${read(context.args).map((key) => context.read(key)).join(",")}]`
    ),
    "m:readSlowly": query(async (context) => {
      for (let i = random.integer(4); i > 0; i--) await settle();
      return `[${read(context.args).map((key) => context.read(key)).join(",")}]`;
    }),
    "m:write": mutation((context) => {
      const { key } = JSON.parse(context.args)[0];
      context.read(key);
      context.write(key, String(++writes));
      return "null";
    }),
  }, { config: { queryCacheBytesMax: random.pick([0, 3_000, 1_000_000]) } });
  const { backend, environment, open } = harness;
  const clients = Array.from({ length: 3 }, () => new Client(open(), backend));
  for (let step = 0; step < 60; step++) {
    switch (random.integer(6)) {
      case 0:
        backend.write({ [random.pick(keys)]: String(++writes) });
        break;
      case 1:
        backend.isDiskStuck = !backend.isDiskStuck;
        if (!backend.isDiskStuck) backend.syncDisk();
        break;
      case 2:
        await environment.advance(random.integer(30));
        break;
      default:
        random.pick(clients).act(random);
    }
    if (random.integer(3) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    for (const client of clients) client.check();
  }
  backend.isDiskStuck = false;
  backend.syncDisk();
  await environment.advance(10_000);
  for (const client of clients) {
    client.check();
    client.checkComplete();
  }
}

Deno.test("I4, sync-protocol rule 49: clients hold consistent, durable and complete states at random", async () => {
  const { seed } = seededRandom();
  for (let run = 0; run < 40; run++) {
    try {
      await simulate(seed + run);
    } catch (error) {
      throw new Error(`HULL_TEST_SEED=${seed + run}`, { cause: error });
    }
  }
});
