/**
 * Random documents and random queries on them, through a server and its functions, against a model: an array that
 * is filtered and sorted. The model's order of values is the one that the function library exports.
 */
import assert from "node:assert/strict";
import { compareValues } from "convex/values";
import fc from "fast-check";
import { appServer } from "../support/app_server.ts";
import { read, type StepOutcome, write } from "../support/steps.ts";

const { test } = appServer({ app: "tests/fixtures/values" });

/** Few values, so that documents often have the same; of every type, and neighbours of those. */
const values: readonly unknown[] = [
  null,
  0n,
  -1n,
  300n,
  2n ** 63n - 1n,
  -0,
  0,
  1,
  -1.5,
  Infinity,
  -Infinity,
  NaN,
  false,
  true,
  "",
  "a",
  "a\0",
  "aa",
  "\uffff",
  "😀",
  new ArrayBuffer(0),
  Uint8Array.of(0, 255).buffer,
  [],
  [null],
  [[], 1],
  {},
  { x: 1 },
  { x: { y: 2n } },
];
const value = fc.constantFrom(...values);
const missing = "<undefined>";
const valueOrMissing = fc.oneof({ weight: 5, arbitrary: value }, fc.constant(missing));

interface Fields {
  readonly a?: unknown;
  readonly b?: unknown;
  readonly o?: unknown;
}

const nested = fc.oneof(
  fc.record({ x: value, y: value }, { requiredKeys: [], noNullPrototype: true }),
  value,
);
const fields: fc.Arbitrary<Fields> = fc.record({ a: value, b: value, o: nested }, {
  requiredKeys: [],
  noNullPrototype: true,
});

type Write =
  | { readonly kind: "insert"; readonly fields: Fields }
  | { readonly kind: "patch"; readonly target: number; readonly patch: Fields }
  | { readonly kind: "delete"; readonly target: number };

const patch = fc.record({ a: valueOrMissing, b: valueOrMissing }, {
  requiredKeys: [],
  noNullPrototype: true,
});
const someWrite: fc.Arbitrary<Write> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("insert" as const), fields }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("patch" as const), target: fc.nat(30), patch }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), target: fc.nat(30) }) },
);

const indexes: Readonly<Record<string, readonly string[]>> = {
  by_a: ["a"],
  by_a_b: ["a", "b"],
  by_nested: ["o.x", "o.y"],
  by_creation_time: [],
};

type Bound = readonly [type: string, field: string, value: unknown];
type Expression = readonly [name: string, ...operands: unknown[]];

interface RandomQuery {
  readonly index: string;
  readonly range: readonly Bound[];
  readonly order: "asc" | "desc";
  readonly filters: readonly Expression[];
  readonly take?: number;
}

/** Equalities on the first fields of an index, in any order, then up to two bounds on the next. */
const range = (index: string): fc.Arbitrary<Bound[]> => {
  const declared = indexes[index]!;
  return fc.record({
    equal: fc.nat(declared.length),
    values: fc.array(valueOrMissing, { minLength: 4, maxLength: 4 }),
    lower: fc.option(fc.constantFrom("gt", "gte")),
    upper: fc.option(fc.constantFrom("lt", "lte")),
    reversed: fc.boolean(),
  }).map(({ equal, values, lower, upper, reversed }) => {
    const bounds: Bound[] = declared.slice(0, equal).map((field, i) => ["eq", field, values[i]]);
    const field = declared[equal];
    if (field !== undefined && lower !== null) bounds.push([lower, field, values[2]]);
    if (field !== undefined && upper !== null) bounds.push([upper, field, values[3]]);
    return reversed ? bounds.reverse() : bounds;
  });
};

const operand = fc.oneof(
  valueOrMissing.map((value): Expression => ["literal", value]),
  fc.constantFrom("a", "b", "o.x", "o", "none", "a.x.y").map((path): Expression => ["field", path]),
);
const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 2 },
    fc.tuple(fc.constantFrom("eq", "neq", "lt", "lte", "gt", "gte"), operand, operand),
    fc.tuple(fc.constantFrom("and", "or"), tie("expression"), tie("expression")),
    fc.tuple(fc.constant("not"), tie("expression")),
  ) as fc.Arbitrary<Expression>,
}));

const someQuery: fc.Arbitrary<RandomQuery> = fc.constantFrom(...Object.keys(indexes)).chain(
  (index) =>
    fc.record({
      index: fc.constant(index),
      range: range(index),
      order: fc.constantFrom("asc" as const, "desc" as const),
      filters: fc.array(expression, { maxLength: 2 }),
      take: fc.integer({ min: 0, max: 5 }),
    }, { requiredKeys: ["index", "range", "order", "filters"], noNullPrototype: true }),
);

type Model = (Fields & { readonly n: number })[];

/** The table after these writes, in order of creation. */
function tableAfter(writes: readonly Write[]): Model {
  const table = new Map<number, Fields & { n: number }>();
  writes.forEach((write, n) => {
    if (write.kind === "insert") table.set(n, { ...write.fields, n });
    const target = targetOf(writes, n);
    if (target === undefined) return;
    if (write.kind === "delete") table.delete(target);
    const document = table.get(target);
    if (write.kind !== "patch" || document === undefined) return;
    const merged: Record<string, unknown> = { ...document, ...write.patch };
    for (const field in merged) if (merged[field] === missing) delete merged[field];
    table.set(target, { ...merged, n: target });
  });
  return [...table.values()];
}

/** The number of the insert that write `n` is about, if there is one before it. */
function targetOf(writes: readonly Write[], n: number): number | undefined {
  const write = writes[n]!;
  if (write.kind === "insert") return undefined;
  const inserts = writes.slice(0, n).flatMap(({ kind }, i) => kind === "insert" ? [i] : []);
  return inserts.length === 0 ? undefined : inserts[write.target % inserts.length];
}

/** As steps, of which each write is one. */
function stepsOf(writes: readonly Write[]): unknown[][] {
  return writes.map((write, n) => {
    if (write.kind === "insert") return ["insert", "items", { ...write.fields, n }];
    const target = targetOf(writes, n);
    if (target === undefined) return ["normalizeId", "items", "nothing to do"];
    const id = `<${target + 1}>`;
    return write.kind === "delete" ? ["delete", id] : ["patch", id, write.patch];
  });
}

function valueAt(document: unknown, path: string): unknown {
  return path.split(".").reduce<unknown>((value, step) => {
    const isObject = Object.prototype.toString.call(value) === "[object Object]";
    return isObject ? (value as Record<string, unknown>)[step] : undefined;
  }, document);
}

// deno-lint-ignore no-explicit-any -- the library's own type of values
const compare = (a: unknown, b: unknown) => compareValues(a as any, b as any);
const meaning = (value: unknown) => value === missing ? undefined : value;
const holds: Readonly<Record<string, (order: number) => boolean>> = {
  eq: (order) => order === 0,
  neq: (order) => order !== 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
};

function evaluate(document: unknown, [name, ...operands]: Expression): unknown {
  if (name === "literal") return meaning(operands[0]);
  if (name === "field") return valueAt(document, operands[0] as string);
  const [left, right] = operands.map((operand) => evaluate(document, operand as Expression));
  if (name === "and") return left && right;
  if (name === "or") return left || right;
  return name === "not" ? !left : holds[name]!(compare(left, right));
}

/** Numbers of the documents that the query gives. */
function expected(table: Model, query: RandomQuery): number[] {
  const fields = indexes[query.index]!;
  const found = table
    .filter((document) =>
      query.range.every(([type, field, value]) =>
        holds[type]!(compare(valueAt(document, field), meaning(value)))
      )
    )
    .toSorted((a, b) => {
      for (const field of fields) {
        const order = compare(valueAt(a, field), valueAt(b, field));
        if (order !== 0) return order;
      }
      return a.n - b.n;
    });
  if (query.order === "desc") found.reverse();
  return found.filter((document) => query.filters.every((filter) => evaluate(document, filter)))
    .slice(0, query.take ?? Infinity).map(({ n }) => n);
}

test("semantics 31-35, function-abi 35, 39-42: queries find what a filtered and sorted array has", async ({ clients }) => {
  const client = clients.http();
  const property = fc.asyncProperty(
    fc.array(someWrite, { maxLength: 40 }),
    fc.array(someQuery, { minLength: 1, maxLength: 25 }),
    async (writes, queries) => {
      const steps = queries.map((query) => ["query", { table: "items", ...query }]);
      const outcomes = await write(client, ["clear", "items"], ...stepsOf(writes), ...steps);
      const inside = outcomes.slice(1 + writes.length);
      const committed = await read(client, ...steps);
      const numbers = ({ value, error }: StepOutcome) =>
        error ?? value.map(({ n }: { n: number }) => n);
      const model = tableAfter(writes);
      queries.forEach((query, i) => {
        const wanted = expected(model, query);
        assert.deepEqual(numbers(inside[i]!), wanted, "in the mutation that wrote");
        assert.deepEqual(numbers(committed[i]!), wanted, "after its commit");
      });
    },
  );
  await fc.assert(property, { numRuns: 150 });
});
