import assert from "node:assert/strict";
import {
  documentWrite,
  indexPoints,
  type TestDocument,
} from "../../tests/support/document_writes.ts";
import {
  byIdIndexId,
  firstUserTableNumber as table,
  tableNameKey,
  tableNamesIndex,
  type TableNumber,
} from "../database/catalog.ts";
import type { ReadSet } from "../database/read_set.ts";
import { type Timestamp, zeroTimestamp } from "../database/timestamp.ts";
import { systemEnvironment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { MemoryPersistence } from "../persistence/memory.ts";
import { pendingSchemaViolationKey } from "../persistence/persistence.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import { encodeKeyValue, lowestKey, pointInterval } from "../values/index_key.ts";
import { Committer } from "./committer.ts";
import type { CommitOutcome, CommitRequest } from "./protocol.ts";

/** A committer over memory, with one table and a clock that stands still unless it is moved. */
class Fixture {
  persistence = new MemoryPersistence();
  nowMs = 1000;
  writer = this.persistence.openWriter();
  committer = this.#open();

  constructor() {
    this.committer.changeCatalog({ createTables: ["items"] });
  }

  #open(): Committer {
    return new Committer(this.writer, { ...systemEnvironment, nowMs: () => this.nowMs });
  }

  reopen(): void {
    this.writer = this.persistence.openWriter();
    this.committer = this.#open();
  }

  /** A request on the newest snapshot that writes nothing; `parts` says what is different. */
  request(parts: Partial<CommitRequest> = {}): CommitRequest {
    return {
      snapshot: this.committer.lastTimestamp,
      structureVersion: this.writer.catalog.structureVersion,
      reads: [],
      writes: { documents: [], tables: [] },
      dependsOn: [],
      ...parts,
    };
  }

  /** Replaces a document whose id it has read. */
  change(before: TestDocument | undefined, after: TestDocument | undefined): CommitRequest {
    const { catalog } = this.writer;
    const revisions = { ...(before && { before }), ...(after && { after }) };
    return this.request({
      reads: readOf((before ?? after)!._id),
      writes: { documents: [documentWrite(catalog, table, revisions)], tables: [] },
    });
  }

  commit(...requests: CommitRequest[]): readonly (CommitOutcome | Error)[] {
    return this.committer.commit(requests).outcomes;
  }

  must(...requests: CommitRequest[]): Timestamp[] {
    return this.commit(...requests).map((outcome) => {
      assert.ok(
        !(outcome instanceof Error) && outcome.kind === "committed",
        JSON.stringify(outcome),
      );
      return outcome.timestamp;
    });
  }

  get values(): Record<string, unknown> {
    const snapshot = this.persistence.openReader().open();
    const all = { lower: encodeKeyValue(""), upper: null };
    return Object.fromEntries(
      snapshot.scan(byIdIndexId(table), all, "asc", 1000).map(({ json }) => JSON.parse(json))
        .map(({ _id, value }) => [_id, value]),
    );
  }
}

function readOf(id: string): ReadSet {
  return [[byIdIndexId(table), [pointInterval(encodeKeyValue(id))]]];
}

function kinds(outcomes: readonly (CommitOutcome | Error)[]): string[] {
  return outcomes.map((outcome) => outcome instanceof Error ? outcome.name : outcome.kind);
}

const a: TestDocument = { _id: "a", value: 1 };
const a2: TestDocument = { _id: "a", value: 2 };
const a3: TestDocument = { _id: "a", value: 3 };
const b: TestDocument = { _id: "b", value: 1 };

Deno.test("committer commit() applies what does not conflict and reports its keys", () => {
  const fixture = new Fixture();
  const { outcomes, commits } = fixture.committer.commit([fixture.change(undefined, a)]);
  assert.deepEqual(kinds(outcomes), ["committed"]);
  assert.deepEqual(fixture.values, { a: 1 });
  const keys = indexPoints(fixture.writer.catalog, table, a);
  assert.deepEqual(commits, [{ timestamp: fixture.committer.lastTimestamp, keys }]);
});

Deno.test("committer commit(): the second of two changes of one document conflicts, also in one group", () => {
  for (const together of [true, false]) {
    const fixture = new Fixture();
    fixture.must(fixture.change(undefined, a));
    const first = { ...fixture.change(a, a2), source: "mod.js:first" };
    const second = fixture.change(a, a3);
    const outcomes = together
      ? fixture.commit(first, second)
      : [...fixture.commit(first), ...fixture.commit(second)];
    assert.deepEqual(kinds(outcomes), ["committed", "conflict"]);
    const expected = { kind: "conflict", table: "items", id: "a", writer: "mod.js:first" };
    assert.deepEqual(outcomes[1], expected);
    assert.deepEqual(fixture.values, { a: 2 });
  }
});

Deno.test("committer commit(), semantics 70: inserts into one table do not conflict", () => {
  const fixture = new Fixture();
  fixture.must(fixture.change(undefined, a), fixture.change(undefined, b));
  assert.deepEqual(fixture.values, { a: 1, b: 1 });
});

Deno.test("committer commit(): a conflicting request leaves no trace in its group", () => {
  const fixture = new Fixture();
  fixture.must(fixture.change(undefined, a));
  const stale = fixture.change(a, a3);
  fixture.must(fixture.change(a, a2));
  const unrelated = fixture.change(undefined, b);
  assert.deepEqual(kinds(fixture.commit(stale, unrelated)), ["conflict", "committed"]);
  assert.deepEqual(fixture.values, { a: 2, b: 1 });
});

Deno.test("committer commit(): a pipeline of one isolate commits in one group", () => {
  const fixture = new Fixture();
  const origin = (sequence: number) => ({ origin: { isolate: 1, sequence } });
  const requests = [
    { ...fixture.change(undefined, a), ...origin(1) },
    { ...fixture.change(a, a2), ...origin(2), dependsOn: [1] },
    { ...fixture.change(a2, a3), ...origin(3), dependsOn: [1, 2] },
  ];
  fixture.must(...requests);
  assert.deepEqual(fixture.values, { a: 3 });
});

Deno.test("committer commit(): what depends on a transaction that did not commit conflicts", () => {
  const fixture = new Fixture();
  fixture.must(fixture.change(undefined, a));
  const origin = (sequence: number) => ({ origin: { isolate: 1, sequence } });
  const failing = { ...fixture.change(a, a2), ...origin(1) };
  const depending = { ...fixture.change(a2, a3), ...origin(2), dependsOn: [1] };
  fixture.must(fixture.change(a, { ...a, value: 9 }));
  assert.deepEqual(kinds(fixture.commit(failing, depending)), ["conflict", "conflict"]);
  assert.deepEqual(fixture.values, { a: 9 });
});

Deno.test("committer commit(), semantics 73: a request that has committed is answered with its record", () => {
  const fixture = new Fixture();
  const session = { sessionId: "s", requestId: 1, result: "41", logLines: "[]" };
  const request = { ...fixture.change(undefined, a), session };
  const [first, second] = fixture.commit(request, {
    ...request,
    session: { ...session, result: "42" },
  });
  assert.ok(!(first instanceof Error) && first?.kind === "committed");
  const { timestamp } = first;
  const record = { timestamp, result: "41", logLines: "[]" };
  assert.deepEqual(second, { kind: "replayed", record }, "in the same group");
  fixture.reopen();
  assert.deepEqual(fixture.commit(request), [{ kind: "replayed", record }], "after a restart");
  assert.deepEqual(kinds(fixture.commit({ ...request, session: { ...session, requestId: 2 } })), [
    "conflict",
  ], "another request is judged by itself");
});

Deno.test("committer commit(), semantics 11.1: a session request without writes is validated all the same", () => {
  const fixture = new Fixture();
  fixture.must(fixture.change(undefined, a));
  const session = { sessionId: "s", requestId: 1, result: "null", logLines: "[]" };
  const stale = { ...fixture.request({ reads: readOf("a") }), session };
  fixture.must(fixture.change(a, a2));
  assert.deepEqual(kinds(fixture.commit(stale)), ["conflict"]);
  assert.deepEqual(kinds(fixture.commit({ ...stale, snapshot: fixture.committer.lastTimestamp })), [
    "committed",
  ]);
});

Deno.test("committer: timestamps increase while the clock stands still, goes back, and over restarts", () => {
  const fixture = new Fixture();
  const timestamps = [fixture.committer.lastTimestamp];
  for (const nowMs of [1000, 1000, 500, 1000.5, 2000, 0]) {
    fixture.nowMs = nowMs;
    timestamps.push(...fixture.must(fixture.request(), fixture.request()));
    fixture.reopen();
  }
  assert.deepEqual(timestamps, [...new Set(timestamps)].sort((x, y) => x - y));
  assert.ok(timestamps.includes(1_000_500 as Timestamp), "the clock is used when it has moved on");
});

Deno.test("committer: a snapshot from before a restart conflicts, because its log is gone", () => {
  const fixture = new Fixture();
  const old = fixture.change(undefined, a);
  fixture.must(fixture.request());
  fixture.reopen();
  assert.deepEqual(kinds(fixture.commit(old)), ["conflict"]);
});

Deno.test("committer commit(): a change of indexes or schemas makes earlier transactions start again", () => {
  const fixture = new Fixture();
  const early = fixture.change(undefined, a);
  fixture.committer.changeCatalog({ records: [{ key: "x", json: "1" }] });
  fixture.must(early);
  const late = fixture.change(undefined, b);
  const index = {
    kind: "database" as const,
    table: "items",
    name: "by_value",
    fields: ["value"],
    staged: false,
  };
  fixture.committer.changeCatalog({ createIndexes: [index] });
  assert.deepEqual(kinds(fixture.commit(late)), ["conflict"]);
});

Deno.test("committer commit(): of two transactions that create a table, one conflicts", () => {
  const create = (fixture: Fixture, name: string, number: TableNumber) =>
    fixture.request({
      reads: [[tableNamesIndex, [pointInterval(tableNameKey({ name }))]]],
      writes: { documents: [], tables: [{ name, number }] },
    });
  const next = table + 1 as TableNumber;
  for (const [name, number] of [["tasks", next], ["tasks", next + 1], ["users", next]] as const) {
    const fixture = new Fixture();
    const first = create(fixture, "tasks", next);
    const second = create(fixture, name, number as TableNumber);
    const unrelated = create(fixture, "others", next + 2 as TableNumber);
    assert.deepEqual(kinds(fixture.commit(first, second, unrelated)), [
      "committed",
      "conflict",
      "committed",
    ]);
    assert.deepEqual(kinds(fixture.commit(second)), ["conflict"]);
    assert.deepEqual(fixture.writer.catalog.tables.map((t) => t.name), [
      "items",
      "tasks",
      "others",
    ]);
  }
});

Deno.test("committer changeCatalog(): a reader of a missing table conflicts when a push creates it", () => {
  const fixture = new Fixture();
  const reader = fixture.request({
    reads: [[tableNamesIndex, [pointInterval(tableNameKey({ name: "tasks" }))]]],
  });
  const { commit } = fixture.committer.changeCatalog({ createTables: ["tasks", "items"] });
  assert.deepEqual(commit.keys, [[tableNamesIndex, tableNameKey({ name: "tasks" })]]);
  assert.deepEqual(kinds(fixture.commit(reader)), ["conflict"]);
});

Deno.test("committer changeCatalog() changes documents in the same commit, unless they have changed", () => {
  const fixture = new Fixture();
  const records = [{ key: "code", json: "1" }];
  const { commit } = fixture.committer.changeCatalog({ records }, fixture.change(undefined, a));
  assert.deepEqual(fixture.values, { a: 1 });
  const keys = indexPoints(fixture.writer.catalog, table, a);
  assert.deepEqual(commit, { timestamp: fixture.committer.lastTimestamp, keys });

  const late = fixture.change(a, a2);
  fixture.must(fixture.change(a, a3));
  assert.throws(
    () => fixture.committer.changeCatalog({ records: [{ key: "code", json: "2" }] }, late),
    (error) => error instanceof RequestError && error.kind === "writeConflict",
  );
  assert.deepEqual([fixture.values, fixture.writer.getRecord("code")], [{ a: 3 }, "1"]);
  const reader = fixture.request({ reads: readOf("a") });
  fixture.committer.changeCatalog({}, fixture.change(a3, undefined));
  assert.deepEqual(kinds(fixture.commit(reader)), ["conflict"]);
});

Deno.test("committer changeCatalog() refuses to activate a schema that a commit contradicted", () => {
  const fixture = new Fixture();
  const schema = { schemaValidation: true, tables: [] };
  fixture.committer.changeCatalog({ pendingSchema: schema });
  const change = fixture.change(undefined, a);
  const pendingSchemaViolation = { error: "New document in table…", tableName: "items" };
  fixture.must({ ...change, writes: { ...change.writes, pendingSchemaViolation } });
  assert.throws(
    () => fixture.committer.changeCatalog({ activeSchema: schema, pendingSchema: null }),
    (error) =>
      error instanceof RequestError && error.code === "SchemaAlreadyFailed" &&
      error.message.endsWith(pendingSchemaViolation.error),
  );
  assert.equal(
    fixture.writer.getRecord(pendingSchemaViolationKey),
    JSON.stringify(pendingSchemaViolation),
  );
  fixture.committer.changeCatalog({ pendingSchema: schema });
  fixture.committer.changeCatalog({ activeSchema: schema, pendingSchema: null });
});

Deno.test("committer commit(): a transaction that cannot be applied fails alone", () => {
  const fixture = new Fixture();
  fixture.must(fixture.change(undefined, a));
  const missing = fixture.change(b, { ...b, value: 2 });
  const depending = fixture.change(a, a2);
  const outcomes = fixture.commit(missing, depending, fixture.change(a, a3));
  assert.deepEqual(kinds(outcomes), ["PersistenceError", "committed", "conflict"]);
  assert.deepEqual(fixture.values, { a: 2 });
});

Deno.test("committer commit(): a full disk fails requests and leaves the committer usable", () => {
  const fixture = new Fixture();
  const request = fixture.change(undefined, a);
  fixture.persistence.faults.transaction = () => {
    throw new PersistenceError("DiskFull", "The disk is full.");
  };
  const [outcome] = fixture.commit(request, fixture.change(undefined, b));
  assert.ok(outcome instanceof RequestError && outcome.kind === "overloaded");
  assert.deepEqual(fixture.values, {});
  delete fixture.persistence.faults.transaction;
  fixture.must(request);
  assert.deepEqual(fixture.values, { a: 1 });
});

Deno.test("committer commit() throws when nobody knows what is on disk", () => {
  const fixture = new Fixture();
  fixture.persistence.faults.transaction = () => {
    throw new PersistenceError("Failed", "disk I/O error");
  };
  assert.throws(() => fixture.commit(fixture.change(undefined, a)), PersistenceError);
});

Deno.test("committer backfill() fills an index in steps while commits go on, then says so", () => {
  const fixture = new Fixture();
  const documents = Array.from({ length: 500 }, (_, i) => ({ _id: `d${i}`, value: i }));
  fixture.must(...documents.map((document) => fixture.change(undefined, document)));
  const definition = {
    kind: "database" as const,
    table: "items",
    name: "by_value",
    fields: ["value"],
    staged: false,
  };
  const { catalog } = fixture.committer.changeCatalog({ createIndexes: [definition] });
  const [index] = catalog.indexes;
  assert.equal(index!.state, "backfilling");
  const backfill = { indexes: [index!.id], after: lowestKey };
  assert.equal(fixture.committer.backfill(backfill), undefined);
  fixture.must(
    fixture.change(documents[0], { _id: "d0", value: 1000 }),
    fixture.change(undefined, a),
  );
  assert.equal(fixture.committer.backfill(backfill), undefined);
  const done = fixture.committer.backfill(backfill);
  assert.deepEqual(done!.catalog.indexes.map(({ state }) => state), ["backfilled"]);
  const snapshot = fixture.persistence.openReader().open();
  const everything = { lower: encodeKeyValue(undefined), upper: null };
  const indexed = snapshot.scan(index!.id, everything, "asc", 1000).map(({ json }) =>
    JSON.parse(json).value
  );
  const expected = [...documents.slice(1).map(({ value }) => value), 1000, 1];
  assert.deepEqual(indexed, expected.sort((x, y) => x - y));
});

Deno.test("committer backfill(), semantics 7.2: a step is bounded in bytes and by the number of indexes", () => {
  const fixture = new Fixture();
  const text = "x".repeat(100_000);
  const documents = Array.from({ length: 6 }, (_, i) => ({ _id: `d${i}`, value: i, text }));
  fixture.must(...documents.map((document) => fixture.change(undefined, document)));
  const steps = (...names: string[]) => {
    const definition = { kind: "database" as const, table: "items", staged: true };
    const createIndexes = names.map((name) => ({ ...definition, name, fields: [name] }));
    const { catalog } = fixture.committer.changeCatalog({ createIndexes });
    const created = catalog.indexes.slice(-names.length);
    const backfill = { indexes: created.map(({ id }) => id), after: lowestKey };
    for (let step = 1;; step++) {
      const done = fixture.committer.backfill(backfill);
      if (done === undefined) continue;
      const states = done.catalog.indexes.slice(-names.length).map(({ state }) => state);
      assert.deepEqual(states, names.map(() => "staged"));
      assert.equal(done.catalog.structureVersion, catalog.structureVersion);
      return step;
    }
  };
  assert.equal(steps("value"), 4, "two documents a step, then none");
  assert.equal(steps("a", "b"), 7, "one document a step, then none");
});

Deno.test("committer backfill() of a dropped index is refused", () => {
  const fixture = new Fixture();
  const definition = {
    kind: "database" as const,
    table: "items",
    name: "by_value",
    fields: ["value"],
    staged: false,
  };
  const { catalog } = fixture.committer.changeCatalog({ createIndexes: [definition] });
  const { id } = catalog.indexes[0]!;
  fixture.committer.changeCatalog({ dropIndexes: [id] });
  assert.throws(
    () => fixture.committer.backfill({ indexes: [id], after: lowestKey }),
    RequestError,
  );
});

Deno.test("committer maintain(): results of client requests are forgotten after two weeks", () => {
  const fixture = new Fixture();
  const session = { sessionId: "s", requestId: 1, result: "41", logLines: "[]" };
  const request = fixture.request({ session });
  fixture.must(request);
  const dayMs = 24 * 60 * 60 * 1000;
  fixture.nowMs += 13 * dayMs;
  fixture.committer.maintain();
  assert.deepEqual(kinds(fixture.commit(request)), ["replayed"]);
  fixture.nowMs += 2 * dayMs;
  fixture.committer.maintain();
  assert.deepEqual(kinds(fixture.commit(request)), ["committed"]);
});

Deno.test("committer: a new database begins at timestamp 0", () => {
  const persistence = new MemoryPersistence();
  const committer = new Committer(persistence.openWriter(), systemEnvironment);
  assert.equal(committer.lastTimestamp, zeroTimestamp);
});
