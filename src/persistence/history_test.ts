/** Reads at older timestamps answer what the newest state answered then. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { checkDatabase } from "../../tests/support/database_check.ts";
import { documentWrite, type TestDocument } from "../../tests/support/document_writes.ts";
import {
  byCreationTimeIndexId,
  byIdIndexId,
  firstUserTableNumber as table,
  type IndexId,
  type SearchIndex,
} from "../database/catalog.ts";
import type { Snapshot } from "../database/snapshot.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { generateId, randomIdBytes } from "../values/document_id.ts";
import { encodeKey, type IndexKey, lowestKey } from "../values/index_key.ts";
import { databasePath } from "./data_folder.ts";
import { MemoryPersistence } from "./memory.ts";
import type { CatalogChange, CommittedTransaction, PersistenceWriter } from "./persistence.ts";
import { openSnapshotReader } from "./snapshot_reader.ts";
import { openWriter } from "./writer.ts";

const longAge = 1e12;
const everything = { lower: lowestKey, upper: null };
const words = ["red", "green", "blue", "reddish"];
const indexes: CatalogChange = {
  createTables: ["items"],
  createIndexes: [
    { kind: "database", table: "items", name: "by_value", fields: ["value"], staged: false },
    {
      kind: "search",
      table: "items",
      name: "by_text",
      searchField: "text",
      filterFields: [],
      staged: false,
    },
  ],
};

/** A database on disk, and beside it one in memory that is asked at once what the other is asked later. */
class Databases {
  readonly folder = Deno.makeTempDirSync();
  #ageMax: number;
  disk: PersistenceWriter;
  readonly #memory = new MemoryPersistence();
  readonly #memoryWriter = this.#memory.openWriter();
  reader = openSnapshotReader(databasePath(this.openedFolder()));
  readonly documents = new Map<number, TestDocument>();
  readonly past: { readonly timestamp: Timestamp; readonly snapshot: Snapshot }[] = [];

  constructor(ageMax = longAge) {
    this.#ageMax = ageMax;
    this.disk = openWriter(this.folder, ageMax);
  }

  private openedFolder(): string {
    openWriter(this.folder).close();
    return this.folder;
  }

  restart(): void {
    this.reader.close();
    this.disk.close();
    this.disk = openWriter(this.folder, this.#ageMax);
    this.reader = openSnapshotReader(databasePath(this.folder));
  }

  change(change: CatalogChange, timestamp = this.disk.lastTimestamp + 10): void {
    this.disk.applyCatalogChange(change, timestamp as Timestamp);
    this.#memoryWriter.applyCatalogChange(change, timestamp as Timestamp);
    this.#remember();
  }

  /** One batch; each transaction is a list of changes: number of the document, its new value or null. */
  apply(transactions: readonly Change[][], timestamp = this.disk.lastTimestamp + 10): void {
    const batch = transactions.map((changes, i): CommittedTransaction => ({
      timestamp: timestamp + 10 * i as Timestamp,
      writes: { documents: changes.flatMap((change) => this.#write(change)), tables: [] },
    }));
    this.disk.apply(batch);
    for (const transaction of batch) {
      this.#memoryWriter.apply([transaction]);
      this.#remember();
    }
  }

  #write([number, value]: Change) {
    const before = this.documents.get(number);
    const id = before?._id ??
      generateId(table, crypto.getRandomValues(new Uint8Array(randomIdBytes)), 0);
    const after = value === null ? undefined : {
      _id: id,
      _creationTime: before === undefined
        ? this.disk.lastTimestamp + number / 100
        : before._creationTime!,
      value,
      text: words.slice(0, value % 5).join(" "),
    };
    if (after === undefined) this.documents.delete(number);
    else this.documents.set(number, after);
    if (before === undefined && after === undefined) return [];
    return [documentWrite(this.disk.catalog, table, {
      ...before && { before },
      ...after && { after },
    })];
  }

  #remember(): void {
    const snapshot = this.#memory.openReader().open();
    this.past.push({ timestamp: snapshot.timestamp, snapshot });
  }

  /** What is read at `timestamp`; undefined when it is too old. */
  at<Result>(timestamp: number, body: (snapshot: Snapshot) => Result): Result | undefined {
    const snapshot = this.reader.openAt(timestamp as Timestamp);
    try {
      return snapshot && body(snapshot);
    } finally {
      snapshot?.close();
    }
  }

  get searchIndex(): SearchIndex {
    return this.disk.catalog.indexes.find(({ kind }) => kind === "search") as SearchIndex;
  }

  get byValue(): IndexId {
    return this.disk.catalog.indexes.find(({ kind }) => kind === "database")!.id;
  }

  [Symbol.dispose](): void {
    this.reader.close();
    this.disk.close();
    checkDatabase(this.folder);
    Deno.removeSync(this.folder, { recursive: true });
  }
}

type Change = readonly [number: number, value: number | null];

/** Answers of every kind of read. */
function answers(databases: Databases, snapshot: Snapshot): unknown {
  const { searchIndex, byValue } = databases;
  const key = (value: number) => encodeKey([value]) as IndexKey;
  const middle = { lower: key(3), upper: key(7) };
  const scans = [byIdIndexId(table), byCreationTimeIndexId(table), byValue].flatMap((index) =>
    [everything, middle].flatMap((interval) => [
      snapshot.scan(index, interval, "asc", 1000).map(({ json }) => json),
      snapshot.scan(index, interval, "desc", 1000).map(({ json }) => json),
      snapshot.scan(index, interval, "desc", 2).map(({ json }) => json),
      snapshot.count(index, interval),
    ])
  );
  const request = {
    terms: words.map((term) => ({ term, weight: 1 })),
    averageLength: 2,
    filters: [],
  };
  const { search } = snapshot;
  return [
    scans,
    search.statistics(searchIndex),
    search.terms(searchIndex, "re", 10),
    search.rank(searchIndex, request, 3).map(({ id }) => id),
  ];
}

const change = fc.tuple(fc.nat(7), fc.option(fc.nat(9)));
const transaction = fc.uniqueArray(change, { maxLength: 3, selector: ([number]) => number });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.array(transaction, { minLength: 1, maxLength: 3 }) },
  { weight: 1, arbitrary: fc.constant("restart" as const) },
);

Deno.test("http-api 40: every read at an older timestamp answers what it answered then, whatever followed", () =>
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 15 }), (steps) => {
      using databases = new Databases();
      databases.change(indexes);
      for (const step of steps) {
        if (step === "restart") databases.restart();
        else databases.apply(step);
      }
      for (const { timestamp, snapshot } of databases.past) {
        const expected = answers(databases, snapshot);
        assert.deepEqual(databases.at(timestamp, (past) => answers(databases, past)), expected);
        // Between two commits nothing changes.
        const between = Math.min(timestamp + 5, databases.disk.lastTimestamp);
        assert.deepEqual(databases.at(between, (past) => answers(databases, past)), expected);
      }
    }),
    { numRuns: 40 },
  ));

Deno.test("a state is readable for as long as it was said, and older ones are not guessed", () => {
  const second = 1_000_000;
  using databases = new Databases(10 * second);
  databases.change(indexes, 1 * second);
  databases.apply([[[1, 1], [2, 1]]], 2 * second);
  databases.apply([[[1, 2]]], 4 * second);
  databases.apply([[[2, null]]], 8 * second);
  databases.apply([[[3, 3]]], 13 * second);
  while (!databases.disk.maintain());
  const values = (timestamp: number) =>
    databases.at(
      timestamp * second,
      (past) =>
        past.scan(byCreationTimeIndexId(table), everything, "asc", 9)
          .map(({ json }) => JSON.parse(json).value),
    );
  assert.equal(values(2), undefined);
  assert.deepEqual(values(3), [1, 1]);
  assert.deepEqual(values(4), [2, 1]);
  assert.deepEqual(values(12), [2]);
  assert.deepEqual(values(13), [2, 3]);
  databases.apply([[[3, 4]]], 60 * second);
  while (!databases.disk.maintain());
  assert.equal(values(13), undefined);
  assert.deepEqual(values(55), [2, 3]);
});

Deno.test("a new index ends what can be read before it, because nobody knows its older keys", () => {
  using databases = new Databases();
  databases.change(indexes);
  databases.apply([[[1, 1]]]);
  const before = databases.disk.lastTimestamp;
  databases.change({
    createIndexes: [
      { kind: "database", table: "items", name: "by_text", fields: ["text"], staged: false },
    ],
  });
  const after = databases.disk.lastTimestamp;
  databases.apply([[[1, 2]]]);
  assert.equal(databases.at(before, () => true), undefined);
  assert.equal(databases.at(after, () => true), true);
});

Deno.test("history takes no more space than what has changed within its age", () => {
  using databases = new Databases(1000);
  databases.change(indexes);
  for (let value = 0; value < 2000; value++) {
    databases.apply([[[1, value % 10]]], databases.disk.lastTimestamp + 10_000);
  }
  while (!databases.disk.maintain());
  using database = new DatabaseSync(databasePath(databases.folder));
  for (const kept of ["history_revisions", "history_entries", "history_rows"]) {
    const { count } = database.prepare(`SELECT count(*) AS count FROM ${kept}`).get()!;
    assert.ok(Number(count) < 400, `${count} rows in ${kept}`);
  }
});
