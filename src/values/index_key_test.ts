import assert from "node:assert/strict";
import fc from "fast-check";
import { compareValues } from "./compare.ts";
import {
  bytesToKey,
  encodeKey,
  encodeKeyValue,
  indexKeyOf,
  keyToBytes,
  pointInterval,
  prefixInterval,
  valueAtPath,
} from "./index_key.ts";
import type { Value } from "./value.ts";
import { anyValue } from "./value_arbitrary.ts";

const valueOrMissing = fc.option(anyValue, { nil: undefined });

Deno.test("semantics 31–33: the order of keys is the order of values", () => {
  fc.assert(
    fc.property(valueOrMissing, valueOrMissing, (a, b) => {
      const left = encodeKeyValue(a);
      const right = encodeKeyValue(b);
      const order = left < right ? -1 : left > right ? 1 : 0;
      assert.equal(order, Math.sign(compareValues(a, b)));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("semantics 32: the order of types and of special numbers", () => {
  const ascending: (Value | undefined)[] = [
    undefined,
    null,
    -(2n ** 63n),
    -40000n,
    -129n,
    -128n,
    -1n,
    0n,
    1n,
    127n,
    128n,
    2n ** 62n,
    -Infinity,
    -1,
    -0,
    0,
    5e-324,
    1,
    Infinity,
    NaN,
    false,
    true,
    "",
    "\0",
    "a",
    "a\0",
    "a\0b",
    "ab",
    "é",
    "\uffff",
    "😀",
    new ArrayBuffer(0),
    new ArrayBuffer(1),
    [],
    [null],
    [null, null],
    [1n],
    {},
    { "": 1 },
    { a: 1 },
    { a: 1, b: 1 },
    { a: 2 },
    { ab: 1 },
  ];
  for (let i = 1; i < ascending.length; i++) {
    assert.ok(compareValues(ascending[i - 1], ascending[i]) < 0, `values at ${i}`);
    assert.ok(encodeKeyValue(ascending[i - 1]) < encodeKeyValue(ascending[i]), `keys at ${i}`);
  }
});

Deno.test("prefixInterval() holds exactly the keys that begin with the same values", () => {
  const key = fc.array(valueOrMissing, { minLength: 2, maxLength: 2 });
  fc.assert(fc.property(key, valueOrMissing, (values, other) => {
    for (const first of [values[0], other]) {
      const { lower, upper } = prefixInterval(encodeKey([first]));
      const whole = encodeKey(values);
      const inside = whole >= lower && (upper === null || whole < upper);
      assert.equal(inside, compareValues(first, values[0]) === 0);
    }
  }));
  assert.deepEqual(prefixInterval(encodeKey([])), { lower: "", upper: null });
});

Deno.test("pointInterval() holds its key and nothing else", () => {
  const key = encodeKey(["a"]);
  const { lower, upper } = pointInterval(key);
  assert.ok(lower <= key && key < upper!);
  assert.ok(encodeKey(["a\0"]) >= upper! && encodeKey(["a", null]) >= upper!);
});

Deno.test("keys survive the way to bytes and back", () => {
  fc.assert(fc.property(fc.array(valueOrMissing), (values) => {
    const key = encodeKey(values);
    assert.equal(bytesToKey(keyToBytes(key)), key);
  }));
  const long = encodeKey(["é\0".repeat(10_000)]);
  assert.equal(bytesToKey(keyToBytes(long)), long);
});

Deno.test("indexKeyOf() takes the declared fields, then creation time and id", () => {
  const document = { _id: "id", _creationTime: 5, a: { b: 1 }, c: "x" };
  const keyOf = (name: string, fields: string[]) => indexKeyOf({ name, fields }, document);
  assert.equal(keyOf("by_id", []), encodeKey(["id"]));
  assert.equal(keyOf("by_creation_time", []), encodeKey([5, "id"]));
  assert.equal(keyOf("i", ["a.b", "c", "d"]), encodeKey([1, "x", undefined, 5, "id"]));
});

Deno.test("valueAtPath() walks objects only and never up the prototype chain", () => {
  const document: Record<string, Value> = { a: { b: [1] }, s: "text" };
  assert.deepEqual(valueAtPath(document, "a.b"), [1]);
  for (const path of ["constructor", "a.constructor", "a.b.length", "s.length", "x", "x.y"]) {
    assert.equal(valueAtPath(document, path), undefined, path);
  }
});
