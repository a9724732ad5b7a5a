import assert from "node:assert/strict";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { checkDatabase } from "../../tests/support/database_check.ts";
import { ThreadCommitterClient } from "../committer/client.ts";
import type { CommitterClient } from "../committer/protocol.ts";
import { CommitterService } from "../committer/service.ts";
import { defaultConfig } from "../config.ts";
import { componentOf } from "../database/catalog.ts";
import { appComponent, type Component, type ComponentId } from "../database/component.ts";
import { listCronJobs, replaceCronJobs } from "../database/cron_jobs.ts";
import { getJob, insertJob } from "../database/scheduled_jobs.ts";
import type { Transaction } from "../database/transaction.ts";
import { systemEnvironment as environment } from "../environment.ts";
import { databasePath } from "../persistence/data_folder.ts";
import type { CatalogChange, PersistenceWriter } from "../persistence/persistence.ts";
import { ServerTransactions } from "../persistence/server_transactions.ts";
import { openSnapshotReader } from "../persistence/snapshot_reader.ts";
import { openWriter } from "../persistence/writer.ts";
import type { ExportedSchema } from "./analysis.ts";
import { deleteComponent } from "./component_deletion.ts";
import type { DeclaredSchema } from "./pending_schema.ts";
import { parseSchema } from "./schema_definition.ts";
import { SchemaRollout } from "./schema_rollout.ts";

const [one, inner] = ["one", "inner"] as ComponentId[] as [ComponentId, ComponentId];

type Use = Omit<Component, "state"> & { readonly path: string };

const useOne: Use = { id: one, parent: appComponent, name: "one", path: "one" };
const useInner: Use = { id: inner, parent: one, name: "inner", path: "one/inner" };

const notes = exported(defineSchema({
  notes: defineTable({ text: v.string(), tag: v.string(), vector: v.array(v.float64()) })
    .index("by_tag", ["tag"])
    .index("later", { fields: ["text"], staged: true })
    .searchIndex("by_text", { searchField: "text" })
    .vectorIndex("by_vector", { vectorField: "vector", dimensions: 2 }),
}));

function exported(schema: unknown): ExportedSchema {
  const json = (schema as { export(): string }).export();
  return { json, parsed: parseSchema(json) };
}

/** A database on disk with pushes as they come to it. */
class Server {
  readonly #writer: PersistenceWriter;
  readonly #reader;
  readonly committer: CommitterClient;
  readonly transactions: ServerTransactions;
  readonly rollout: SchemaRollout;

  constructor(readonly folder: string) {
    this.#writer = openWriter(folder);
    const client = new ThreadCommitterClient((messages) =>
      setImmediate(() => service.receive(messages))
    );
    const service: CommitterService = new CommitterService(
      this.#writer,
      environment,
      (messages) => setImmediate(() => client.receive(messages)),
    );
    this.committer = client;
    const reader = this.#reader = openSnapshotReader(databasePath(folder));
    this.transactions = new ServerTransactions({
      committer: client,
      reader,
      environment,
      config: defaultConfig,
    });
    this.rollout = new SchemaRollout({ committer: client, reader, environment });
  }

  close(): void {
    this.rollout.close();
    this.#reader.close();
    this.#writer.close();
    checkDatabase(this.folder);
  }

  get catalog() {
    return this.#writer.catalog;
  }

  write<T>(work: (transaction: Transaction) => T): Promise<T> {
    return this.transactions.write(work);
  }

  async push(uses: readonly Use[], schema: ExportedSchema | null): Promise<CatalogChange> {
    const schemas: DeclaredSchema[] = [
      { component: appComponent, path: "", schema: null },
      ...uses.map(({ id, path }) => ({ component: id, path, schema })),
    ];
    const pending = await this.rollout.begin(schemas);
    const status = await this.rollout.wait(pending.id, 10_000);
    assert.deepEqual(status, { type: "complete" });
    const change = this.rollout.finish(pending, { schemas, components: uses });
    const { request } = this.transactions.prepare((transaction) => {
      for (const { id } of uses) {
        replaceCronJobs(transaction.ofComponent(id), [{
          name: "tick",
          function: "m.js:tick",
          args: [{}],
          schedule: { type: "interval", seconds: 60 },
        }]);
      }
    }, change);
    await this.committer.changeCatalog(change, undefined, request);
    this.rollout.finished();
    return change;
  }

  texts(component: ComponentId): unknown[] {
    return this.transactions.read((transaction) =>
      transaction.ofComponent(component).openQuery({
        source: { type: "IndexRange", indexName: "notes.by_tag", range: [], order: "asc" },
        operators: [],
      }).collect().map(({ text }) => text)
    );
  }

  documentCount(): number {
    return this.transactions.read(({ options: { snapshot } }) =>
      snapshot.catalog.data.tables.reduce(
        (sum, { number }) =>
          sum + snapshot.count(number * 4 as never, { lower: "" as never, upper: null }),
        0,
      )
    );
  }
}

async function withServer(work: (server: Server) => Promise<void>): Promise<void> {
  const folder = Deno.makeTempDirSync();
  try {
    const server = new Server(folder);
    try {
      await work(server);
    } finally {
      server.close();
    }
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const note = (text: string, tag: string) => ({ text, tag, vector: [1, 0] });

Deno.test("components 2, 11: each use of a definition has data that outlives being unmounted", () =>
  withServer(async (server) => {
    await server.push([useOne, useInner], notes);
    const states = server.catalog.indexes.map(({ name, state }) => `${name} ${state}`);
    assert.deepEqual(states.slice(0, 4).sort(), [
      "by_tag ready",
      "by_text ready",
      "by_vector ready",
      "later staged",
    ]);
    assert.equal(states.length, 8);
    await server.write((app) => {
      app.ofComponent(one).insert("notes", note("b", "2"));
      app.ofComponent(one).insert("notes", note("a", "1"));
      app.ofComponent(inner).insert("notes", note("c", "1"));
      assert.throws(() => app.ofComponent(one).insert("notes", { text: 1 }), {
        code: "SchemaEnforcementError",
      });
    });
    assert.deepEqual([server.texts(one), server.texts(inner)], [["a", "b"], ["c"]]);
    assert.deepEqual(
      server.transactions.read(listCronJobs).map(({ component }) => component).sort(),
      [inner, one],
    );

    await server.push([], null);
    assert.deepEqual(server.catalog.components!.map(({ state }) => state), [
      "unmounted",
      "unmounted",
    ]);
    assert.deepEqual(server.texts(one), ["a", "b"], "what it has can be read");
    await assert.rejects(
      server.write((app) => app.ofComponent(one).insert("notes", note("d", "4"))),
      { code: "UnmountedComponent" },
    );

    await server.push([useOne], notes);
    assert.deepEqual(server.catalog.components!.map(({ state }) => state), ["active", "unmounted"]);
    await server.write((app) => app.ofComponent(one).insert("notes", note("d", "4")));
    assert.deepEqual(server.texts(one), ["a", "b", "d"]);
  }));

Deno.test("components 13: a document that contradicts a component's new schema fails the push by its path", () =>
  withServer(async (server) => {
    await server.push([useOne, useInner], notes);
    const id = await server.write((app) => app.ofComponent(inner).insert("notes", note("x", "1")));
    const stricter = exported(defineSchema({ notes: defineTable({ text: v.number() }) }));
    const schemas = [
      { component: one, path: "one", schema: notes },
      { component: inner, path: "one/inner", schema: stricter },
    ];
    const pending = await server.rollout.begin(schemas);
    const status = await server.rollout.wait(pending.id, 10_000);
    assert.ok(status.type === "failed");
    assert.equal(status.componentPath, "one/inner");
    assert.equal(status.tableName, "notes");
    assert.match(status.error, new RegExp(`^Document with ID "${id}" in table "notes"`));
    assert.throws(() => server.rollout.finish(pending, { schemas, components: [] }), {
      code: "SchemaAlreadyFailed",
    });
    await server.rollout.abandon();
    assert.equal(server.catalog.componentSchemas![inner]!.pendingSchema, null);
  }));

Deno.test("components 13: so does one that is written while the push waits", () =>
  withServer(async (server) => {
    await server.push([useOne], null);
    const schemas = [{ component: one, path: "one", schema: notes }];
    const pending = await server.rollout.begin(schemas);
    assert.deepEqual(await server.rollout.wait(pending.id, 10_000), { type: "complete" });
    await server.write((app) => app.ofComponent(one).insert("notes", { text: 1 }));
    const status = await server.rollout.wait(pending.id, 0);
    assert.ok(status.type === "failed");
    assert.deepEqual([status.componentPath, status.tableName], ["one", "notes"]);
    assert.match(status.error, /^New document in table "notes" does not match the schema/);
    await server.push([useOne], null);
    assert.equal(server.catalog.componentSchemas![one]!.pendingSchema, null);
  }));

Deno.test("components §3.5: indexes of a component are filled with the documents that it has", () =>
  withServer(async (server) => {
    await server.push([useOne], null);
    await server.write((app) => {
      for (let i = 9; i >= 0; i--) app.ofComponent(one).insert("notes", note(`t${i}`, `${i}`));
      app.insert("notes", note("the app's", "0"));
    });
    await server.push([useOne], notes);
    assert.deepEqual(server.texts(one).slice(0, 3), ["t0", "t1", "t2"]);
    assert.equal(server.texts(one).length, 10);
  }));

Deno.test("components 12: a component is deleted with those that it uses, once nobody uses it", () =>
  withServer(async (server) => {
    await server.push([useOne, useInner], notes);
    const job = await server.write((app) => {
      app.insert("notes", note("the app's", "1"));
      for (let i = 0; i < 450; i++) app.ofComponent(one).insert("notes", note(`${i}`, "1"));
      app.ofComponent(inner).insert("fresh", { text: "x".repeat(900_000) });
      app.ofComponent(inner).insert("fresh", { text: "x".repeat(900_000) });
      const job = { name: "m.js:f", args: [{}], timeS: Date.now() / 1000, parentId: null };
      return insertJob(app.ofComponent(inner), job);
    });
    await assert.rejects(deleteComponent(server, one), { code: "ComponentMustBeUnmounted" });
    await assert.rejects(deleteComponent(server, "other" as ComponentId), {
      code: "ComponentNotFound",
    });
    await server.push([], null);
    await deleteComponent(server, one);
    assert.equal(server.catalog.components, undefined);
    assert.equal(server.catalog.componentSchemas, undefined);
    assert.deepEqual(server.catalog.tables.map(componentOf), [appComponent]);
    assert.deepEqual(server.catalog.indexes, []);
    assert.equal(server.documentCount(), 1);
    assert.equal(server.transactions.read((transaction) => getJob(transaction, job)), null);
    await server.push([useOne], notes);
    assert.deepEqual(server.texts(one), []);
  }));
