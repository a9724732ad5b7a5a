import assert from "node:assert/strict";
import { type GenericValidator, v } from "convex/values";
import fc from "fast-check";
import { encodeId } from "./document_id.ts";
import { renderValue } from "./render.ts";
import { checkArguments, checkReturns, parseValidator } from "./validator.ts";
import { encodeValue, type Value } from "./value.ts";
import { anyValue } from "./value_arbitrary.ts";

const tables = (number: number) =>
  new Map([[10_001, "users"], [10_002, "posts"], [540, "_storage"]]).get(number);
const idIn = (table: number) => encodeId(table, new Uint8Array(16));

function validatorOf(author: GenericValidator) {
  return parseValidator((author as unknown as { json: unknown }).json);
}

function check(author: GenericValidator, value: Value): string | null {
  return validatorOf(author).check(value, tables);
}

Deno.test("semantics 48: a missing field is reported in five lines, with an empty context at the root", () => {
  const args = validatorOf(v.object({ name: v.string(), age: v.optional(v.number()) }));
  assert.equal(
    checkArguments(args, [{ age: 5 }], tables),
    "ArgumentValidationError: Object is missing the required field `name`. Consider wrapping the field validator in `v.optional(...)` if this is expected.\n" +
      "\nObject: {age: 5.0}\nValidator: v.object({age: v.optional(v.float64()), name: v.string()})",
  );
});

Deno.test("semantics 49: an extra field is reported after missing and invalid ones", () => {
  const author = v.object({ a: v.string(), b: v.string() });
  assert.match(check(author, { a: "x", z: 1 })!, /^Object is missing the required field `b`/);
  assert.match(
    check(author, { a: 1, b: "y", z: 1 })!,
    /^Value does not match validator\.\nPath: \.a/,
  );
  assert.equal(
    check(author, { z: 1, a: "x", b: "y" }),
    "Object contains extra field `z` that is not in the validator.\n" +
      '\nObject: {a: "x", b: "y", z: 1.0}\nValidator: v.object({a: v.string(), b: v.string()})',
  );
});

Deno.test("semantics 50: a nested mismatch names its path", () => {
  const author = v.object({ a: v.array(v.object({ b: v.string() })) });
  assert.equal(
    check(author, { a: [{ b: 1n }] }),
    "Value does not match validator.\nPath: .a[0].b\nValue: 1\nValidator: v.string()",
  );
  const record = v.object({ r: v.record(v.id("users"), v.number()) });
  assert.match(check(record, { r: { x: 1 } })!, /\nPath: \.r\.keys\(\)\nValue: "x"/);
  assert.match(check(record, { r: { [idIn(10_001)]: "1" } })!, /\nPath: \.r\.values\(\)\n/);
});

Deno.test("semantics 51: an id of another table is told in one line without a space before its path", () => {
  const author = v.object({ u: v.id("users") });
  const post = idIn(10_002);
  assert.equal(
    check(author, { u: post }),
    `Found ID "${post}" from table \`posts\`, which does not match the table name in validator \`v.id("users")\`.Path: .u`,
  );
  assert.equal(
    check(v.id("users"), idIn(540)),
    `Found ID "${
      idIn(540)
    }" from a system table, which does not match the table name in validator \`v.id("users")\`.`,
  );
  assert.match(check(v.id("users"), "abc")!, /^Value does not match validator\.\n\nValue: "abc"/);
  assert.match(check(v.id("users"), idIn(20_000))!, /^Value does not match validator\./);
  assert.equal(check(v.id("users"), idIn(10_001)), null);
  assert.equal(check(v.id("_storage"), idIn(540)), null);
});

Deno.test("semantics 52: numbers and bigints are told apart", () => {
  assert.notEqual(check(v.number(), 1n), null);
  assert.notEqual(check(v.int64(), 1), null);
  assert.equal(check(v.int64(), 1n), null);
  assert.equal(parseValidator({ type: "commitTs" }).check(1n, tables), null);
});

Deno.test("semantics 53: unions report as a whole, unless they have one member", () => {
  assert.equal(
    check(v.union(v.string(), v.null()), 1),
    "Value does not match validator.\n\nValue: 1.0\nValidator: v.union(v.string(), v.null())",
  );
  assert.match(check(v.union(v.object({ a: v.null() })), {})!, /^Object is missing/);
  assert.match(check(v.union(), null)!, /Validator: v\.union\(\)$/);
});

Deno.test("literals are reported in one line", () => {
  assert.equal(
    check(v.object({ kind: v.literal("a") }), { kind: "b" }),
    '`"b"` does not match literal validator `v.literal("a")`.Path: .kind',
  );
  assert.match(check(v.literal(5n), 6n)!, /`v\.literal\(<bigint>\)`\.$/);
  assert.match(check(v.literal(1), 2)!, /`v\.literal\(1\.0\)`\.$/);
  assert.equal(check(v.literal(true), true), null);
});

Deno.test("semantics 8.2: arguments must be one object", () => {
  const args = validatorOf(v.object({}));
  assert.equal(
    checkArguments(args, [], tables),
    "ArgumentValidationError: Expected to receive a single object as the function's argument. Instead received 0 arguments: []",
  );
  assert.equal(
    checkArguments(args, [1, "b"], tables),
    'ArgumentValidationError: Expected to receive a single object as the function\'s argument. Instead received 2 arguments: [1.0, "b"]',
  );
  assert.equal(
    checkArguments(args, [[]], tables),
    "ArgumentValidationError: Expected to receive an object as the function's argument. Instead received: []",
  );
  assert.equal(checkArguments(parseValidator({ type: "any" }), [1, 2], tables), null);
  assert.equal(checkArguments(null, [], tables), null);
});

Deno.test("semantics 54: results are checked alike", () => {
  const returns = validatorOf(v.null());
  assert.match(checkReturns(returns, 1, tables)!, /^ReturnsValidationError: Value does not match/);
  assert.equal(checkReturns(returns, null, tables), null);
  assert.equal(checkReturns(null, 1, tables), null);
});

Deno.test("a field of Object.prototype's name is missing unless it is the object's own", () => {
  const author = v.object({ constructor: v.any() });
  assert.match(check(author, {})!, /^Object is missing the required field `constructor`/);
  assert.equal(check(author, { constructor: 1 }), null);
});

Deno.test("semantics 8.2: values are rendered with sorted fields and floats with a point", () => {
  const rendered: [Value, string][] = [
    [1n, "1"],
    [1, "1.0"],
    [0.5, "0.5"],
    [1e16, "1e16"],
    [1.5e-7, "1.5e-7"],
    [-0, "-0.0"],
    [NaN, "NaN"],
    [-Infinity, "-inf"],
    ['a"\n\x01é', '"a\\"\\n\\u{1}é"'],
    [Uint8Array.of(0, 16, 131).buffer, 'b"ABCD"'],
    [{ b: [null, true], a: "x" }, '{a: "x", b: [null, true]}'],
  ];
  for (const [value, text] of rendered) assert.equal(renderValue(value), text);
});

Deno.test("parseValidator() refuses what describes no validator", () => {
  const value = { fieldType: { type: "any" }, optional: false };
  const cases: [unknown, RegExp][] = [
    [{ type: "record", keys: { type: "literal", value: "a" }, values: value }, /literal keys$/],
    [{ type: "record", keys: { type: "number" }, values: value }, /only have string keys/],
    [
      { type: "record", keys: { type: "string" }, values: { ...value, optional: true } },
      /^DeveloperError: Records cannot have optional values$/,
    ],
    [{ type: "int" }, /unknown type "int"/],
    [[], /must be an object/],
  ];
  for (const [json, message] of cases) assert.throws(() => parseValidator(json), message);
});

Deno.test("v.any() and the literal of a value match that value, and check() agrees with matches()", () => {
  fc.assert(fc.property(anyValue, anyValue, (a, b) => {
    assert.equal(parseValidator({ type: "any" }).check(a, tables), null);
    const literal = parseValidator({ type: "literal", value: JSON.parse(encodeValue(a).json) });
    assert.equal(literal.matches(a, tables), true);
    assert.equal(literal.matches(b, tables), encodeValue(a).json === encodeValue(b).json);
  }));
});
