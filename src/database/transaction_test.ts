import assert from "node:assert/strict";
import { encodeId } from "../values/document_id.ts";
import type { Value } from "../values/value.ts";
import type { IndexDefinition, SchemaDefinition } from "./catalog.ts";
import { systemTables } from "./catalog.ts";
import type { Query, RangeExpression } from "./query.ts";
import { readSetContains } from "./read_set.ts";
import { TestDatabase } from "./database_testing.ts";
import type { Transaction } from "./transaction.ts";

const channels = { name: "channels" };
const messages = { name: "messages", indexes: { by_channel: ["channel"], by_a_b: ["a.x", "b"] } };

function tableScan(tableName: string, order: "asc" | "desc" | null = null): Query {
  return { source: { type: "FullTableScan", tableName, order }, operators: [] };
}

function indexScan(indexName: string, range: RangeExpression[] = [], limit?: number): Query {
  return {
    source: { type: "IndexRange", indexName, range, order: "asc" },
    operators: limit === undefined ? [] : [{ limit }],
  };
}

function bodies(transaction: Transaction, query: Query): unknown[] {
  return transaction.openQuery(query).collect().map(({ body }) => body);
}

Deno.test("a transaction reads what it wrote, and the next one what was committed", () => {
  const database = new TestDatabase([messages]);
  const id = database.commit((transaction) => {
    const id = transaction.insert("messages", { body: "one", channel: "c" });
    assert.equal(transaction.get(id)!.body, "one");
    assert.deepEqual(bodies(transaction, indexScan("messages.by_channel")), ["one"]);
    return id;
  });
  database.commit((transaction) => {
    transaction.patch(id, { body: "two", channel: undefined });
    assert.deepEqual(Object.keys(transaction.get(id)!), ["_creationTime", "_id", "body"]);
  });
  database.commit((transaction) => {
    assert.deepEqual(bodies(transaction, tableScan("messages")), ["two"]);
    transaction.replace(id, { text: "three" });
    assert.equal(transaction.get(id)!.body, undefined);
    assert.equal(transaction.get(id)!.text, "three");
  });
  database.commit((transaction) => {
    transaction.delete(id);
    assert.equal(transaction.get(id), null);
    assert.deepEqual(bodies(transaction, tableScan("messages")), []);
  });
  assert.equal(database.begin().get(id), null);
});

Deno.test("function-abi 23, 24: patch removes undefined fields and replaces nested objects whole", () => {
  const database = new TestDatabase([messages]);
  const id = database.commit((transaction) =>
    transaction.insert("messages", { keep: 1, drop: 1, nested: { a: 1, b: 2 } })
  );
  const json = database.commit((transaction) =>
    transaction.patch(id, { drop: undefined, nested: { c: 3 } })
  );
  const { _id, _creationTime, ...fields } = JSON.parse(json);
  assert.deepEqual(fields, { keep: 1, nested: { c: 3 } });
});

Deno.test("function-abi 16–20, 25–27: errors of ids and of missing documents", () => {
  const database = new TestDatabase([channels, messages]);
  const channel = database.commit((transaction) => transaction.insert("channels", {}));
  const file = encodeId(systemTables._storage, new Uint8Array(16));
  const unknown = encodeId(20_000, new Uint8Array(16));
  const transaction = database.begin();
  assert.equal(transaction.get(unknown), null);
  assert.equal(transaction.get(file, { system: true }), null);
  const message = transaction.insert("messages", {});
  transaction.delete(message);

  const cases: [() => unknown, string][] = [
    [
      () => transaction.get("abc"),
      "Invalid argument `id` for `db.get`: Unable to decode ID: Invalid ID length 3",
    ],
    [
      () => transaction.get("abc", { system: true }),
      "Invalid argument `id` for `db.system.get`: Unable to decode ID: Invalid ID length 3",
    ],
    [
      () => transaction.get(null as never),
      "Invalid argument `id` for `db.get`: expected a string, got null",
    ],
    [
      () => transaction.get(channel, { table: "messages" }),
      'Invalid argument `id` for `db.get`: expected to be an Id<"messages">, got Id<"channels"> instead.',
    ],
    [
      () => transaction.patch(channel, {}, "messages"),
      'Invalid argument `id` for `db.patch`: expected to be an Id<"messages">, got Id<"channels"> instead.',
    ],
    [() => transaction.get(file), "System tables can only be accessed with db.system."],
    [() => transaction.delete(file), "System tables can only be accessed with db.system."],
    [
      () => transaction.get(channel, { system: true }),
      "User tables cannot be accessed with db.system.",
    ],
    [() => transaction.patch(message, {}), `Update on nonexistent document ID ${message}`],
    [() => transaction.replace(message, {}), `Replace on nonexistent document ID ${message}`],
    [() => transaction.delete(message), `Delete on nonexistent document ID ${message}`],
    [
      () => transaction.patch(unknown, {}),
      `Invalid argument \`id\` for \`db.patch\`: Table for ID "${unknown}" not found`,
    ],
    [
      () => transaction.insert("messages", [1]),
      "Invalid argument `value` for `db.insert`: Value must be an Object",
    ],
    [
      () => transaction.insert("a-b", {}),
      "Invalid argument `table` for `db.insert`: Identifier a-b has invalid character '-': Identifiers can only contain alphanumeric characters or underscores",
    ],
    [
      () => transaction.insert("_foo", {}),
      "Invalid table name _foo starts with metadata prefix '_'",
    ],
    [() => transaction.insert("_storage", {}), "_storage is a read-only table"],
    [
      () => database.begin({ kind: "query" }).insert("messages", {}),
      "Queries cannot write to the database.",
    ],
  ];
  for (const [call, message] of cases) assert.throws(call, { name: "DeveloperError", message });
});

Deno.test("semantics 19–27: what is no document is refused", () => {
  const database = new TestDatabase([messages]);
  const id = database.commit((transaction) => transaction.insert("messages", { a: { _foo: 1 } }));
  const transaction = database.begin();
  const other = transaction.insert("messages", {});
  let nested: Value = 1;
  for (let depth = 0; depth < 15; depth++) nested = [nested];
  transaction.insert("messages", { nested });

  const cases: [() => unknown, RegExp][] = [
    [
      () => transaction.insert("messages", { _foo: 1, _bar: 2 }),
      /^DeveloperError: Document\(value: \{_bar: 2\.0, _foo: 1\.0\}\) isn't a valid document: Field '_foo' starts with an underscore, which is only allowed for system fields like '_id'\n Field '_bar' starts/,
    ],
    [() => transaction.insert("messages", { $x: 1 }), /Field name \$x starts with '\$'/],
    [
      () => transaction.insert("messages", { a: new Map() }),
      /Map\[\] is not a supported Convex type/,
    ],
    [() => transaction.insert("messages", new Date(0)), /Date .* is not a supported Convex type\./],
    [
      () => transaction.insert("messages", { a: [undefined] }),
      /undefined is not a valid Convex value \(present at path \.a\[0\] in original object \{"a":\["undefined"\]\}\)/,
    ],
    [
      () => transaction.insert("messages", { text: "x".repeat(2 ** 20) }),
      /^DeveloperError: Value is too large \(1\.00 MiB > maximum size 1 MiB\)$/,
    ],
    [
      () => transaction.insert("messages", { nested: [nested] }),
      /Document is too nested \(nested 17 levels deep > maximum nesting 16\)/,
    ],
    [() => transaction.insert("messages", { _id: id }), /Provided document ID \w+ doesn't match/],
    [
      () => transaction.replace(id, { _id: other }),
      new RegExp(
        `^DeveloperError: Provided document ID ${id} doesn't match '_id' field "${other}"$`,
      ),
    ],
    [
      () => transaction.replace(id, { _creationTime: 5 }),
      /Provided creation time [\d.]+ doesn't match '_creationTime' field in \{_creationTime: 5\.0\}/,
    ],
  ];
  for (const [call, message] of cases) assert.throws(call, message);
  transaction.replace(id, transaction.get(id));
});

Deno.test("semantics 28, 29: creation times rise by one step and never change", () => {
  const database = new TestDatabase([messages]);
  const transaction = database.begin();
  const ids = Array.from({ length: 3 }, () => transaction.insert("messages", {}));
  const [first, second, third] = ids.map((id) => transaction.get(id)!._creationTime as number);
  assert.ok(first! < second! && second! < third!);
  assert.equal(second! - first!, third! - second!);
  assert.equal((first! + second!) / 2 === first || (first! + second!) / 2 === second, true);
  transaction.patch(ids[0]!, { a: 1 });
  transaction.replace(ids[0]!, { b: 1 });
  assert.equal(transaction.get(ids[0]!)!._creationTime, first);
});

Deno.test("function-abi 28: a write that changes nothing is neither recorded nor counted", () => {
  const database = new TestDatabase([messages]);
  const id = database.commit((transaction) => transaction.insert("messages", { a: { x: 1 } }));
  const transaction = database.begin();
  transaction.patch(id, { a: { x: 1 } });
  transaction.replace(id, { a: { x: 1 } });
  const { writes, usage } = transaction.finish();
  assert.deepEqual(writes, { documents: [], tables: [] });
  assert.equal(usage.documentsWritten, 0);
});

Deno.test("a document changed back, or deleted after its insert, leaves no write", () => {
  const database = new TestDatabase([messages]);
  const id = database.commit((transaction) => transaction.insert("messages", { a: 1 }));
  const transaction = database.begin();
  transaction.patch(id, { a: 2 });
  transaction.patch(id, { a: 1 });
  transaction.delete(transaction.insert("messages", {}));
  const { writes, usage } = transaction.finish();
  assert.deepEqual(writes.documents, []);
  assert.equal(usage.documentsWritten, 4);
});

Deno.test("function-abi 29, 30, 4.7: normalizeId and count know tables by their names", () => {
  const database = new TestDatabase([channels, messages]);
  const id = database.commit((transaction) => transaction.insert("messages", {}));
  const transaction = database.begin();
  transaction.insert("messages", {});
  assert.equal(transaction.normalizeId("messages", id), id);
  assert.equal(transaction.normalizeId("channels", id), null);
  assert.equal(transaction.normalizeId("missing", id), null);
  assert.equal(transaction.normalizeId("messages", "abc"), null);
  assert.throws(
    () => transaction.normalizeId("a b", id),
    /Invalid argument `table` for `db.normalizeId`/,
  );
  assert.equal(transaction.count("messages"), 2);
  assert.equal(transaction.count("missing"), 0);
  transaction.delete(id);
  assert.equal(transaction.count("messages"), 1);
});

Deno.test("a table begins to exist with its first document", () => {
  const database = new TestDatabase([]);
  const reader = database.begin({ kind: "query" });
  assert.deepEqual(reader.openQuery(tableScan("notes")).collect(), []);
  const { reads } = reader.finish();

  const writer = database.begin();
  const id = writer.insert("notes", { body: "hi" });
  writer.insert("tags", {});
  assert.deepEqual(bodies(writer, indexScan("notes.by_creation_time")), ["hi"]);
  assert.equal(writer.normalizeId("notes", id), id);
  const { points } = writer.toLayer(1);
  assert.ok(points.some(([index, key]) => readSetContains(reads, index, key)));
  database.apply(writer.finish().writes);
  assert.deepEqual(database.catalogData.tables.map(({ name }) => name), ["notes", "tags"]);
  assert.equal(database.begin().get(id)!.body, "hi");
});

Deno.test("function-abi 31–34, semantics 94: indexes that cannot be read", () => {
  const database = new TestDatabase([messages]);
  const setState = (state: IndexDefinition["state"]) => {
    const indexes = database.catalogData.indexes.map((index) => ({ ...index, state }));
    database.catalogData = { ...database.catalogData, indexes };
  };
  const open = (name: string) => () => database.begin().openQuery(indexScan(name));
  assert.throws(open("messages.by_x"), { message: "Index messages.by_x not found." });
  assert.throws(open("missing.by_id"), { message: "Index missing.by_id not found." });
  assert.throws(open("_scheduled_functions.by_state"), { code: "IndexNotFoundError" });
  assert.deepEqual(open("_storage.by_creation_time")().collect(), []);
  for (const state of ["backfilling", "backfilled"] as const) {
    setState(state);
    assert.throws(open("messages.by_channel"), {
      message: "Index messages.by_channel is currently backfilling and not available to query yet.",
    });
  }
  setState("staged");
  assert.throws(open("messages.by_channel"), {
    message:
      "Index messages.by_channel is currently staged and not available to query until it is enabled.",
  });
});

Deno.test("semantics 44, 46: the active schema is enforced, the pending one only noted", () => {
  const object = (type: string) => ({
    type: "object",
    value: { body: { fieldType: { type }, optional: false } },
  });
  const schemaOf = (type: string): SchemaDefinition => ({
    schemaValidation: true,
    tables: [{ tableName: "messages", indexes: [], documentType: object(type) }],
  });
  const database = new TestDatabase([messages], schemaOf("string"));
  database.catalogData = { ...database.catalogData, pendingSchema: schemaOf("number") };
  const transaction = database.begin();
  transaction.insert("undeclared", { any: 1 });
  assert.throws(() => transaction.insert("messages", { body: 1 }), {
    message:
      'Failed to insert or update a document in table "messages" because it does not match the schema: ' +
      "Value does not match validator.\nPath: .body\nValue: 1.0\nValidator: v.string()",
  });
  assert.equal(transaction.count("messages"), 0);
  transaction.insert("messages", { body: "text" });
  assert.equal(
    transaction.finish().writes.pendingSchemaViolation?.error,
    'New document in table "messages" does not match the schema: ' +
      'Value does not match validator.\nPath: .body\nValue: "text"\nValidator: v.float64()',
  );
});

Deno.test("function-abi 72: a nested mutation is undone alone, reads and counters stay", () => {
  const database = new TestDatabase([messages]);
  const id = database.commit((transaction) => transaction.insert("messages", { body: "a" }));
  const transaction = database.begin();
  transaction.patch(id, { body: "b" });
  const outer = transaction.nest();
  transaction.insert("messages", { body: "new" });
  const inner = transaction.nest();
  transaction.patch(id, { body: "c" });
  transaction.insert("created", {});
  inner.commit();
  assert.deepEqual(bodies(transaction, tableScan("messages")), ["c", "new"]);
  outer.rollback();
  assert.deepEqual(bodies(transaction, tableScan("messages")), ["b"]);
  assert.equal(transaction.normalizeId("created", id), null);
  const { writes, usage, reads } = transaction.finish();
  assert.equal(writes.documents.length, 1);
  assert.deepEqual(writes.tables, []);
  assert.equal(usage.documentsWritten, 4);
  assert.ok(reads.length > 0);
});

Deno.test("semantics 57–62: limits, with their texts; catching them does not help", () => {
  const database = new TestDatabase([messages]);
  const limits = {
    documentsReadMax: 5,
    bytesReadMax: 10_000,
    intervalsReadMax: 3,
    documentsWrittenMax: 5,
    bytesWrittenMax: 10_240,
  };
  const advice =
    " Consider using smaller limits in your queries, paginating your queries, or using indexed queries with a selective index range expressions.";
  const ids = database.commit((transaction) =>
    Array.from({ length: 6 }, (_, i) => transaction.insert("messages", { i }))
  );
  const big = database.commit((transaction) =>
    transaction.insert("messages", { text: "x".repeat(10_000) })
  );

  const scanning = database.begin({ limits });
  const cursor = scanning.openQuery(tableScan("messages"));
  for (let i = 0; i < 5; i++) cursor.next();
  const tooMany = {
    code: "TooManyDocumentsRead",
    message: `Too many documents read in a single function execution (limit: 5).${advice}`,
  };
  assert.throws(() => cursor.next(), tooMany);
  assert.throws(() => scanning.get(ids[0]!), tooMany);

  assert.throws(() => database.begin({ limits }).get(big), {
    code: "TooManyBytesRead",
    message: `Too many bytes read in a single function execution (limit: 10000 bytes).${advice}`,
  });

  const getting = database.begin({ limits });
  for (let i = 0; i < 2; i++) for (const id of ids.slice(0, 2)) getting.get(id);
  getting.openQuery(tableScan("_storage")).collect();
  assert.throws(() => getting.get(ids[2]!), {
    code: "TooManyReads",
    message: `Too many reads in a single function execution (limit: 3).${advice}`,
  });

  const writing = database.begin({ limits });
  for (const id of ids.slice(0, 5)) writing.patch(id, { done: true });
  assert.throws(() => writing.patch(ids[5]!, { done: true }), {
    code: "TooManyWrites",
    message: "Too many writes in a single function execution (limit: 5)",
  });
  assert.equal(writing.usage.intervalsRead, 0);
  assert.throws(() => database.begin({ limits }).insert("messages", { text: "x".repeat(11_000) }), {
    code: "TooManyBytesWritten",
    message: "Too many bytes written in a single function execution (limit: 10 KiB)",
  });
});

Deno.test("function-abi 77: a nested call has budgets of its own", () => {
  const database = new TestDatabase([messages]);
  const ids = database.commit((transaction) =>
    Array.from({ length: 4 }, (_, i) => transaction.insert("messages", { i }))
  );
  const transaction = database.begin();
  transaction.get(ids[0]!);
  const nested = transaction.nest({ documentsReadMax: 1 });
  transaction.get(ids[1]!);
  assert.throws(() => transaction.get(ids[2]!), /documents read .* \(limit: 2\)/);
  nested.rollback();
  transaction.get(ids[3]!);
});

Deno.test("semantics 7.4: a scan depends on what it returned and on nothing behind it", () => {
  const database = new TestDatabase([messages]);
  const ids = database.commit((transaction) =>
    [1, 2, 3].map((channel) => transaction.insert("messages", { channel }))
  );
  const readsOf = (query: Query) => {
    const transaction = database.begin({ kind: "query" });
    transaction.openQuery(query).collect();
    return transaction.finish().reads;
  };
  const isTouched = (query: Query, work: (transaction: Transaction) => void) => {
    const reads = readsOf(query);
    const transaction = database.begin();
    work(transaction);
    return transaction.toLayer(1).points
      .some(([index, key]) => readSetContains(reads, index, key));
  };
  const firstTwo = indexScan("messages.by_channel", [], 2);
  assert.ok(isTouched(firstTwo, (transaction) => transaction.patch(ids[1]!, { body: "x" })));
  assert.ok(isTouched(firstTwo, (transaction) => transaction.insert("messages", { channel: 1.5 })));
  assert.ok(!isTouched(firstTwo, (transaction) => transaction.patch(ids[2]!, { body: "x" })));
  assert.ok(!isTouched(firstTwo, (transaction) => transaction.insert("messages", { channel: 9 })));
  const whole = indexScan("messages.by_channel");
  assert.ok(isTouched(whole, (transaction) => transaction.insert("messages", { channel: 9 })));
  const newest: Query = { ...tableScan("messages", "desc"), operators: [{ limit: 1 }] };
  assert.ok(isTouched(newest, (transaction) => transaction.insert("messages", {})));
  const oldest: Query = { ...tableScan("messages"), operators: [{ limit: 1 }] };
  assert.ok(!isTouched(oldest, (transaction) => transaction.insert("messages", {})));
});

Deno.test("semantics 72: inserting into an existing table reads nothing", () => {
  const database = new TestDatabase([messages]);
  const transaction = database.begin();
  transaction.insert("messages", {});
  assert.deepEqual(transaction.finish().reads, []);
});

Deno.test("a mutation depends on exactly those pending layers whose writes it read", () => {
  const database = new TestDatabase([channels, messages]);
  const id = database.commit((transaction) => transaction.insert("messages", { n: 0 }));
  const first = database.begin();
  first.patch(id, { n: 1 });
  const second = database.begin({ pending: [first.toLayer(1)] });
  second.insert("channels", {});
  const pending = [first.toLayer(1), second.toLayer(2)];

  const third = database.begin({ pending });
  assert.equal(third.get(id)!.n, 1);
  third.patch(id, { n: 2 });
  const { dependsOn, writes } = third.finish();
  assert.deepEqual(dependsOn, [1]);
  assert.equal(writes.documents[0]!.row, null);
  assert.equal(writes.documents[0]!.existed, true);

  const inserting = database.begin({ pending });
  const inserted = inserting.insert("channels", {});
  assert.deepEqual(inserting.finish().dependsOn, []);
  const other = second.openQuery(tableScan("channels")).next()!;
  assert.ok((other._creationTime as number) < (inserting.get(inserted)!._creationTime as number));
});

Deno.test("documents of system tables are the server's to write and user code's to read", () => {
  const database = new TestDatabase([]);
  const transaction = database.begin({
    limits: { ...database.begin().options.limits, documentsReadMax: 1 },
  });
  const job = transaction.system.insert("_scheduled_functions", {
    name: "m.js:f",
    args: [],
    scheduledTime: 5,
    state: { kind: "pending" },
  });
  transaction.system.patch(job, { state: { kind: "canceled" } });
  for (let i = 0; i < 3; i++) {
    assert.deepEqual(transaction.get(job, { system: true })!.state, { kind: "canceled" });
    assert.equal(transaction.system.get(job)!.scheduledTime, 5);
  }
  const canceled: RangeExpression = { type: "Eq", fieldPath: "state.kind", value: "canceled" };
  const found = transaction.system.openQuery(
    indexScan("_scheduled_functions.by_state", [canceled]),
  );
  assert.equal(found.next()!._id, job);
  transaction.system.delete(job);
  assert.equal(transaction.system.get(job), null);
  assert.equal(transaction.system.get("abc"), null);
  assert.equal(transaction.usage.documentsWritten, 0);
});
