import assert from "node:assert/strict";
import fc from "fast-check";
import { checkDatabase } from "../../tests/support/database_check.ts";
import { documentWrite, type TestDocument } from "../../tests/support/document_writes.ts";
import {
  firstUserTableNumber as table,
  type TableNumber,
  type VectorIndex,
} from "../database/catalog.ts";
import { filterDigest } from "../database/vector_entry.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import { databasePath } from "../persistence/data_folder.ts";
import type { PersistenceWriter } from "../persistence/persistence.ts";
import { VectorReader } from "../persistence/vector_reader.ts";
import { openWriter } from "../persistence/writer.ts";
import { type IndexKey, lowestKey } from "../values/index_key.ts";
import type { Value } from "../values/value.ts";
import { cosineSimilarity } from "./cosine_similarity.ts";
import { Searcher, type VectorMatch } from "./searcher.ts";

const bytesMax = 64 * 1024 * 1024;

/** A table with a vector index, and the documents that it should hold. */
class Fixture implements Disposable {
  readonly documents = new Map<string, TestDocument>();
  readonly index: VectorIndex;
  readonly searcher: Searcher;
  readonly #folder = Deno.makeTempDirSync();
  readonly #writer: PersistenceWriter;
  readonly #reader: VectorReader;

  /** The documents are there before the index is. */
  constructor(dimensions: number, documents: readonly TestDocument[] = [], memory = bytesMax) {
    this.#writer = openWriter(this.#folder);
    this.#reader = new VectorReader(databasePath(this.#folder));
    this.searcher = new Searcher(this.#reader, memory);
    this.#writer.applyCatalogChange({ createTables: ["items"] }, this.#nextTimestamp());
    this.put(...documents);
    this.index = this.addIndex("by_vector", dimensions);
  }

  addIndex(name: string, dimensions: number): VectorIndex {
    const spec = {
      kind: "vector" as const,
      vectorField: "vector",
      dimensions,
      filterFields: ["color", "size"],
    };
    const index = { ...spec, table: "items", name, staged: false };
    const change = { createIndexes: [index] };
    const catalog = this.#writer.applyCatalogChange(change, this.#nextTimestamp());
    const created = catalog.indexes.at(-1) as VectorIndex;
    const step = { table, indexes: [created.id], documentsMax: 10, bytesMax: 1_000_000 };
    let after: IndexKey | null = lowestKey;
    while (after !== null) after = this.#writer.backfill({ ...step, after });
    return created;
  }

  drop(index: VectorIndex): void {
    this.#writer.applyCatalogChange({ dropIndexes: [index.id] }, this.#nextTimestamp());
    while (!this.#writer.maintain());
  }

  put(...documents: TestDocument[]): void {
    for (const document of documents) this.#write(document._id, document);
  }

  delete(id: string): void {
    this.#write(id, undefined);
  }

  #write(id: string, after: TestDocument | undefined): void {
    const before = this.documents.get(id);
    if (before === undefined && after === undefined) return;
    const revisions = { ...before && { before }, ...after && { after } };
    const write = documentWrite(this.#writer.catalog, table as TableNumber, revisions);
    const writes = { documents: [write], tables: [] };
    this.#writer.apply([{ timestamp: this.#nextTimestamp(), writes }]);
    if (after === undefined) this.documents.delete(id);
    else this.documents.set(id, after);
  }

  #nextTimestamp(): Timestamp {
    return this.#writer.lastTimestamp + 1 as Timestamp;
  }

  search(
    vector: readonly number[],
    { limit = 10, where = null, index = this.index }: {
      limit?: number;
      where?: readonly { field: number; value: Value | undefined }[] | null;
      index?: VectorIndex;
    } = {},
  ): readonly VectorMatch[] {
    const { matches, timestamp } = this.searcher.search({
      index: index.id,
      vector: Float32Array.from(vector),
      filterFields: 2,
      conditions: where?.map(({ field, value }) => ({ field, digest: filterDigest(value) })) ??
        null,
      limit,
    });
    assert.equal(timestamp, this.#writer.lastTimestamp);
    return matches;
  }

  ids(...args: Parameters<Fixture["search"]>): string[] {
    return this.search(...args).map(({ id }) => id);
  }

  [Symbol.dispose](): void {
    this.#reader.close();
    this.#writer.close();
    checkDatabase(this.#folder);
    Deno.removeSync(this.#folder, { recursive: true });
  }
}

Deno.test("semantics §16: the nearest come first, with their cosine similarity", () => {
  using fixture = new Fixture(2);
  fixture.put(
    { _id: "right", vector: [2, 0] },
    { _id: "up", vector: [0, 0.5] },
    { _id: "left", vector: [-1, 0] },
    { _id: "diagonal", vector: [3, 3] },
  );
  assert.deepEqual(fixture.ids([5, 0]), ["right", "diagonal", "up", "left"]);
  const scores = fixture.search([5, 0]).map(({ score }) => score);
  for (const [i, score] of [1, Math.SQRT1_2, 0, -1].entries()) {
    assert.ok(Math.abs(scores[i]! - score) < 1e-7);
  }
});

Deno.test("semantics §16: documents without a vector of the index's dimensions are left out", () => {
  const odd: TestDocument[] = [
    { _id: "absent" },
    { _id: "short", vector: [1] },
    { _id: "long", vector: [1, 0, 0] },
    { _id: "text", vector: "10" },
    { _id: "texts", vector: ["1", "0"] },
    { _id: "integers", vector: [1n, 0n] },
    { _id: "infinite", vector: [Infinity, 0] },
    { _id: "beyond 32 bits", vector: [1e300, 0] },
    { _id: "no number", vector: [NaN, 0] },
  ];
  using fixture = new Fixture(2, [...odd, { _id: "old", vector: [1, 0] }]);
  fixture.put(...odd.map((document) => ({ ...document, _id: `new ${document._id}` })));
  fixture.put({ _id: "new", vector: [1, 1] });
  assert.deepEqual(fixture.ids([1, 0]), ["old", "new"]);
  fixture.put({ _id: "old", vector: "gone" }, { _id: "absent", vector: [0, 1] });
  assert.deepEqual(fixture.ids([1, 0]), ["new", "absent"]);
});

Deno.test("semantics §16: a vector of zeros is as far from all others as what is perpendicular", () => {
  using fixture = new Fixture(2);
  fixture.put({ _id: "zero", vector: [0, 0] }, { _id: "near", vector: [1, 1] });
  assert.deepEqual(fixture.ids([1, 1]), ["near", "zero"]);
  assert.deepEqual(fixture.search([0, 0]).map(({ score }) => score), [0, 0]);
});

Deno.test("vector search finds exactly the nearest of few documents, whatever was written between searches", () => {
  const element = fc.integer({ min: -8, max: 8 });
  const vector = fc.array(element, { minLength: 3, maxLength: 3 });
  const value = fc.constantFrom<Value | undefined>("red", "blue", 1, 1n, null, undefined);
  const id = fc.integer({ min: 0, max: 40 }).map((n) => `d${n}`);
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ id, vector, color: value, size: value }) },
    { weight: 2, arbitrary: fc.record({ id }) },
    {
      weight: 3,
      arbitrary: fc.record({
        query: vector,
        limit: fc.integer({ min: 1, max: 8 }),
        where: fc.option(
          fc.array(fc.record({ field: fc.constantFrom(0, 1), value }), { maxLength: 3 }),
        ),
      }),
    },
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 5, maxLength: 80 }), (steps) => {
      using fixture = new Fixture(3);
      for (const step of steps) {
        if ("query" in step) {
          const { query, limit, where } = step;
          const found = fixture.search(query, { limit, where });
          const scores = found.map(({ score }) => score);
          assert.deepEqual(scores, bestScores(fixture, query, where).slice(0, limit));
          for (const { id, score } of found) {
            assert.equal(score, similarity(query, fixture.documents.get(id)!));
          }
        } else if ("vector" in step) {
          const { id, vector, color, size } = step;
          const optional = {
            ...color !== undefined && { color },
            ...size !== undefined && { size },
          };
          fixture.put({ _id: id, vector, ...optional });
        } else {
          fixture.delete(step.id);
        }
      }
    }),
    { numRuns: 25 },
  );
});

function bestScores(
  { documents }: Fixture,
  query: readonly number[],
  where: readonly { field: number; value: Value | undefined }[] | null,
): number[] {
  return [...documents.values()]
    .filter((document) =>
      where?.some(({ field, value }) => document[field === 0 ? "color" : "size"] === value) ?? true
    )
    .map((document) => similarity(query, document))
    .sort((a, b) => b - a);
}

function similarity(query: readonly number[], { vector }: TestDocument): number {
  return cosineSimilarity(Float32Array.from(query), Float32Array.from(vector as number[]));
}

Deno.test("vector search compares enough candidates in full to find 99 of 100 among many", () => {
  const dimensions = 32;
  const random = randomFloats(7);
  const vector = () => Array.from({ length: dimensions }, random);
  using fixture = new Fixture(
    dimensions,
    Array.from({ length: 3000 }, (_, i) => ({ _id: `d${i}`, vector: vector() })),
  );
  let found = 0;
  const searches = 20;
  for (let i = 0; i < searches; i++) {
    const query = vector();
    const scores = new Set(bestScores(fixture, query, null).slice(0, 16));
    const matches = fixture.search(query, { limit: 16 });
    found += matches.filter(({ score }) => scores.has(score)).length;
  }
  assert.ok(found >= 0.99 * 16 * searches, `${found} of ${16 * searches}`);
});

/** Between -1 and 1; the same ones for the same seed. */
function randomFloats(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

Deno.test("vector search has room for documents that change again and again", () => {
  using fixture = new Fixture(2);
  for (let round = 0; round < 60; round++) {
    fixture.put(...Array.from({ length: 50 }, (_, i) => ({ _id: `d${i}`, vector: [round, i] })));
    if (round % 7 === 0) assert.equal(fixture.ids([1, 0], { limit: 256 }).length, 50);
  }
  assert.equal(fixture.ids([1, 0], { limit: 256 }).length, 50);
});

Deno.test("vector indexes that have not been searched for long make room for others", () => {
  const document = (i: number) => ({ _id: `d${i}`, vector: [i, 1] });
  const memory = 700 * (2 + 2 * 16 + 8); // of 700 vectors
  using fixture = new Fixture(2, Array.from({ length: 500 }, (_, i) => document(i)), memory);
  const other = fixture.addIndex("other", 2);
  for (const index of [fixture.index, other, fixture.index]) {
    assert.deepEqual(fixture.ids([0, 1], { index, limit: 1 }), ["d0"]);
  }
  fixture.put(...Array.from({ length: 300 }, (_, i) => document(500 + i)));
  assert.throws(
    () => fixture.ids([0, 1]),
    (error) =>
      error instanceof RequestError && error.code === "VectorIndexTooLarge" &&
      /hold 700 of its vectors. Raise HULL_VECTOR_MEMORY_MIB/.test(error.message),
  );
});

Deno.test("entries of a dropped vector index are deleted", () => {
  using fixture = new Fixture(
    2,
    Array.from({ length: 1500 }, (_, i) => ({ _id: `d${i}`, vector: [i, 1] })),
  );
  fixture.drop(fixture.index);
  assert.deepEqual(fixture.ids([0, 1]), []);
});
