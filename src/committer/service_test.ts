/** Service and client together, over memory and without a thread: every message is delivered by hand. */
import assert from "node:assert/strict";
import { documentWrite } from "../../tests/support/document_writes.ts";
import { firstUserTableNumber as table, type IndexId } from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { type Environment, systemEnvironment } from "../environment.ts";
import { MemoryPersistence } from "../persistence/memory.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import { ThreadCommitterClient } from "./client.ts";
import type { FromCommitter, ToCommitter } from "./messages.ts";
import type { CommitRequest } from "./protocol.ts";
import { CommitterService } from "./service.ts";

class Link {
  readonly persistence = new MemoryPersistence();
  readonly events: string[] = [];
  /** Posts on their way, in either direction. */
  readonly toService: (readonly ToCommitter[])[] = [];
  readonly toClient: (readonly FromCommitter[])[] = [];
  readonly timers: (() => void)[] = [];
  readonly syncs: PromiseWithResolvers<void>[] = [];
  readonly client = new ThreadCommitterClient((messages) => this.toService.push(messages));
  readonly service: CommitterService;
  #inserted = 0;

  constructor() {
    const environment: Environment = {
      ...systemEnvironment,
      setTimer: (_delayMs, callback) => {
        this.timers.push(callback);
        return () => this.timers.splice(this.timers.indexOf(callback), 1);
      },
    };
    this.persistence.faults.sync = () => {
      const sync = Promise.withResolvers<void>();
      this.syncs.push(sync);
      return sync.promise;
    };
    const writer = this.persistence.openWriter();
    this.service = new CommitterService(writer, environment, (m) => this.toClient.push(m));
    this.client.onApplied((commits) => this.events.push(`applied ${commits.length}`));
    this.client.onFatal((error) => this.events.push(`fatal ${error.message}`));
  }

  /** Delivers everything, all posts to the service together as if they had waited, until nothing moves. */
  async settle(): Promise<void> {
    do {
      await new Promise((resolve) => setTimeout(resolve));
      if (this.toService.length > 0) this.service.receive(this.toService.splice(0).flat());
      for (const post of this.toClient.splice(0)) this.client.receive(post);
      await new Promise((resolve) => setTimeout(resolve));
    } while (this.toService.length + this.toClient.length > 0);
  }

  async completeSync(): Promise<void> {
    this.syncs.shift()!.resolve();
    await this.settle();
  }

  insert(): CommitRequest {
    const { catalog } = this.persistence.state.catalogState;
    const after = { _id: `item${this.#inserted++}`, value: 1 };
    return {
      snapshot: this.persistence.state.timestamp,
      structureVersion: catalog.structureVersion,
      reads: [],
      writes: { documents: [documentWrite(catalog, table, { after })], tables: [] },
      dependsOn: [],
    };
  }

  /** Commits and notes when the outcome and its durability are known. */
  track(name: string, request = this.insert()): void {
    this.client.commit(request).then(async (outcome) => {
      this.events.push(`${name} ${outcome.kind}`);
      assert.ok(outcome.kind === "committed");
      assert.ok(outcome.timestamp <= this.client.appliedTimestamp);
      await this.client.durable(outcome.timestamp);
      this.events.push(`${name} durable`);
    }).catch((error) => this.events.push(`${name} failed: ${error.message}`));
  }

  takeEvents(): string[] {
    return this.events.splice(0);
  }
}

async function openLink(): Promise<Link> {
  const link = new Link();
  await link.settle();
  await link.client.opened;
  const created = link.client.changeCatalog({ createTables: ["items"] });
  await link.settle();
  await link.completeSync();
  await created;
  link.takeEvents();
  return link;
}

Deno.test("committer service: commits are visible before they are durable, and told in that order", async () => {
  const link = await openLink();
  link.track("a");
  await link.settle();
  assert.deepEqual(link.takeEvents(), ["applied 1", "a committed"]);
  assert.ok(link.client.durableTimestamp < link.client.appliedTimestamp);
  await link.completeSync();
  assert.deepEqual(link.takeEvents(), ["a durable"]);
  assert.equal(link.client.durableTimestamp, link.client.appliedTimestamp);
});

Deno.test("committer service: requests of one turn, and those that wait together, make one group", async () => {
  const link = await openLink();
  link.track("a");
  link.track("b");
  await Promise.resolve();
  assert.equal(link.toService.length, 1, "one post a turn");
  await new Promise((resolve) => setTimeout(resolve));
  link.track("c");
  await link.settle();
  assert.deepEqual(link.takeEvents(), ["applied 3", "a committed", "b committed", "c committed"]);
  assert.equal(link.syncs.length, 1);
});

Deno.test("committer service: groups are applied during a flush and made durable by the next one", async () => {
  const link = await openLink();
  link.track("a");
  await link.settle();
  link.track("b");
  await link.settle();
  link.track("c");
  await link.settle();
  assert.equal(link.syncs.length, 1);
  link.takeEvents();
  await link.completeSync();
  assert.deepEqual(link.takeEvents(), ["a durable"]);
  assert.equal(link.syncs.length, 1, "one more flush for both");
  await link.completeSync();
  assert.deepEqual(link.takeEvents(), ["b durable", "c durable"]);
  assert.equal(link.syncs.length, 0);
});

Deno.test("committer service: a failed flush is fatal and leaves nobody waiting", async () => {
  const link = await openLink();
  link.track("a");
  await link.settle();
  link.takeEvents();
  link.syncs.shift()!.reject(new PersistenceError("Failed", "input/output error"));
  await link.settle();
  assert.deepEqual(link.takeEvents(), [
    "fatal input/output error",
    "a failed: input/output error",
  ]);
  await assert.rejects(link.client.commit(link.insert()), PersistenceError);
  await link.client.close();
});

Deno.test("committer service: an apply of unknown outcome is fatal", async () => {
  const link = await openLink();
  link.persistence.faults.transaction = () => {
    throw new PersistenceError("Failed", "disk I/O error");
  };
  link.track("a");
  await link.settle();
  assert.deepEqual(link.takeEvents(), ["fatal disk I/O error", "a failed: disk I/O error"]);
});

Deno.test("committer service: a failure of one request reaches its caller with class and code", async () => {
  const link = await openLink();
  link.persistence.faults.transaction = () => {
    throw new PersistenceError("DiskFull", "The disk is full.");
  };
  const refused = link.client.commit(link.insert());
  const change = link.client.changeCatalog({ records: [{ key: "a", json: "1" }] });
  const missing = link.client.backfill([7 as IndexId]);
  const results = Promise.allSettled([refused, change, missing]);
  await link.settle();
  link.timers.shift()!();
  await link.settle();
  const errors = (await results).map((result) =>
    result.status === "rejected" ? result.reason : null
  );
  assert.deepEqual(errors.map(({ name, code }) => [name, code]), [
    ["RequestError", "DiskFull"],
    ["PersistenceError", "DiskFull"],
    ["RequestError", "IndexDropped"],
  ]);
});

Deno.test("committer service: backfills advance in steps between commits", async () => {
  const link = await openLink();
  for (let i = 0; i < 300; i++) link.track("x");
  await link.settle();
  const definition = {
    kind: "database" as const,
    table: "items",
    name: "by_value",
    fields: ["value"],
    staged: false,
  };
  const created = link.client.changeCatalog({ createIndexes: [definition] });
  await link.settle();
  await link.completeSync();
  await link.completeSync();
  const { catalog } = await created;
  link.takeEvents();
  link.client.backfill([catalog.indexes[0]!.id]).then(() => link.events.push("backfilled"));
  await link.settle();
  link.timers.shift()!();
  link.track("a");
  await link.settle();
  assert.deepEqual(link.takeEvents(), ["applied 1", "a committed"]);
  link.timers.shift()!();
  await link.settle();
  assert.deepEqual(link.takeEvents(), ["applied 1"]);
  await link.completeSync();
  await link.completeSync();
  assert.deepEqual(link.takeEvents(), ["a durable", "backfilled"]);
});

Deno.test("committer service: close() waits for what is under way, and later requests are refused", async () => {
  const link = await openLink();
  link.track("a");
  const closed = link.client.close().then(() => link.events.push("closed"));
  await link.settle();
  assert.deepEqual(link.takeEvents(), ["applied 1", "a committed"]);
  await link.completeSync();
  await closed;
  assert.deepEqual(link.takeEvents(), ["a durable", "closed"]);
  await assert.rejects(link.client.commit(link.insert()), /closed/);
  await assert.rejects(link.client.durable(Infinity as Timestamp), /closed/);
  assert.deepEqual(link.timers, []);
});
