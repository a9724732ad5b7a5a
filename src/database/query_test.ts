import assert from "node:assert/strict";
import fc from "fast-check";
import { compareValues } from "../values/compare.ts";
import { valueAtPath } from "../values/index_key.ts";
import type { Value, ValueObject } from "../values/value.ts";
import { compileFilter } from "./expression.ts";
import { type Expression, parseQuery, type Query, type RangeExpression } from "./query.ts";
import { TestDatabase } from "./database_testing.ts";
import type { Transaction } from "./transaction.ts";

const table = { name: "t", indexes: { by_a_b: ["a", "b"], by_nested: ["o.x"] } };

function query(indexName: string, range: readonly RangeExpression[]): Query {
  return { source: { type: "IndexRange", indexName, range, order: null }, operators: [] };
}

function databaseWith(documents: readonly ValueObject[]): TestDatabase {
  const database = new TestDatabase([table]);
  database.commit((transaction) => {
    for (const document of documents) transaction.insert("t", document);
  });
  return database;
}

function labels(transaction: Transaction, range: readonly RangeExpression[]): unknown[] {
  return transaction.openQuery(query("t.by_a_b", range)).collect().map(({ label }) => label);
}

Deno.test("function-abi 35, 39–41: ranges of an index", () => {
  const database = databaseWith([
    { label: "missing" },
    { label: "null", a: null },
    { label: "int", a: 7n },
    { label: "5/1", a: 5, b: 1 },
    { label: "5/2", a: 5, b: 2 },
    { label: "6", a: 6 },
    { label: "text", a: "x" },
    { label: "list", a: [] },
  ]);
  const transaction = database.begin({ kind: "query" });
  const ranges: [RangeExpression[], string[]][] = [
    [[{ type: "Eq", fieldPath: "a", value: undefined }], ["missing"]],
    [[{ type: "Eq", fieldPath: "a", value: null }], ["null"]],
    [[{ type: "Lt", fieldPath: "a", value: 5 }], ["missing", "null", "int"]],
    [[{ type: "Gt", fieldPath: "a", value: 5 }], ["6", "text", "list"]],
    [[{ type: "Gte", fieldPath: "a", value: 5 }], ["5/1", "5/2", "6", "text", "list"]],
    [[{ type: "Lte", fieldPath: "a", value: null }], ["missing", "null"]],
    [
      [
        { type: "Gt", fieldPath: "a", value: null },
        { type: "Lt", fieldPath: "a", value: "" },
      ],
      ["int", "5/1", "5/2", "6"],
    ],
    [
      [
        { type: "Eq", fieldPath: "b", value: 2 },
        { type: "Eq", fieldPath: "a", value: 5 },
      ],
      ["5/2"],
    ],
    [
      [
        { type: "Eq", fieldPath: "a", value: 5 },
        { type: "Gt", fieldPath: "b", value: 1 },
      ],
      ["5/2"],
    ],
    [
      [
        { type: "Gt", fieldPath: "a", value: 9 },
        { type: "Lt", fieldPath: "a", value: 1 },
      ],
      [],
    ],
  ];
  for (const [range, expected] of ranges) assert.deepEqual(labels(transaction, range), expected);

  const [first] = transaction.openQuery(query("t.by_id", [])).collect();
  const byTime: RangeExpression[] = [
    { type: "Eq", fieldPath: "a", value: first!.a },
    { type: "Eq", fieldPath: "b", value: first!.b },
    { type: "Eq", fieldPath: "_creationTime", value: first!._creationTime },
    { type: "Eq", fieldPath: "_id", value: first!._id },
  ];
  assert.deepEqual(labels(transaction, byTime), [first!.label]);
  const byId: RangeExpression[] = [{ type: "Eq", fieldPath: "_id", value: first!._id }];
  assert.equal(transaction.openQuery(query("t.by_id", byId)).next()!.label, first!.label);
});

Deno.test("function-abi 36–38: ranges that an index cannot serve", () => {
  const transaction = databaseWith([]).begin();
  const bound = (type: RangeExpression["type"], fieldPath: string, value: Value = 1) => ({
    type,
    fieldPath,
    value,
  });
  const cases: [RangeExpression[], string, string][] = [
    [
      [bound("Eq", "b")],
      "InvalidIndexRange",
      "Tried to query index t.by_a_b but the query didn't use the index fields in order.\n" +
      'Index fields: ["a", "b", "_creationTime"]\nQuery fields: ["b"]\nFirst incorrect field: "b"\n' +
      "For more information see https://docs.convex.dev/using/indexes.",
    ],
    [
      [bound("Gt", "b"), bound("Eq", "_creationTime"), bound("Eq", "a")],
      "InvalidIndexRange",
      "Tried to query index t.by_a_b but the query didn't use the index fields in order.\n" +
      'Index fields: ["a", "b", "_creationTime"]\nQuery fields: ["a", "_creationTime", "b"]\n' +
      'First incorrect field: "_creationTime"\n' +
      "For more information see https://docs.convex.dev/using/indexes.",
    ],
    [
      [bound("Gt", "a"), bound("Gte", "a", "x")],
      "AlreadyDefinedBound",
      'Already defined lower bound in index range. Can\'t add "a" >= "x".',
    ],
    [
      [bound("Lt", "a"), bound("Lte", "a")],
      "AlreadyDefinedBound",
      'Already defined upper bound in index range. Can\'t add "a" <= 1.0.',
    ],
    [
      [bound("Eq", "a", 1n), bound("Eq", "a", 2n)],
      "AlreadyDefinedBound",
      'Already defined equality bound in index range. Can\'t add "a" == 1.',
    ],
    [
      [bound("Eq", "a"), bound("Gt", "a")],
      "AlreadyDefinedBound",
      'Already defined inequality bound in index range. Can\'t add "a" == 1.0.',
    ],
    [
      [bound("Gt", "a"), bound("Lt", "b")],
      "BoundsOnMultipleFields",
      'Upper and lower bounds in `range` can only be applied to a single index field. This query against index t.by_a_b attempted to set a range bound on both "a" and "b". Consider using `filter` instead. See https://docs.convex.dev/using/indexes for more info.',
    ],
    [
      [bound("Eq", "c")],
      "FieldNotInIndex",
      'The index range included a comparison with "c", but t.by_a_b with fields ["a", "b", "_creationTime"] doesn\'t index this field. For more information see https://docs.convex.dev/using/indexes.',
    ],
  ];
  for (const [range, code, message] of cases) {
    assert.throws(() => transaction.openQuery(query("t.by_a_b", range)), { code, message });
  }
});

const lit = (value: Value | undefined): Expression => ({ $literal: value });
const field = (path: string): Expression => ({ $field: path });
const passes = (expression: Expression, document: ValueObject = {}) =>
  compileFilter(expression)(document);

Deno.test("function-abi 42: comparisons never fail and follow the order of values", () => {
  assert.ok(passes({ $eq: [field("missing"), lit(undefined)] }));
  assert.ok(passes({ $lt: [field("missing"), lit(null)] }));
  assert.ok(!passes({ $eq: [lit(null), lit(undefined)] }));
  assert.ok(!passes({ $eq: [lit(1), lit(1n)] }));
  assert.ok(passes({ $eq: [lit(NaN), lit(NaN)] }));
  assert.ok(passes({ $lt: [lit(-0), lit(0)] }));
  assert.ok(passes({ $eq: [field("o.x"), lit("y")] }, { o: { x: "y" } }));
  assert.ok(passes({ $gte: [lit([]), lit("z")] }));
  assert.ok(passes({ $and: [] }) && !passes({ $or: [] }));
  assert.ok(passes({ $or: [lit(true), lit(5)] }));
  assert.ok(!passes({ $and: [lit(false), lit(5)] }));
  assert.ok(passes({ $not: { $neq: [lit(1), lit(1)] } }));
  fc.assert(fc.property(fc.double(), fc.double(), (a, b) => {
    assert.equal(passes({ $lte: [lit(a), lit(b)] }), compareValues(a, b) <= 0);
  }));
});

Deno.test("function-abi 43, 44: arithmetic and its errors", () => {
  assert.ok(passes({ $eq: [{ $add: [lit(1n), lit(2n)] }, lit(3n)] }));
  assert.ok(passes({ $eq: [{ $div: [lit(-7n), lit(2n)] }, lit(-3n)] }));
  assert.ok(passes({ $eq: [{ $mod: [lit(-7), lit(2)] }, lit(-1)] }));
  assert.ok(passes({ $eq: [{ $neg: lit(5) }, lit(-5)] }));
  const [min, max] = [-(2n ** 63n), 2n ** 63n - 1n];
  const cases: [Expression, string][] = [
    [{ $add: [lit(1n), lit(1)] }, "Cannot add 1 (type Int64) and 1.0 (type Float64)"],
    [{ $mul: [lit("x"), lit(2)] }, 'Cannot multiply "x" (type String) and 2.0 (type Float64)'],
    [
      { $add: [lit(max), lit(1n)] },
      `Cannot add ${max} and 1: the result is out of range for Int64`,
    ],
    [
      { $mod: [lit(min), lit(-1n)] },
      `Cannot mod ${min} and -1: the result is out of range for Int64`,
    ],
    [{ $div: [lit(5n), lit(0n)] }, "Cannot divide 5 by zero"],
    [{ $mod: [lit(5n), lit(0n)] }, "Cannot mod 5 by zero"],
    [{ $neg: lit(min) }, `Cannot negate ${min}: the result is out of range for Int64`],
    [{ $neg: lit(null) }, "Cannot negate null (type Null)"],
    [lit(5), "Cannot use value 5.0 (type Float64) as a Boolean"],
    [field("x"), "Cannot use value undefined (type Undefined) as a Boolean"],
    [{ $not: lit([]) }, "Cannot use value [] (type Array) as a Boolean"],
  ];
  for (const [expression, message] of cases) {
    assert.throws(() => passes(expression), { code: "EvalError", message });
  }
});

Deno.test("function-abi 5.1: operators apply in order, and filtered rows count as read", () => {
  const database = databaseWith(Array.from({ length: 10 }, (_, n) => ({ n })));
  const isOdd: Expression = { $eq: [{ $mod: [field("n"), lit(2)] }, lit(1)] };
  const numbers = (operators: Query["operators"]) => {
    const transaction = database.begin();
    const documents = transaction.openQuery({
      source: { type: "FullTableScan", tableName: "t", order: "desc" },
      operators,
    }).collect();
    return [documents.map(({ n }) => n), transaction.usage.documentsRead];
  };
  assert.deepEqual(numbers([{ limit: 4 }, { filter: isOdd }]), [[9, 7], 4]);
  assert.deepEqual(numbers([{ filter: isOdd }, { limit: 2 }]), [[9, 7], 3]);
  assert.deepEqual(numbers([{ filter: isOdd }, { filter: { $lt: [field("n"), lit(4)] } }]), [
    [3, 1],
    10,
  ]);
  assert.deepEqual(numbers([{ limit: 0 }]), [[], 0]);
});

Deno.test("parseQuery() decodes the values of a syscall's query and refuses what is malformed", () => {
  const json = () => ({
    source: {
      type: "IndexRange",
      indexName: "t.by_a_b",
      range: [{ type: "Eq", fieldPath: "a", value: { $undefined: null } }],
      order: null,
    },
    operators: [
      { filter: { $not: { $eq: [{ $field: "a" }, { $literal: { $integer: "AQAAAAAAAAA=" } }] } } },
      { limit: 3 },
    ],
  });
  assert.deepEqual(parseQuery(json()), {
    source: { ...json().source, range: [{ type: "Eq", fieldPath: "a", value: undefined }] },
    operators: [{ filter: { $not: { $eq: [field("a"), lit(1n)] } } }, { limit: 3 }],
  });
  const malformed = [
    null,
    { source: { type: "X" }, operators: [] },
    { ...json(), operators: [{ limit: -1 }] },
    { ...json(), operators: [{ filter: { $eq: [lit(1)] } }] },
    { ...json(), operators: [{ filter: { $pow: [lit(1), lit(1)] } }] },
    { ...json(), source: { ...json().source, order: "up" } },
    { ...json(), source: { ...json().source, range: [{ type: "Like" }] } },
  ];
  for (const query of malformed) {
    assert.throws(() => parseQuery(query), { code: "InvalidArgument" }, JSON.stringify(query));
  }
});

Deno.test("a path in an index walks objects only", () => {
  const database = databaseWith([{ o: { x: 1 } }, { o: [1] }, { o: "x" }]);
  const found = database.begin().openQuery(
    query("t.by_nested", [{ type: "Eq", fieldPath: "o.x", value: undefined }]),
  ).collect();
  assert.deepEqual(found.map(({ o }) => o), [[1], "x"]);
  assert.equal(valueAtPath({ o: [1] }, "o.0"), undefined);
});
