import assert from "node:assert/strict";
import { appComponent, type ComponentId } from "./component.ts";
import { cancelJob, getJob, insertJob } from "./scheduled_jobs.ts";
import { TestDatabase, type TestTable } from "./database_testing.ts";
import type { Query } from "./query.ts";
import type { Transaction } from "./transaction.ts";

const [a, b] = ["a", "b"] as ComponentId[] as [ComponentId, ComponentId];

const tables: readonly TestTable[] = [
  { name: "notes", indexes: { by_text: ["text"] } },
  { name: "notes", component: "a", indexes: { by_text: ["text"] } },
  {
    name: "notes",
    component: "b",
    searchIndexes: { by_words: { searchField: "text", filterFields: [] } },
  },
];

const newDatabase = () => new TestDatabase(tables, null, ["a", "b"]);

function texts(transaction: Transaction, table = "notes"): unknown[] {
  const query: Query = {
    source: { type: "FullTableScan", tableName: table, order: "asc" },
    operators: [],
  };
  return transaction.openQuery(query).collect().map(({ text }) => text);
}

Deno.test("components 2: each component has tables of its own, and so has the app", () => {
  const database = newDatabase();
  database.commit((app) => {
    app.insert("notes", { text: "app" });
    app.ofComponent(a).insert("notes", { text: "a" });
    app.ofComponent(b).insert("notes", { text: "b" });
    app.ofComponent(b).insert("others", { text: "new" });
    app.insert("others", { text: "the app's" });
    assert.deepEqual(texts(app.ofComponent(a)), ["a"], "uncommitted writes are the component's");
  });
  const app = database.begin();
  assert.equal(app.ofComponent(appComponent), app);
  assert.equal(app.ofComponent(a), app.ofComponent(b).ofComponent(a), "the same view");
  assert.deepEqual(texts(app), ["app"]);
  assert.deepEqual(texts(app.ofComponent(a)), ["a"]);
  assert.deepEqual(texts(app.ofComponent(b)), ["b"]);
  assert.deepEqual(texts(app.ofComponent(b), "others"), ["new"]);
  assert.deepEqual(texts(app, "others"), ["the app's"]);
  assert.deepEqual(texts(app.ofComponent(a), "others"), []);
  assert.deepEqual(app.ofComponent(b).userTables().map(({ name }) => name), ["notes", "others"]);
  assert.equal(app.ofComponent(a).count("notes"), 1);
});

Deno.test("components 15: an id of the app means nothing to a component", () => {
  const database = newDatabase();
  const { app: appId, a: aId } = database.commit((app) => ({
    app: app.insert("notes", { text: "app" }),
    a: app.ofComponent(a).insert("notes", { text: "a" }),
  }));
  const app = database.begin();
  const inA = app.ofComponent(a);
  assert.equal(inA.get(appId), null);
  assert.equal(app.get(aId), null);
  assert.equal(inA.get(aId)?.text, "a");
  assert.equal(inA.normalizeId("notes", appId), null);
  assert.equal(inA.normalizeId("notes", aId), aId);
  assert.throws(() => inA.patch(appId, { text: "stolen" }), /Table for ID .* not found/);
  assert.throws(() => inA.delete(appId), /Table for ID .* not found/);
  assert.equal(inA.tableName(Number(app.userTables()[0]!.number)), undefined);
});

Deno.test("components 5: an unmounted component can be read and not written", () => {
  const database = newDatabase();
  const id = database.commit((app) => app.ofComponent(a).insert("notes", { text: "kept" }));
  const { catalogData } = database;
  database.catalogData = {
    ...catalogData,
    components: catalogData.components!.map((component) => ({
      ...component,
      state: component.id === a ? "unmounted" : "active",
    })),
  };
  const view = database.begin().ofComponent(a);
  assert.deepEqual(texts(view), ["kept"]);
  const writes = [
    () => view.insert("notes", { text: "more" }),
    () => view.patch(id, { text: "changed" }),
    () => view.replace(id, { text: "changed" }),
    () => view.delete(id),
    () => insertJob(view, { name: "m.js:f", args: [{}], timeS: 0, parentId: null }),
  ];
  for (const write of writes) assert.throws(write, { code: "UnmountedComponent" });
});

Deno.test("components 7.1: what a rolled back nested call wrote is gone in every component", () => {
  const database = newDatabase();
  database.commit((app) => {
    app.insert("notes", { text: "before" });
    const nested = app.ofComponent(a).nest();
    app.ofComponent(a).insert("notes", { text: "undone" });
    app.ofComponent(b).insert("fresh", { text: "undone" });
    app.insert("notes", { text: "undone" });
    nested.rollback();
    assert.deepEqual([texts(app), texts(app.ofComponent(a))], [["before"], []]);
  });
  const app = database.begin();
  assert.deepEqual([texts(app), texts(app.ofComponent(a))], [["before"], []]);
  assert.deepEqual(app.ofComponent(b).userTables().map(({ name }) => name), ["notes"]);
});

Deno.test("components 25: a job belongs to the component that schedules it", () => {
  const database = newDatabase();
  const job = { name: "m.js:f", args: [{}], timeS: 1_700_000_000, parentId: null };
  const id = database.commit((app) => insertJob(app.ofComponent(a), { ...job, component: b }));
  const app = database.begin();
  const inA = app.ofComponent(a);
  assert.equal(getJob(app, id)?.component, b);
  const seen = inA.get(id, { system: true })!;
  assert.deepEqual(
    Object.keys(seen).sort(),
    ["_creationTime", "_id", "args", "name", "scheduledTime", "state"],
    "user code does not see whose function it is",
  );
  assert.equal(app.get(id, { system: true }), null);
  const jobsOf = (transaction: Transaction) =>
    transaction.openQuery({
      source: { type: "FullTableScan", tableName: "_scheduled_functions", order: null },
      operators: [],
    }).collect();
  assert.deepEqual(jobsOf(inA), [seen]);
  assert.deepEqual([jobsOf(app), jobsOf(app.ofComponent(b))], [[], []]);
  for (const other of [app, app.ofComponent(b)]) {
    assert.throws(() => cancelJob(other, id), { code: "InvalidScheduledFunctionId" });
  }
  cancelJob(inA, id);
  assert.equal(getJob(app, id)?.state, "canceled");
});

Deno.test("components 9.2: the server finds the jobs of all components in one place, its own changes included", () => {
  const database = newDatabase();
  const job = { name: "m.js:f", args: [{}], parentId: null };
  const pending: Query = {
    source: {
      type: "IndexRange",
      indexName: "_scheduled_functions.by_state",
      range: [{ type: "Eq", fieldPath: "state.kind", value: "pending" }],
      order: "asc",
    },
    operators: [],
  };
  const ids = database.commit((app) =>
    [[b, 3], [appComponent, 2], [a, 1]].map(([component, s]) =>
      insertJob(app.ofComponent(component as ComponentId), { ...job, timeS: 1.7e9 + Number(s) })
    )
  );
  database.commit((app) => {
    const cursor = app.system.openQuery(pending);
    assert.equal(cursor.next()?._id, ids[2]);
    cancelJob(app.ofComponent(b), ids[0]!);
    assert.deepEqual(cursor.collect().map(({ _id }) => _id), [ids[1]]);
  });
});

Deno.test("components 7.1: reads and writes of all components are those of one transaction", () => {
  const database = newDatabase();
  const transaction = database.begin();
  texts(transaction.ofComponent(a));
  transaction.ofComponent(b).insert("notes", { text: "x" });
  const { usage, reads, writes } = transaction.finish();
  assert.equal(usage.documentsWritten, 1);
  assert.ok(reads.length > 0);
  const table = database.catalogData.tables.find(({ component, name }) =>
    component === b && name === "notes"
  )!;
  assert.deepEqual(writes.documents.map((write) => write.table), [table.number]);
});
