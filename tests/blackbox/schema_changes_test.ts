/** Schemas and indexes that change under documents which are there, and under writes that go on meanwhile. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { defineSchema, defineTable } from "convex/server";
import { type GenericValidator, v } from "convex/values";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { assertRefused, type IndexDiff, SchemaPushes } from "../support/schema_pushes.ts";
import { ServerProcess } from "../support/server_process.ts";

const functions = `
import { action, mutation, query } from "./_generated/server";

export const insert = mutation(async (ctx, { table, document }) =>
  await ctx.db.insert(table, document));
export const insertOrError = mutation(async (ctx, { table, document }) => {
  try {
    return await ctx.db.insert(table, document);
  } catch (error) {
    return error.message;
  }
});
export const patch = mutation(async (ctx, { id, fields }) => await ctx.db.patch(id, fields));
export const all = query(async (ctx, { table }) => await ctx.db.query(table).collect());
/** Documents of an index; of those with \`value\` in its first field when that is given. */
export const by = query(async (ctx, { table, index, field, value }) =>
  await ctx.db.query(table).withIndex(index, (q) => field ? q.eq(field, value) : q).collect());
export const search = query(async (ctx, { table, index, text }) =>
  await ctx.db.query(table).withSearchIndex(index, (q) => q.search("text", text)).collect());
export const searchVectors = action(async (ctx, { table, index, vector }) =>
  await ctx.vectorSearch(table, index, { vector }));
`;

const { db } = api;
// deno-lint-ignore no-explicit-any -- documents of any table
type Document = any;

class Fixture implements AsyncDisposable {
  readonly client: ConvexHttpClient;

  private constructor(
    readonly app: string,
    readonly server: ServerProcess,
    readonly pushes: SchemaPushes,
  ) {
    // Nobody but the administrator is told why a call failed.
    this.client = new Clients(server).http({ adminKey: server.adminKey });
  }

  static async start(): Promise<Fixture> {
    const app = await makeApp({ files: { "convex/db.ts": functions } });
    const server = await ServerProcess.start();
    return new Fixture(app, server, await SchemaPushes.open(app, server));
  }

  insert(table: string, document: Record<string, unknown>): Promise<string> {
    return this.client.mutation(db.insert, { table, document });
  }

  by(table: string, index: string, field?: string, value?: unknown): Promise<Document[]> {
    return this.client.query(db.by, { table, index, field, value });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await Deno.remove(this.app, { recursive: true });
  }
}

const names = (indexes: IndexDiff["added_indexes"]) => indexes.map(({ name }) => name);
const table = (fields: Record<string, GenericValidator>) => defineTable(fields);

Deno.test("schemas and indexes change on live data", async (t) => {
  await using fixture = await Fixture.start();
  const { client, pushes } = fixture;

  await t.step("semantics 44, 46, 47: a schema is enforced on writes, if it says so", async () => {
    const tables = { strict: table({ f: v.string() }).index("by_f", ["f"]) };
    await pushes.push(defineSchema(tables));
    await fixture.insert("strict", { f: "x" });
    const message =
      'Failed to insert or update a document in table "strict" because it does not match the schema: ' +
      "Value does not match validator.\nPath: .f\nValue: 1.0\nValidator: v.string()";
    const document = { f: 1 };
    const caught = await client.mutation(db.insertOrError, { table: "strict", document });
    assert.equal(caught, message);
    const [{ _id: id }] = await fixture.by("strict", "by_f");
    await assert.rejects(
      client.mutation(db.patch, { id, fields: { f: 1 } }),
      /Failed to insert or update/,
    );
    await fixture.insert("undeclared", { anything: [1] });

    await pushes.push(defineSchema(tables, { strictTableNameTypes: false }));
    await assert.rejects(fixture.insert("strict", document), /does not match the schema/);
    await pushes.push(defineSchema(tables, { schemaValidation: false }));
    await fixture.insert("strict", document);
    assert.equal((await fixture.by("strict", "by_f", "f", 1)).length, 1);
  });

  await t.step(
    "semantics 45, deploy-protocol 13: a schema that documents contradict changes nothing",
    async () => {
      const before = defineSchema({ people: table({ name: v.any() }).index("by_name", ["name"]) });
      await pushes.push(before);
      await fixture.insert("people", { name: "Ada" });
      const id = await fixture.insert("people", { name: 7 });
      const refused = await pushes.start(defineSchema({ people: table({ name: v.string() }) }));
      const status = await pushes.wait(refused);
      assert.equal(status.type, "failed");
      assert.equal(status.tableName, "people");
      assert.equal(
        status.error,
        `Document with ID "${id}" in table "people" does not match the schema: ` +
          "Value does not match validator.\nPath: .name\nValue: 7.0\nValidator: v.string()",
      );
      await assertRefused(
        pushes.finish(refused),
        "SchemaAlreadyFailed",
        /Schema has already been failed/,
      );
      assert.equal((await fixture.by("people", "by_name")).length, 2);
      await fixture.insert("people", { name: 8 });

      for (const { _id, name } of await client.query(db.all, { table: "people" })) {
        await client.mutation(db.patch, { id: _id, fields: { name: `${name}` } });
      }
      const { removed_indexes } = await pushes.push(
        defineSchema({ people: table({ name: v.string() }) }),
      );
      assert.deepEqual(names(removed_indexes), ["people.by_name"]);
    },
  );

  await t.step(
    "semantics 7.3: a write that contradicts the pending schema succeeds and fails the push",
    async () => {
      await pushes.push(null);
      await fixture.insert("notes", { text: "a" });
      const started = await pushes.start(defineSchema({ notes: table({ text: v.string() }) }));
      assert.equal((await pushes.wait(started)).type, "complete");
      await fixture.insert("notes", { text: 1 });
      const status = await pushes.wait(started);
      assert.equal(status.type, "failed");
      assert.match(
        status.error!,
        /^New document in table "notes" does not match the schema: Value does not/,
      );
      await assertRefused(
        pushes.finish(started),
        "SchemaAlreadyFailed",
        /New document in table "notes"/,
      );
      assert.equal((await client.query(db.all, { table: "notes" })).length, 2);
    },
  );

  await t.step(
    "semantics 41, 43, deploy-protocol 14, 15: indexes are switched by the end of a push",
    async () => {
      const old = defineSchema({ cars: table({}).index("first", ["a"]).index("gone", ["c"]) }, {
        schemaValidation: false,
      });
      await pushes.push(old);
      assert.deepEqual(await fixture.by("cars", "first"), []);
      for (let i = 0; i < 5; i++) await fixture.insert("cars", { a: i, b: 5 - i });
      const order = async (index: string) => (await fixture.by("cars", index)).map(({ a }) => a);
      assert.deepEqual(await order("first"), [0, 1, 2, 3, 4]);
      const next = defineSchema({
        cars: table({}).index("first", ["b"]).index("renamed", ["c"]).index("added", ["b", "a"]),
        empty: table({}).index("by_x", ["x"]),
      }, { schemaValidation: false });
      const started = await pushes.start(next);
      assert.equal((await pushes.wait(started)).type, "complete");
      assert.deepEqual(await order("first"), [0, 1, 2, 3, 4], "the old code keeps its indexes");
      assert.equal((await order("gone")).length, 5);
      await assert.rejects(
        order("added"),
        /Index cars\.added is currently backfilling and not available to query yet\./,
      );
      const diff = await pushes.finish(started);
      assert.deepEqual(names(diff.added_indexes), [
        "cars.first",
        "cars.renamed",
        "cars.added",
        "empty.by_x",
      ]);
      assert.deepEqual(names(diff.removed_indexes), ["cars.first", "cars.gone"]);
      assert.deepEqual(await order("first"), [4, 3, 2, 1, 0]);
      assert.deepEqual(await order("added"), [4, 3, 2, 1, 0]);
      assert.equal((await order("renamed")).length, 5);
      assert.deepEqual(await fixture.by("empty", "by_x"), []);
      await assert.rejects(order("gone"), /Index cars\.gone not found\./);
    },
  );

  await t.step(
    "semantics 42: a staged index cannot be queried until a push enables it",
    async () => {
      const schema = (staged: boolean) =>
        defineSchema({
          boats: staged
            ? table({}).index("by_a", { fields: ["a"], staged: true })
            : table({}).index("by_a", ["a"]),
        }, { schemaValidation: false });
      await pushes.push(null);
      await fixture.insert("boats", { a: 1 });
      const stagedError =
        /Index boats\.by_a is currently staged and not available to query until it is enabled\./;
      assert.deepEqual(names((await pushes.push(schema(true))).added_indexes), ["boats.by_a"]);
      await assert.rejects(fixture.by("boats", "by_a"), stagedError);
      await fixture.insert("boats", { a: 0 });
      assert.deepEqual(names((await pushes.push(schema(false))).enabled_indexes), ["boats.by_a"]);
      assert.deepEqual((await fixture.by("boats", "by_a")).map(({ a }) => a), [0, 1]);
      assert.deepEqual(names((await pushes.push(schema(true))).disabled_indexes), ["boats.by_a"]);
      await assert.rejects(fixture.by("boats", "by_a"), stagedError);
      await fixture.insert("boats", { a: -1 });
      await pushes.push(schema(false));
      assert.deepEqual((await fixture.by("boats", "by_a")).map(({ a }) => a), [-1, 0, 1]);
      await pushes.push(schema(true));
      assert.deepEqual(names((await pushes.push(null)).removed_indexes), ["boats.by_a"]);
      await assert.rejects(fixture.by("boats", "by_a"), /Index boats\.by_a not found\./);
    },
  );

  await t.step(
    "semantics 7.2: search and vector indexes are filled, staged and enabled like others",
    async () => {
      const schema = (staged: boolean) => {
        const searched = { searchField: "text" as const };
        const vectors = { vectorField: "vector" as const, dimensions: 2 };
        const books = table({ text: v.any(), vector: v.any() });
        return defineSchema({
          books: staged
            ? books.searchIndex("by_text", { ...searched, staged: true })
              .vectorIndex("by_vector", { ...vectors, staged: true })
            : books.searchIndex("by_text", searched).vectorIndex("by_vector", vectors),
        }, { schemaValidation: false });
      };
      const found = async () => {
        const args = { table: "books", text: "whale" };
        const texts = await client.query(db.search, { ...args, index: "by_text" });
        const nearest = await client.action(db.searchVectors, {
          table: "books",
          index: "by_vector",
          vector: [1, 0],
        });
        return [texts.length, nearest.length];
      };
      await pushes.push(null);
      for (let i = 0; i < 3; i++) {
        await fixture.insert("books", { text: "the whale", vector: [1, i] });
      }
      await pushes.push(schema(true));
      await assert.rejects(
        found(),
        /books\.by_text is currently staged and not available to query/,
      );
      await fixture.insert("books", { text: "a whale", vector: [0, 1] });
      const { enabled_indexes } = await pushes.push(schema(false));
      assert.deepEqual(names(enabled_indexes), ["books.by_text", "books.by_vector"]);
      assert.deepEqual(await found(), [4, 4]);
      await pushes.push(null);
      await assert.rejects(found(), /books\.by_text not found/);
      await pushes.push(schema(false));
      assert.deepEqual(await found(), [4, 4]);
    },
  );

  await t.step(
    "deploy-protocol 17: of two pushes with different schemas one wins whole",
    async () => {
      const [a, b] = ["a", "b"].map((field) =>
        defineSchema({ races: table({}).index(`by_${field}`, [field]) }, {
          schemaValidation: false,
        })
      );
      const first = await pushes.start(a!);
      const second = await pushes.start(b!);
      assert.deepEqual(await pushes.wait(first), { type: "raceDetected" });
      await assertRefused(pushes.finish(first), "RaceDetected", /overwritten by another push/);
      assert.equal((await pushes.wait(second)).type, "complete");
      assert.deepEqual(names((await pushes.finish(second)).added_indexes), ["races.by_b"]);
      await assertRefused(pushes.finish(second), "RaceDetected", /Another push has finished/);
      assert.deepEqual(await fixture.by("races", "by_b"), []);
      await assert.rejects(fixture.by("races", "by_a"), /not found/);
    },
  );

  await t.step(
    "semantics 36-40: definitions that break a rule fail the push with their texts",
    async () => {
      const rules: [string, string, ReturnType<typeof table>][] = [
        [
          "IndexFieldsContainCreationTime",
          'In table "t": `_creationTime` is automatically added to the end of each index. It should not be added explicitly in the index definition. See https://docs.convex.dev/using/indexes for more details.',
          table({ a: v.any() }).index("x", ["a", "_creationTime" as never]),
        ],
        [
          "IndexNameReserved",
          'In table "t" cannot name an index "by_id" because the name is reserved. Indexes may not start with an underscore or be named "by_id" or "by_creation_time".',
          table({ a: v.any() }).index("by_id", ["a"]),
        ],
        [
          "IndexNotUnique",
          'In table "t" index "x" and index "y" have the same fields. Indexes must be unique within a table.',
          table({ a: v.any() }).index("x", ["a"]).index("y", ["a"]),
        ],
        [
          "IndexTooManyFields",
          'In table "t": Indexes may have up to 16 fields.',
          table({}).index("x", Array.from({ length: 16 }, (_, i) => `f${i}` as never) as never),
        ],
        [
          "SchemaDefinitionError",
          'In table "t" the index "x" is invalid because it references the field "b" that does not exist.',
          table({ a: v.any() }).index("x", ["b" as never]),
        ],
      ];
      for (const [code, text, definition] of rules) {
        const schema = defineSchema({ t: definition });
        const message = `Hit an error while evaluating your schema:\n${text}`;
        await assertRefused(pushes.start(schema), code, message);
      }
    },
  );
});
