/** Random mutations against a model that keeps documents in plain maps and sorts them for every query. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { compareValues } from "../values/compare.ts";
import { encodeValue, type Value, type ValueObject } from "../values/value.ts";
import type { Query, RangeExpression } from "./query.ts";
import { readSetContains } from "./read_set.ts";
import { TestDatabase } from "./database_testing.ts";
import type { PendingLayer, QueryCursor, Transaction } from "./transaction.ts";

const table = "t";
const indexes = { by_a: ["a"], by_a_b: ["a", "b"] } as const;
const keyFields: Record<string, readonly string[]> = {
  by_id: ["_id"],
  by_creation_time: ["_creationTime", "_id"],
  by_a: ["a", "_creationTime", "_id"],
  by_a_b: ["a", "b", "_creationTime", "_id"],
};

const value = fc.constantFrom<(Value | undefined)[]>(undefined, null, 1n, 0, 1, 2, "x", "y");
const fields = fc.record({ a: value, b: value, c: value });

/** A valid range: equal values for the first fields, then perhaps bounds on the next. */
const query: fc.Arbitrary<Query> = fc.record({
  index: fc.constantFrom(...Object.keys(keyFields)),
  equal: fc.array(value, { maxLength: 2 }),
  lower: fc.option(fc.tuple(fc.constantFrom("Gt" as const, "Gte" as const), value)),
  upper: fc.option(fc.tuple(fc.constantFrom("Lt" as const, "Lte" as const), value)),
  order: fc.constantFrom("asc" as const, "desc" as const),
  limit: fc.option(fc.nat(4)),
}).map(({ index, equal, lower, upper, order, limit }) => {
  const declared = keyFields[index]!.slice(0, -2);
  const equalFields = declared.slice(0, equal.length);
  const next = declared[equalFields.length];
  const range: RangeExpression[] = equalFields.map((fieldPath, i) => (
    { type: "Eq", fieldPath, value: equal[i] }
  ));
  for (const bound of next === undefined ? [] : [lower, upper]) {
    if (bound !== null) range.push({ type: bound[0], fieldPath: next!, value: bound[1] });
  }
  return {
    source: { type: "IndexRange", indexName: `${table}.${index}`, range, order },
    operators: limit === null ? [] : [{ limit }],
  };
});

type Operation =
  | { readonly kind: "insert"; readonly fields: Record<string, Value | undefined> }
  | { readonly kind: "patch"; readonly which: number; readonly fields: Record<string, unknown> }
  | { readonly kind: "replace"; readonly which: number; readonly fields: Record<string, unknown> }
  | { readonly kind: "delete"; readonly which: number }
  | { readonly kind: "get"; readonly which: number }
  | { readonly kind: "count" }
  | { readonly kind: "collect"; readonly query: Query }
  | { readonly kind: "open"; readonly query: Query }
  | { readonly kind: "next"; readonly which: number }
  | { readonly kind: "nest"; readonly operations: Operation[]; readonly keep: boolean };

const which = fc.nat(20);
const operations = fc.letrec<{ operation: Operation }>((tie) => ({
  operation: fc.oneof(
    { maxDepth: 3 },
    fc.record({ kind: fc.constant("insert" as const), fields }),
    fc.record({ kind: fc.constant("patch" as const), which, fields }),
    fc.record({ kind: fc.constant("replace" as const), which, fields }),
    fc.record({ kind: fc.constant("delete" as const), which }),
    fc.record({ kind: fc.constant("get" as const), which }),
    fc.record({ kind: fc.constant("count" as const) }),
    fc.record({ kind: fc.constant("collect" as const), query }),
    fc.record({ kind: fc.constant("open" as const), query }),
    fc.record({ kind: fc.constant("next" as const), which }),
    fc.record({
      kind: fc.constant("nest" as const),
      operations: fc.array(tie("operation"), { maxLength: 6 }),
      keep: fc.boolean(),
    }),
  ),
})).operation;

interface OpenCursor {
  readonly query: Query;
  readonly cursor: QueryCursor;
  last: ValueObject | undefined;
  returned: number;
  ended: boolean;
}

class Model {
  documents = new Map<string, ValueObject>();
  /** Every id there ever was. */
  readonly ids: string[] = [];

  constructor(earlier?: Model) {
    if (earlier === undefined) return;
    this.documents = new Map(earlier.documents);
    this.ids = [...earlier.ids];
  }

  /** All documents of the range in order, whatever the limit. */
  matching({ source }: Query): ValueObject[] {
    assert.equal(source.type, "IndexRange");
    if (source.type !== "IndexRange") return [];
    const satisfies = (document: ValueObject) =>
      source.range.every(({ type, fieldPath, value }) => {
        const order = compareValues(document[fieldPath], value);
        const holds = {
          Eq: order === 0,
          Gt: order > 0,
          Gte: order >= 0,
          Lt: order < 0,
          Lte: order <= 0,
        };
        return holds[type];
      });
    return [...this.documents.values()].filter(satisfies)
      .sort((a, b) => compareInQuery({ source, operators: [] }, a, b));
  }
}

function compareInQuery({ source }: Query, a: ValueObject, b: ValueObject): number {
  if (source.type !== "IndexRange") return 0;
  for (const field of keyFields[source.indexName.slice(table.length + 1)]!) {
    const order = compareValues(a[field], b[field]);
    if (order !== 0) return source.order === "desc" ? -order : order;
  }
  return 0;
}

function limitOf({ operators: [operator] }: Query): number {
  return operator !== undefined && "limit" in operator ? operator.limit : Infinity;
}

function withoutMissing(document: Record<string, unknown>): ValueObject {
  return JSON.parse(encodeValue(document).json, (_, member) => {
    return member?.$integer === undefined ? member : 1n;
  });
}

/** Runs one operation on both and compares what can be seen. */
function step(
  operation: Operation,
  transaction: Transaction,
  model: Model,
  open: OpenCursor[],
): void {
  switch (operation.kind) {
    case "insert": {
      const id = transaction.insert(table, operation.fields);
      const document = transaction.get(id)!;
      const { _id, _creationTime, ...rest } = document;
      assert.deepEqual(rest, withoutMissing(operation.fields));
      model.documents.set(id, document);
      model.ids.push(id);
      return;
    }
    case "patch":
    case "replace": {
      const id = pick(model.ids, operation.which);
      if (id === undefined) return;
      const old = model.documents.get(id);
      if (old === undefined) {
        assert.throws(() => transaction[operation.kind](id, operation.fields), /nonexistent/);
        return;
      }
      const { _id, _creationTime } = old;
      const kept = operation.kind === "patch" ? old : {};
      transaction[operation.kind](id, operation.fields);
      model.documents.set(
        id,
        withoutMissing({ ...kept, ...operation.fields, _id, _creationTime }),
      );
      return;
    }
    case "delete": {
      const id = pick(model.ids, operation.which);
      if (id === undefined) return;
      if (model.documents.delete(id)) transaction.delete(id);
      else assert.throws(() => transaction.delete(id), /nonexistent/);
      return;
    }
    case "get": {
      const id = pick(model.ids, operation.which);
      if (id !== undefined) assert.deepEqual(transaction.get(id), model.documents.get(id) ?? null);
      return;
    }
    case "count":
      assert.equal(transaction.count(table), model.documents.size);
      return;
    case "collect":
      assert.deepEqual(
        transaction.openQuery(operation.query).collect(),
        model.matching(operation.query).slice(0, limitOf(operation.query)),
      );
      return;
    case "open": {
      const { query } = operation;
      const cursor = transaction.openQuery(query);
      open.push({ query, cursor, last: undefined, returned: 0, ended: false });
      return;
    }
    case "next": {
      const one = pick(open, operation.which);
      if (one !== undefined) stepCursor(one, model);
      return;
    }
    case "nest": {
      const nested = transaction.nest();
      const inner = new Model(model);
      // A call's cursors are its own: none lives on from a nested call to the one around it.
      const opened: OpenCursor[] = [];
      for (const one of operation.operations) step(one, transaction, inner, opened);
      if (operation.keep) {
        nested.commit();
        model.documents = inner.documents;
      } else {
        nested.rollback();
      }
      model.ids.splice(0, Infinity, ...inner.ids);
    }
  }
}

/** A cursor goes on behind the last document it returned, in the state as it is now. */
function stepCursor(one: OpenCursor, model: Model): void {
  const expected = one.ended || one.returned >= limitOf(one.query)
    ? undefined
    : model.matching(one.query).find((document) =>
      one.last === undefined || compareInQuery(one.query, document, one.last) > 0
    );
  assert.deepEqual(one.cursor.next(), expected ?? null);
  if (expected === undefined) {
    one.ended = true;
  } else {
    one.last = expected;
    one.returned++;
  }
}

function pick<T>(list: readonly T[], which: number): T | undefined {
  return list.length === 0 ? undefined : list[which % list.length];
}

Deno.test("transactions over layers agree with a model of plain maps", () => {
  const mutation = fc.record({
    operations: fc.array(operations, { maxLength: 12 }),
    decide: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 6 }), (mutations) => {
      const database = new TestDatabase([{ name: table, indexes }]);
      let model = new Model();
      let undecided: { readonly layer: PendingLayer; readonly transaction: Transaction }[] = [];
      for (const [sequence, { operations, decide }] of mutations.entries()) {
        const pending = undecided.map(({ layer }) => layer);
        const transaction = database.begin({ pending });
        model = new Model(model);
        const open: OpenCursor[] = [];
        for (const operation of operations) step(operation, transaction, model, open);
        undecided.push({ layer: transaction.toLayer(sequence), transaction });
        if (!decide) continue;
        for (const { transaction } of undecided) database.apply(transaction.finish().writes);
        undecided = [];
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("what changes a query's result lies in its read set", () => {
  const writes = fc.array(
    operations.filter(({ kind }) => ["insert", "patch", "replace", "delete"].includes(kind)),
    { minLength: 1, maxLength: 3 },
  );
  const documents = fc.array(fields, { maxLength: 8 });
  fc.assert(
    fc.property(documents, query, fc.nat(5), writes, (documents, query, steps, writes) => {
      const database = new TestDatabase([{ name: table, indexes }]);
      const model = new Model();
      database.commit((transaction) => {
        for (const fields of documents) step({ kind: "insert", fields }, transaction, model, []);
      });
      const run = () => {
        const transaction = database.begin({ kind: "query" });
        const cursor = transaction.openQuery(query);
        const result = Array.from({ length: steps }, () => cursor.next());
        return { result, reads: transaction.finish().reads };
      };
      const before = run();
      const writer = database.begin();
      for (const write of writes) step(write, writer, model, []);
      database.apply(writer.finish().writes);
      const touched = writer.toLayer(1).points
        .some(([index, key]) => readSetContains(before.reads, index, key));
      if (!touched) assert.deepEqual(run(), before);
    }),
    { numRuns: 500 },
  );
});
