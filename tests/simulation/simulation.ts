/** Clients, isolates and the committer under random schedules, delays, faults, clock steps and crashes. */
import assert from "node:assert/strict";
import {
  byIdIndexId,
  type IndexDefinition,
  type IndexId,
  type TableNumber,
} from "../../src/database/catalog.ts";
import { appComponent } from "../../src/database/component.ts";
import type { Timestamp } from "../../src/database/timestamp.ts";
import { MemoryPersistence } from "../../src/persistence/memory.ts";
import { PersistenceError } from "../../src/persistence/persistence_error.ts";
import type { CommitOutcome } from "../../src/committer/protocol.ts";
import type {
  CatalogChange,
  Snapshot,
  TransactionOrigin,
} from "../../src/persistence/persistence.ts";
import type { DeployedFunction } from "../../src/functions/function_table.ts";
import { lowestKey } from "../../src/values/index_key.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";
import type { Encounters } from "./encounters.ts";
import { History, type Item, sorted, type TransactionRecord } from "./history.ts";
import {
  itemIndexes,
  itemsTable,
  type SimulatedIsolate,
  sortedItems,
} from "./simulated_isolate.ts";
import { type Sabotage, SimulatedServer } from "./simulated_server.ts";
import { type Body, randomBody } from "./random_mutations.ts";
import { VirtualTime } from "./virtual_time.ts";

const lives = 4;
/** Most lives are short, some long enough for a lane to be opened. */
const commitsPerLife = [60, 60, 400];
const isolates = 3;
/** Functions of the server: it counts the conflicts of each. */
const targets = ["m:one", "m:other"].map((path) => ({ path }) as DeployedFunction);
const everything = { lower: lowestKey, upper: null };

interface Mutation {
  /** What the server knows of it: its name. */
  readonly target: DeployedFunction;
  readonly body: Body;
}

/** A client has one request under way and repeats it until it is acknowledged, over crashes too. */
interface Client {
  readonly sessionId: string;
  requestId: number;
  mutation: Mutation;
}

/** One run: several lives of a server, each ended by a crash but the last, under the same clients. */
export class Simulation {
  readonly #random: SeededRandom;
  readonly #time: VirtualTime;
  readonly #history = new History();
  /** What transactions have seen and done, by isolate and sequence number. */
  readonly #records = new Map<string, TransactionRecord>();
  readonly #clients: readonly Client[];
  #persistence = newDatabase();
  readonly #encounters: Encounters;
  readonly #sabotage: Sabotage;
  /** Clients make no new requests. */
  #isEnding = false;
  #failure: unknown;

  /** `sabotage`: what is broken on purpose; nothing unless given. */
  constructor(seed: number, encounters: Encounters, sabotage: Sabotage = {}) {
    this.#encounters = encounters;
    this.#sabotage = sabotage;
    this.#random = seededRandom(seed);
    this.#time = new VirtualTime(this.#random);
    this.#clients = Array.from({ length: 6 }, (_, n) => ({
      sessionId: `client${n}`,
      requestId: 0,
      mutation: this.#randomMutation(),
    }));
  }

  async run(): Promise<void> {
    for (let life = 1; life <= lives; life++) {
      const server = this.#start();
      const enough = this.#history.commits +
        this.#random.integer(this.#random.pick(commitsPerLife));
      await this.#time.run(() => this.#isStuck(server) || this.#history.commits > enough);
      this.#crash(server);
    }
    this.#isEnding = true;
    for (;;) {
      const server = this.#start();
      await this.#time.run(() => this.#isStuck(server));
      if (!server.isDown) break;
      this.#crash(server);
    }
    this.#verify();
  }

  #isStuck(server: SimulatedServer): boolean {
    return server.isDown || this.#failure !== undefined;
  }

  #start(): SimulatedServer {
    const server = new SimulatedServer({
      time: this.#time,
      random: this.#random,
      persistence: this.#persistence,
      isolates,
      sabotage: this.#sabotage,
      onApplied: ({ timestamp, origin }) =>
        this.#history.commit(timestamp, this.#records.get(originKey(origin!))!),
    });
    const note = (error: unknown) => {
      // Which is how clients hear that their server is down.
      if (!(error instanceof PersistenceError)) this.#failure ??= error;
    };
    for (const client of this.#clients) this.#serve(client, server).catch(note);
    this.#disturb(server).catch(note);
    return server;
  }

  /** Everything under way is lost, and some of what was visible but not flushed. */
  #crash(server: SimulatedServer): void {
    server.isDown = true;
    this.#time.clear();
    const survivors = this.#random.integer(this.#persistence.unsyncedStates + 1);
    this.#persistence = this.#persistence.afterCrash(survivors);
    const before = this.#history.commits;
    this.#history.survive(this.#persistence.state.timestamp);
    this.#encounters.crashes++;
    this.#encounters.lost += before - this.#history.commits;
    this.#verify();
  }

  async #serve(client: Client, server: SimulatedServer): Promise<void> {
    for (;;) {
      await server.delay();
      // A client whose connection broke sends its request again while the first is still on its way.
      const isSentTwice = this.#random.next() < 0.1;
      const attempts = [this.#attempt(client, server)];
      if (isSentTwice) attempts.push(this.#attempt(client, server));
      if (!(await Promise.all(attempts)).includes(true)) continue;
      client.requestId++;
      client.mutation = this.#randomMutation();
      if (this.#isEnding) return;
    }
  }

  /** Whether the client's request is acknowledged now. */
  async #attempt(client: Client, server: SimulatedServer): Promise<boolean> {
    const { sessionId, requestId, mutation } = client;
    const name = `${sessionId}:${requestId}`;
    const isolate = this.#isolateFor(mutation, server);
    const { request, record } = isolate.run(mutation.body);
    this.#records.set(originKey(request.origin!), { request: name, ...record });
    await server.delay();
    const session = { sessionId, requestId, result: JSON.stringify(name), logLines: "[]" };
    if (request.dependsOn.length > 0) server.lanes.builtOnUndecided(mutation.target);
    const outcome = await server.commit({ ...request, session }).catch(() => undefined);
    if (outcome?.kind !== "committed") {
      server.delay().then(() => isolate.aborted(request.origin!.sequence));
    }
    this.#count(request.dependsOn, outcome);
    if (outcome?.kind === "conflict") server.lanes.conflicted(mutation.target, outcome.table);
    if (outcome === undefined || outcome.kind === "conflict") return false;
    if (outcome.kind === "replayed") assert.equal(outcome.record.result, session.result);
    const { timestamp } = outcome.kind === "replayed" ? outcome.record : outcome;
    await server.durable(timestamp);
    this.#history.acknowledge(name, timestamp);
    return true;
  }

  #isolateFor(mutation: Mutation, server: SimulatedServer): SimulatedIsolate {
    const lane = server.lanes.laneOf(mutation.target);
    if (lane === undefined) return this.#random.pick(server.isolates);
    this.#encounters.onLane++;
    return server.isolates[lane.length % isolates]!;
  }

  #count(dependsOn: readonly number[], outcome: CommitOutcome | undefined): void {
    const encounters = this.#encounters;
    if (outcome?.kind === "replayed") encounters.replays++;
    if (outcome?.kind === "conflict") encounters.conflicts++;
    if (dependsOn.length === 0) return;
    if (outcome?.kind === "committed") encounters.builtOnUndecided++;
    // A conflict that names no table is one with what it had built on.
    if (outcome?.kind === "conflict" && outcome.table === undefined) encounters.fellWithUndecided++;
  }

  #randomMutation(): Mutation {
    return { target: this.#random.pick(targets), body: randomBody(this.#random) };
  }

  /** Looks at snapshots, sets the clock, and builds and drops an index, until the server is down. */
  async #disturb(server: SimulatedServer): Promise<void> {
    while (!this.#isEnding) {
      await server.delay(60);
      await this.#random.pick([
        () => this.#time.stepClock((this.#random.next() - 0.5) * 10_000),
        () => this.#look(),
        () => this.#changeIndexes(server),
      ])();
    }
  }

  #look(): void {
    const snapshot = this.#persistence.openReader().open();
    const items = this.#history.replay(snapshot.timestamp);
    assert.deepEqual(itemsOf(snapshot), sorted(items.values()), "a snapshot is one moment");
  }

  async #changeIndexes({ client }: SimulatedServer): Promise<void> {
    const index = this.#indexByValue();
    const definition = {
      table: itemsTable,
      name: "by_value",
      kind: "database" as const,
      fields: ["value"],
      staged: false,
    };
    const fill = async () => {
      const created = this.#indexByValue();
      if (created?.state === "backfilling") await client.backfill([created.id]);
    };
    let change: Promise<unknown>;
    if (index === undefined) {
      // Filled at once, it is complete while transactions are under way that do not know of it.
      const isHurried = this.#random.integer(2) === 0;
      const ifHurried = () => isHurried ? fill().catch(() => {}) : undefined;
      change = client.changeCatalog({ createIndexes: [definition] }, ifHurried);
    } else if (index.state === "backfilling") change = fill();
    else change = client.changeCatalog({ dropIndexes: [index.id] });
    // The disk may be full, or the server about to go down.
    await change.then(() => this.#encounters.indexChanges++, () => {});
  }

  #indexByValue(): IndexDefinition | undefined {
    return this.#persistence.state.catalogState.catalog.indexes
      .find(({ name }) => name === "by_value");
  }

  #verify(): void {
    if (this.#failure !== undefined) throw this.#failure;
    this.#history.verifyOnce();
    const snapshot = this.#persistence.openReader().open();
    const items = sorted(this.#history.replay(snapshot.timestamp).values());
    const { catalog } = snapshot;
    assert.deepEqual(itemsOf(snapshot), items);
    for (const { id, state } of catalog.indexesOf(tableOf(snapshot))) {
      if (state !== "backfilling") assert.deepEqual(itemsOf(snapshot, id), items);
    }
    const { tables } = catalog.data;
    const names = tables.map(({ name }) => name);
    assert.deepEqual(names, [itemsTable, ...this.#history.tables], "each table is created once");
    assert.equal(new Set(tables.map(({ number }) => number)).size, tables.length);
  }
}

/** A database with the table of items and its index `by_group`. */
function newDatabase(): MemoryPersistence {
  const persistence = new MemoryPersistence();
  const writer = persistence.openWriter();
  const change = (change: CatalogChange) =>
    writer.applyCatalogChange(change, writer.lastTimestamp + 1 as Timestamp);
  const { indexes } = change({ createTables: [itemsTable], createIndexes: itemIndexes });
  change({ setIndexState: indexes.map(({ id }) => ({ id, state: "ready" })) });
  persistence.markSynced(persistence.state);
  return persistence;
}

function originKey({ isolate, sequence }: TransactionOrigin): string {
  return `${isolate}:${sequence}`;
}

function tableOf({ catalog }: Snapshot): TableNumber {
  return catalog.tableNamed(appComponent, itemsTable)!.number;
}

function itemsOf(snapshot: Snapshot, index: IndexId = byIdIndexId(tableOf(snapshot))): Item[] {
  return sortedItems(snapshot.scan(index, everything, "asc", 1000));
}
