/** What every implementation of persistence.ts does alike. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { checkDatabase } from "../../tests/support/database_check.ts";
import {
  documentWrite,
  indexPoints,
  type Revisions,
  type TestDocument,
} from "../../tests/support/document_writes.ts";
import {
  byCreationTimeIndexId,
  byIdIndexId,
  firstUserTableNumber as table,
  type IndexId,
  type SearchIndex,
} from "../database/catalog.ts";
import { appComponent } from "../database/component.ts";
import { NaiveSearch } from "../database/search/search_testing.ts";
import { filterDigest } from "../database/search/search_entry.ts";
import type { SearchHit } from "../database/search/search_snapshot.ts";
import { tokenize } from "../database/search/tokens.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { WriteSet } from "../database/write_set.ts";
import {
  encodeKeyValue,
  type IndexKey,
  indexKeyOf,
  lowestKey,
  prefixInterval,
} from "../values/index_key.ts";
import { encodeValue } from "../values/value.ts";
import { databasePath } from "./data_folder.ts";
import { MemoryPersistence } from "./memory.ts";
import {
  type BackfillStep,
  pendingSchemaViolationKey,
  type PersistenceWriter,
  type Snapshot,
  type SnapshotReader,
} from "./persistence.ts";
import { leftNoTrace } from "./persistence_error.ts";
import { openSnapshotReader } from "./snapshot_reader.ts";
import { openWriter } from "./writer.ts";

interface Store {
  /** Whether searches read an index, not the documents. */
  readonly isIndexed: boolean;
  openWriter(): PersistenceWriter;
  openReader(): SnapshotReader;
  remove(): void;
}

const implementations: Record<string, () => Store> = {
  memory() {
    const persistence = new MemoryPersistence();
    return {
      isIndexed: false,
      openWriter: () => persistence.openWriter(),
      openReader: () => persistence.openReader(),
      remove() {},
    };
  },
  SQLite() {
    const folder = Deno.makeTempDirSync();
    return {
      isIndexed: true,
      openWriter: () => openWriter(folder),
      openReader: () => openSnapshotReader(databasePath(folder)),
      remove() {
        checkDatabase(folder);
        Deno.removeSync(folder, { recursive: true });
      },
    };
  },
};

const byId = byIdIndexId(table);
const byCreationTime = byCreationTimeIndexId(table);
const everything = { lower: lowestKey, upper: null };
const all = 1000;

/** A writer, a reader, and short ways to use them. */
class Session {
  writer: PersistenceWriter;
  reader: SnapshotReader;

  constructor(readonly store: Store) {
    this.writer = store.openWriter();
    this.reader = store.openReader();
  }

  reopen(): void {
    this.close();
    this.writer = this.store.openWriter();
    this.reader = this.store.openReader();
  }

  close(): void {
    this.reader.close();
    this.writer.close();
  }

  get next(): Timestamp {
    return this.writer.lastTimestamp + 1 as Timestamp;
  }

  createTable(): void {
    this.writer.applyCatalogChange({ createTables: ["items"] }, this.next);
  }

  createIndex(): IndexId {
    const index = {
      kind: "database" as const,
      table: "items",
      name: "by_value",
      fields: ["value"],
      staged: false,
    };
    const { indexes } = this.writer.applyCatalogChange({ createIndexes: [index] }, this.next);
    return indexes.at(-1)!.id;
  }

  /** Backfills to the end; `betweenSteps` is called after each step. */
  fill(
    indexes: readonly IndexId[],
    from: IndexKey = lowestKey,
    limits: Parameters<Session["backfill"]>[2] = {},
    betweenSteps: () => void = () => {},
  ): void {
    for (let after: IndexKey | null = from; after !== null; betweenSteps()) {
      after = this.backfill(indexes, after, limits);
    }
  }

  backfill(
    indexes: readonly IndexId[],
    after: IndexKey,
    limits: Partial<Pick<BackfillStep, "documentsMax" | "bytesMax">> = {},
  ): IndexKey | null {
    const unlimited = { documentsMax: all, bytesMax: all };
    return this.writer.backfill({ table, indexes, after, ...unlimited, ...limits });
  }

  createSearchIndex(): SearchIndex {
    const index = {
      kind: "search" as const,
      table: "items",
      name: "by_text",
      searchField: "text",
      filterFields: ["kind"],
      staged: false,
    };
    const { indexes } = this.writer.applyCatalogChange({ createIndexes: [index] }, this.next);
    return indexes.at(-1) as SearchIndex;
  }

  get #searchIndex(): SearchIndex {
    return this.writer.catalog.indexes.at(-1) as SearchIndex;
  }

  terms(prefix: string, limit = all): [term: string, documents: number][] {
    const terms = this.read(({ search }) => search.terms(this.#searchIndex, prefix, limit));
    return terms.map(({ term, documents }) => [term, documents]);
  }

  /** Numbers of the notes with one of the terms, best first. */
  found(terms: string[], kind?: string): string[] {
    const request = {
      terms: terms.map((term) => ({ term, weight: 1 })),
      averageLength: 2,
      filters: kind === undefined ? [] : [{ field: 0, digest: filterDigest(kind) }],
    };
    return this.read(({ search }) => search.rank(this.#searchIndex, request, all))
      .map(({ id }) => id);
  }

  writes(...documents: Revisions[]): WriteSet {
    const write = (revisions: Revisions) => documentWrite(this.writer.catalog, table, revisions);
    return { documents: documents.map(write), tables: [] };
  }

  apply(...documents: Revisions[]): void {
    this.writer.apply([{ timestamp: this.next, writes: this.writes(...documents) }]);
  }

  read<Result>(body: (snapshot: Snapshot) => Result, isolate?: number): Result {
    const snapshot = this.reader.open(isolate);
    try {
      return body(snapshot);
    } finally {
      snapshot.close();
    }
  }

  values(index: IndexId = byCreationTime, order: "asc" | "desc" = "asc"): unknown[] {
    return this.read((snapshot) => valuesOf(snapshot.scan(index, everything, order, all)));
  }

  keys(document: TestDocument) {
    return new Map(indexPoints(this.writer.catalog, table, document));
  }
}

function valuesOf(documents: readonly { json: string }[]): unknown[] {
  return documents.map(({ json }) => JSON.parse(json).value);
}

function note(number: number, text: string, kind: string): TestDocument {
  return { _id: `${number}`, _creationTime: number, text, kind };
}

function item(number: number, value: string | number = number): TestDocument {
  return { _id: `item${number}`, _creationTime: number, value };
}

function contract(name: string, body: (session: Session) => void | Promise<void>): void {
  for (const [implementation, open] of Object.entries(implementations)) {
    Deno.test(`${implementation} persistence: ${name}`, async () => {
      const session = new Session(open());
      try {
        await body(session);
      } finally {
        session.close();
        session.store.remove();
      }
    });
  }
}

contract("a new database is empty, at timestamp 0", (session) => {
  assert.equal(session.writer.lastTimestamp, 0);
  session.read((snapshot) => {
    assert.equal(snapshot.timestamp, 0);
    assert.equal(snapshot.decidedSequence, 0);
    assert.deepEqual(snapshot.catalog.data.tables, []);
    assert.equal(snapshot.get(byId, encodeKeyValue("item1")), undefined);
  });
});

contract("get() finds a document by every index key, until it is deleted", (session) => {
  session.createTable();
  session.apply({ after: item(1) });
  for (const [index, key] of session.keys(item(1))) {
    const found = session.read((snapshot) => snapshot.get(index, key));
    assert.deepEqual(JSON.parse(found!.json), { ...item(1) });
  }
  session.apply({ before: item(1) });
  for (const [index, key] of session.keys(item(1))) {
    assert.equal(session.read((snapshot) => snapshot.get(index, key)), undefined);
  }
});

contract("scan() answers intervals in both orders, up to a limit", (session) => {
  session.createTable();
  session.apply(...[3, 1, 4, 2, 5].map((number) => ({ after: item(number) })));
  assert.deepEqual(session.values(), [1, 2, 3, 4, 5]);
  assert.deepEqual(session.values(byCreationTime, "desc"), [5, 4, 3, 2, 1]);
  session.read((snapshot) => {
    const interval = { lower: encodeKeyValue(2), upper: encodeKeyValue(5) };
    const scan = (order: "asc" | "desc", limit: number) =>
      valuesOf(snapshot.scan(byCreationTime, interval, order, limit));
    assert.deepEqual(scan("asc", all), [2, 3, 4]);
    assert.deepEqual(scan("desc", all), [4, 3, 2]);
    assert.deepEqual(scan("asc", 2), [2, 3]);
    assert.deepEqual(scan("desc", 2), [4, 3]);
    assert.equal(snapshot.count(byCreationTime, interval), 3);
    assert.equal(snapshot.count(byCreationTime, { ...interval, upper: null }), 4);
    assert.equal(snapshot.count(byCreationTime, prefixInterval(encodeKeyValue(9))), 0);
  });
});

contract("a document is changed by its row, or by its id when the row is not known", (session) => {
  session.createTable();
  session.apply({ after: item(1) }, { after: item(2) });
  const { row } = session.read((snapshot) => snapshot.get(byId, encodeKeyValue("item1")))!;
  session.apply({ before: item(1), after: item(1, "by row"), row });
  session.apply({ before: item(2), after: item(2, "by id") });
  assert.deepEqual(session.values(), ["by row", "by id"]);
  session.apply({ before: item(1, "by row"), row }, { before: item(2, "by id") });
  assert.deepEqual(session.values(), []);
});

contract("later transactions of a batch build on earlier ones", (session) => {
  session.createTable();
  const first = session.writes({ after: item(1, "first") });
  const second = session.writes({ before: item(1, "first"), after: item(1, "second") });
  const { next } = session;
  session.writer.apply([
    { timestamp: next, writes: first },
    { timestamp: next + 5 as Timestamp, writes: second },
  ]);
  assert.deepEqual(session.values(), ["second"]);
  assert.equal(session.read((snapshot) => snapshot.timestamp), next + 5);
});

contract("a batch of which one transaction is impossible leaves no trace", (session) => {
  session.createTable();
  session.apply({ after: item(1) });
  const before = session.writer.lastTimestamp;
  const impossible = [
    session.writes({ before: item(7), after: item(7, "missing") }),
    session.writes({ before: item(7) }),
    session.writes({ after: item(1, "exists") }),
  ];
  for (const writes of impossible) {
    const batch = [
      { timestamp: session.next, writes: session.writes({ after: item(2) }) },
      { timestamp: session.next + 1 as Timestamp, writes },
    ];
    assert.throws(() => session.writer.apply(batch), leftNoTrace);
    assert.equal(session.writer.lastTimestamp, before);
    assert.deepEqual(session.values(), [1]);
  }
  session.apply({ after: item(2) });
  assert.deepEqual(session.values(), [1, 2]);
});

contract("a snapshot stays as it is while commits follow", (session) => {
  session.createTable();
  session.apply({ after: item(1) });
  const snapshot = session.reader.open();
  const { timestamp } = snapshot;
  session.apply({ before: item(1), after: item(1, "changed") }, { after: item(2) });
  session.createIndex();
  assert.deepEqual(valuesOf(snapshot.scan(byCreationTime, everything, "asc", all)), [1]);
  assert.deepEqual(snapshot.catalog.indexesOf(table).length, 2);
  snapshot.close();
  assert.deepEqual(session.values(), ["changed", 2]);
  assert.ok(session.read((later) => later.timestamp) > timestamp);
  assert.throws(() => snapshot.scan(byId, everything, "asc", 1), /snapshot is closed/);
});

contract("a reader has one snapshot at a time", (session) => {
  const snapshot = session.reader.open();
  assert.throws(() => session.reader.open(), /open snapshot/);
  snapshot.close();
  snapshot.close();
  session.reader.open().close();
});

contract("decidedSequence tells each isolate what a snapshot holds of it", (session) => {
  session.createTable();
  const commit = (isolate: number, sequence: number) => {
    const writes = session.writes();
    session.writer.apply([{ timestamp: session.next, writes, origin: { isolate, sequence } }]);
  };
  const decided = (isolate: number) => session.read((s) => s.decidedSequence, isolate);
  commit(1, 3);
  commit(2, 8);
  assert.deepEqual([1, 2, 3].map(decided), [3, 8, 0]);
  commit(1, 4);
  commit(2, 7);
  assert.deepEqual([1, 2, 3].map(decided), [4, 8, 0]);
  session.reopen();
  assert.deepEqual([1, 2, 3].map(decided), [0, 0, 0]);
});

contract("a transaction that creates a table makes it visible with its documents", (session) => {
  const before = session.writer.catalog;
  const documents = [documentWrite(before, table, { after: item(1) })];
  assert.deepEqual(documents[0]!.addedKeys, [], "the catalog does not know the table yet");
  const catalog = { ...before, tables: [{ name: "items", number: table }] };
  session.writer.apply([{
    timestamp: session.next,
    writes: {
      documents: [documentWrite(catalog, table, { after: item(1) })],
      tables: [{ name: "items", number: table }],
    },
  }]);
  assert.deepEqual(session.values(), [1]);
  assert.equal(
    session.read((snapshot) => snapshot.catalog.tableNamed(appComponent, "items")?.number),
    table,
  );
  assert.equal(session.writer.catalog.version, before.version + 1);
  assert.equal(session.writer.catalog.structureVersion, before.structureVersion);
});

contract("a catalog change is visible to new snapshots and survives reopening", (session) => {
  session.createTable();
  const index = session.createIndex();
  const activeSchema = { schemaValidation: true, tables: [] };
  const before = session.writer.catalog;
  const after = session.writer.applyCatalogChange({
    createTables: ["items", "others"],
    setIndexState: [{ id: index, state: "ready" }],
    activeSchema,
  }, session.next);
  assert.equal(after.version, before.version + 1);
  assert.equal(after.structureVersion, before.structureVersion + 1);
  assert.deepEqual(after.tables.map(({ name }) => name), ["items", "others"]);
  assert.deepEqual(after.indexes.map(({ state }) => state), ["ready"]);
  assert.deepEqual(after.activeSchema, activeSchema);
  session.reopen();
  assert.deepEqual(session.writer.catalog, after);
  assert.deepEqual(session.read((snapshot) => snapshot.catalog.data), after);
});

contract("a catalog change and changes of documents are one commit", (session) => {
  session.createTable();
  const document = { _id: "a", _creationTime: 1, value: 1 };
  const documents = [documentWrite(session.writer.catalog, table, { after: document })];
  const records = [{ key: "x", json: "1" }];
  session.writer.applyCatalogChange({ records }, session.next, documents);
  assert.throws(() => session.writer.applyCatalogChange({ records: [] }, session.next, documents));
  session.reopen();
  assert.equal(session.writer.getRecord("x"), "1");
  const snapshot = session.reader.open();
  assert.equal(snapshot.count(byId, everything), 1);
  snapshot.close();
});

contract("records are named texts that can be replaced and removed", (session) => {
  const { version } = session.writer.catalog;
  const change = (json: string | null) =>
    session.writer.applyCatalogChange({ records: [{ key: "a", json }] }, session.next);
  change("1");
  change("2");
  assert.equal(session.reader.getRecord("a"), "2");
  assert.equal(session.writer.getRecord("a"), "2");
  change(null);
  assert.equal(session.reader.getRecord("a"), undefined);
  assert.equal(session.writer.catalog.version, version, "records are no part of the catalog");
});

contract("the first violation of a pending schema is kept until the next one is set", (session) => {
  const violate = (error: string) => {
    const pendingSchemaViolation = { error, tableName: "items" };
    const writes = { documents: [], tables: [], pendingSchemaViolation };
    session.writer.apply([{ timestamp: session.next, writes }]);
  };
  violate("first");
  violate("second");
  assert.equal(
    session.reader.getRecord(pendingSchemaViolationKey),
    '{"error":"first","tableName":"items"}',
  );
  session.writer.applyCatalogChange({ pendingSchema: null }, session.next);
  assert.equal(session.reader.getRecord(pendingSchemaViolationKey), undefined);
});

contract("semantics 11.3: results are found by session and request until pruned", (session) => {
  const timestamps = [1, 2, 3].map((requestId) => {
    const timestamp = session.next;
    const request = { sessionId: "s", requestId, result: `${requestId}`, logLines: "[]" };
    session.writer.apply([{ timestamp, writes: session.writes(), session: request }]);
    return timestamp;
  });
  const found = () => [1, 2, 3, 4].map((id) => session.reader.getSessionRecord("s", id)?.result);
  assert.deepEqual(found(), ["1", "2", "3", undefined]);
  assert.equal(session.reader.getSessionRecord("other", 1), undefined);
  const expected = { timestamp: timestamps[0], result: "1", logLines: "[]" };
  assert.deepEqual(session.writer.getSessionRecord("s", 1), expected);
  assert.equal(session.writer.pruneSessionRecords(timestamps[2]!, 1), false);
  assert.deepEqual(found(), [undefined, "2", "3", undefined]);
  assert.equal(session.writer.pruneSessionRecords(timestamps[2]!, 10), true);
  assert.deepEqual(found(), [undefined, undefined, "3", undefined]);
});

contract("backfill() goes on where it was while writes maintain the index", (session) => {
  session.createTable();
  session.apply(...[1, 2, 3, 4, 5, 6].map((number) => ({ after: item(number, 10 - number) })));
  const index = session.createIndex();
  const after = session.backfill([index], lowestKey, { documentsMax: 2 });
  assert.notEqual(after, null);
  session.apply({ before: item(1, 9), after: item(1, 0) });
  session.apply({ before: item(5, 5), after: item(5, -1) });
  session.apply({ before: item(6, 4) });
  session.apply({ after: item(7, 1) });
  const next = session.backfill([index], after!, { documentsMax: 3 });
  assert.notEqual(next, null);
  session.fill([index], next!, { documentsMax: 3 });
  assert.deepEqual(session.values(index), [-1, 0, 1, 6, 7, 8]);
});

contract("backfill() fills several indexes at once, in steps of bounded size", (session) => {
  session.createTable();
  session.apply(...[1, 2, 3].map((number) => ({ after: item(number, -number) })));
  const indexes = [session.createIndex(), session.createIndex()];
  let steps = 0;
  for (let after: IndexKey | null = lowestKey; after !== null; steps++) {
    after = session.backfill(indexes, after, { bytesMax: 1 });
  }
  assert.ok(steps > 3, "one document a step");
  for (const index of indexes) assert.deepEqual(session.values(index), [-3, -2, -1]);
});

contract("backfill() keeps up with documents that change between any two steps", (session) => {
  session.createTable();
  const numbers = Array.from({ length: 40 }, (_, number) => number);
  session.apply(...numbers.map((number) => ({ after: item(number, number) })));
  const index = session.createIndex();
  const current = new Map(numbers.map((number) => [number, number]));
  let step = 0;
  session.fill([index], lowestKey, { documentsMax: 2 }, () => {
    const number = (step++ * 7) % 40;
    const value = current.get(number);
    if (value === undefined) {
      session.apply({ after: item(number, -step) });
      current.set(number, -step);
    } else if (step % 3 === 0) {
      session.apply({ before: item(number, value) });
      current.delete(number);
    } else {
      session.apply({ before: item(number, value), after: item(number, value + 100) });
      // And back again, which makes the same key as before.
      if (step % 2 === 0) {
        session.apply({ before: item(number, value + 100), after: item(number, value) });
      } else current.set(number, value + 100);
    }
  });
  assert.ok(step > 10);
  assert.deepEqual(session.values(index), [...current.values()].sort((a, b) => a - b));
});

contract("backfill() may begin again after a restart", (session) => {
  session.createTable();
  session.apply(...[1, 2, 3].map((number) => ({ after: item(number, -number) })));
  const index = session.createIndex();
  session.backfill([index], lowestKey, { documentsMax: 2 });
  session.reopen();
  session.fill([index]);
  assert.deepEqual(session.values(index), [-3, -2, -1]);
});

contract("a dropped index leaves nothing behind, and its id is not used again", async (session) => {
  session.createTable();
  const index = session.createIndex();
  session.apply(...Array.from({ length: 2500 }, (_, i) => ({ after: item(i) })));
  session.writer.applyCatalogChange({ dropIndexes: [index] }, session.next);
  assert.deepEqual(session.writer.catalog.indexes, []);
  session.reopen();
  for (let step = 0; !session.writer.maintain(); step++) assert.ok(step < 10);
  assert.equal(session.read((snapshot) => snapshot.count(index, everything)), 0);
  assert.equal(session.read((snapshot) => snapshot.count(byId, everything)), 2500);
  assert.ok(session.createIndex() > index);
  await session.writer.sync();
});

contract("a full-text index follows its documents", (session) => {
  session.createTable();
  const index = session.createSearchIndex();
  session.apply({ after: note(1, "one two", "x") }, { after: note(2, "Two, two!", "y") });
  session.apply({ after: { _id: "nothing", text: 3 } }, { after: note(3, "", "x") });
  assert.deepEqual(session.terms("t"), [["two", 2]]);
  assert.deepEqual(session.found(["two"]), ["2", "1"]);
  assert.deepEqual(session.found(["two"], "x"), ["1"]);
  assert.deepEqual(session.read(({ search }) => search.statistics(index)), {
    documents: 3,
    tokens: 4,
  });

  session.apply({ before: note(1, "one two", "x"), after: note(1, "one two", "y") });
  assert.deepEqual(session.found(["two"], "x"), []);
  session.apply({ before: note(2, "Two, two!", "y"), after: note(2, "twofold", "y") });
  session.apply({ before: note(3, "", "x"), after: note(3, "one two three", "x") });
  session.apply({ before: note(1, "one two", "y") });
  assert.deepEqual(session.terms("t"), [["three", 1], ["two", 1], ["twofold", 1]]);
  assert.deepEqual(session.terms("two", 1), [["two", 1]]);
  assert.deepEqual(session.found(["one", "twofold"]), ["2", "3"]);
});

contract("backfill() fills a full-text index while writes maintain it", (session) => {
  session.createTable();
  const notes = Array.from({ length: 10 }, (_, i) => note(i, `common w${i}`, "x"));
  session.apply(...notes.map((after) => ({ after })));
  const { id } = session.createSearchIndex();
  let after: IndexKey | null = lowestKey;
  after = session.backfill([id], after, { documentsMax: 4 });
  session.apply({ before: notes[1]!, after: note(1, "early", "x") }, { before: notes[2]! });
  session.apply({ before: notes[8]!, after: note(8, "late", "x") }, { before: notes[9]! });
  session.apply({ after: note(10, "common", "x") });
  while (after !== null) after = session.backfill([id], after, { documentsMax: 4 });
  assert.deepEqual(session.terms("common"), [["common", 7]]);
  assert.deepEqual(session.found(["early", "late"]).sort(), ["1", "8"]);
  session.reopen();
  session.backfill([id], lowestKey);
  assert.deepEqual(session.terms("common"), [["common", 7]]);
});

contract("a dropped full-text index leaves nothing behind", (session) => {
  session.createTable();
  const index = session.createSearchIndex();
  session.apply(...Array.from({ length: 250 }, (_, i) => ({ after: note(i, `w${i}`, "x") })));
  session.writer.applyCatalogChange({ dropIndexes: [index.id] }, session.next);
  session.apply({ before: note(1, "w1", "x"), after: note(1, "other", "x") });
  session.reopen();
  for (let step = 0; !session.writer.maintain(); step++) assert.ok(step < 10);
  session.createSearchIndex();
  assert.deepEqual(session.terms("w"), session.store.isIndexed ? [] : session.terms("w"));
});

contract("searches of any kind find the same as a look at every document", (session) => {
  session.createTable();
  const index = session.createSearchIndex();
  const word = fc.constantFrom(
    "a",
    "ab",
    "Abc",
    "b",
    "b ".repeat(20),
    "é",
    "\u{10400}",
    "x.y",
    "c\u0307",
  );
  const text = fc.array(word, { maxLength: 4 }).map((words) => words.join(" "));
  const change = fc.record({ number: fc.nat(5), text: fc.option(text), kind: word });
  const documents = new Map<number, TestDocument>();
  fc.assert(
    fc.property(fc.array(change, { maxLength: 5 }), word, fc.option(word), (changes, w, kind) => {
      for (const { number, text, kind } of changes) {
        const before = documents.get(number);
        const after = text === null ? undefined : note(number, text, kind);
        if (before === undefined && after === undefined) continue;
        session.apply({ ...before && { before }, ...after && { after } });
        if (after === undefined) documents.delete(number);
        else documents.set(number, after);
      }
      const naive = new NaiveSearch(() =>
        [...documents.values()].map((document) => encodeValue(document).json)
      );
      const request = {
        terms: [...new Set(tokenize(`${w} b`))].map((term, i) => ({ term, weight: 1 + i })),
        averageLength: 2,
        filters: kind === null ? [] : [{ field: 0, digest: filterDigest(kind) }],
      };
      const rounded = (hits: SearchHit[]) =>
        hits.map(({ id, score }) => `${id} ${Math.fround(score)}`).sort();
      session.read(({ search }) => {
        assert.deepEqual(search.statistics(index), naive.statistics(index));
        assert.deepEqual(search.terms(index, "a", 2), naive.terms(index, "a", 2));
        assert.deepEqual(search.terms(index, "é", 9), naive.terms(index, "é", 9));
        const hits = search.rank(index, request, all);
        assert.deepEqual(rounded(hits), rounded(naive.rank(index, request, all)));
        assert.deepEqual(search.rank(index, request, 2), hits.slice(0, 2));
      });
    }),
    { numRuns: 30 },
  );
});

contract("commits survive reopening and timestamps go on from there", async (session) => {
  session.createTable();
  session.apply({ after: item(1) });
  const { lastTimestamp } = session.writer;
  await session.writer.sync();
  session.reopen();
  assert.equal(session.writer.lastTimestamp, lastTimestamp);
  session.apply({ after: item(2) });
  assert.deepEqual(session.values(), [1, 2]);
});

contract("keys order like bytes, whatever they hold", (session) => {
  session.createTable();
  const index = session.createIndex();
  const values = ["", "\0", "\0\0", "\x7f", "é", "\u{10000}", "\uffff", "z".repeat(5000)];
  session.apply(...values.map((value, i) => ({ after: item(i, value) })));
  const expected = values.map((value, i) => ({ value, i }))
    .map(({ value, i }) => ({
      value,
      key: indexKeyOf({ name: "x", fields: ["value"] }, item(i, value)),
    }))
    .sort((a, b) => a.key < b.key ? -1 : 1);
  assert.deepEqual(session.values(index), expected.map(({ value }) => value));
});
