import assert from "node:assert/strict";
import fc from "fast-check";
import { convexToJson, jsonToConvex } from "convex/values";
import { compareValues } from "./compare.ts";
import { sizeOf } from "./size.ts";
import {
  decodePatch,
  decodeValueOrUndefined,
  encodeValue,
  parseDocument,
  parseValue,
  type Value,
} from "./value.ts";
import { anyValue } from "./value_arbitrary.ts";

function sameValue(a: Value | undefined, b: Value | undefined): void {
  assert.equal(compareValues(a, b), 0);
}

Deno.test("values round trip through their JSON form, which the function library reads alike", () => {
  fc.assert(fc.property(anyValue, (value) => {
    const { json, bytes } = encodeValue(value);
    sameValue(parseValue(json), value);
    sameValue(parseDocument(json), value);
    sameValue(jsonToConvex(JSON.parse(json)) as Value, value);
    sameValue(parseValue(JSON.stringify(convexToJson(value as never))), value);
    assert.equal(bytes, sizeOf(value));
  }));
});

Deno.test("http-api rule 87: equal values have equal canonical texts, whatever the order of their fields", () => {
  assert.equal(
    encodeValue({ b: 1, a: { d: 1, c: "x" } }).json,
    encodeValue({ a: { c: "x", d: 1 }, b: 1 }).json,
  );
  fc.assert(fc.property(anyValue, anyValue, (a, b) => {
    assert.equal(encodeValue(a).json === encodeValue(b).json, compareValues(a, b) === 0);
  }));
});

Deno.test("http-api 103, rule 83: encoding vectors in both directions", () => {
  const vectors: [Value, string][] = [
    [1n, '{"$integer":"AQAAAAAAAAA="}'],
    [-1n, '{"$integer":"//////////8="}'],
    [0n, '{"$integer":"AAAAAAAAAAA="}'],
    [2n ** 63n - 1n, '{"$integer":"/////////38="}'],
    [-(2n ** 63n), '{"$integer":"AAAAAAAAAIA="}'],
    [NaN, '{"$float":"AAAAAAAA+H8="}'],
    [Infinity, '{"$float":"AAAAAAAA8H8="}'],
    [-Infinity, '{"$float":"AAAAAAAA8P8="}'],
    [-0, '{"$float":"AAAAAAAAAIA="}'],
    [Uint8Array.of(0, 0x10, 0x83).buffer, '{"$bytes":"ABCD"}'],
    [new ArrayBuffer(0), '{"$bytes":""}'],
  ];
  for (const [value, json] of vectors) {
    assert.equal(encodeValue(value).json, json);
    sameValue(parseValue(json), value);
  }
});

Deno.test("http-api 103, rule 92: size vectors", () => {
  const vectors: [Value, number][] = [
    [null, 1],
    ["", 2],
    ["héé😀", 11],
    [new ArrayBuffer(3), 5],
    [[], 2],
    [[1, null], 12],
    [{}, 2],
    [{ a: 1, bb: "x" }, 19],
  ];
  for (const [value, bytes] of vectors) {
    assert.equal(sizeOf(value), bytes);
    assert.equal(encodeValue(value).bytes, bytes);
  }
});

Deno.test("http-api rule 84–88: what is no encoded value is refused", () => {
  const cases: [string, RegExp][] = [
    ['{"$integer":"AA=="}', /Received 1 bytes, expected 8 for \$integer/],
    ['{"$integer":5}', /Malformed \$integer field/],
    ['{"$bytes":"*"}', /"\*" is not base64/],
    ['{"$integer":"AAAAAAAAAAA=","x":1}', /Field name \$integer starts with '\$'/],
    ['{"$float":"AAAAAAAA8D8="}', /Float64 1 should be encoded as a number/],
    ['{"$x":1}', /^Field name \$x starts with '\$', which is reserved\.$/],
    ['{"$commitTs":null}', /Field name \$commitTs starts with '\$'/],
    ['{"$undefined":null}', /Field name \$undefined starts with '\$'/],
    ['{"a":{"é":1}}', /^Field name é has invalid character 'é': Field names can only contain/],
    ['{"a\\tb":1}', /Field names can only contain non-control ASCII characters/],
    [`{"${"x".repeat(1025)}":1}`, /^Field name is too long \(1025 > maximum 1024\)$/],
    ['["\\ud800"]', /lone surrogate/],
    [`[${"0,".repeat(8192)}0]`, /^Array length is too long \(8193 > maximum length 8192\)$/],
    [
      JSON.stringify(Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [`f${i}`, 0]))),
      /^Object has too many fields \(1025 > maximum number 1024\)$/,
    ],
    [
      "[".repeat(65) + "]".repeat(65),
      /^Value is too nested \(nested 65 levels deep > maximum nesting 64\)$/,
    ],
    [
      JSON.stringify(Array(33).fill("x".repeat(2 ** 20))),
      /^Value is too large \(33\.00 MiB > maximum size 32 MiB\)$/,
    ],
  ];
  for (const [json, message] of cases) {
    assert.throws(() => parseValue(json), { name: "DeveloperError", message }, json.slice(0, 80));
  }
  sameValue(parseValue('{"":1}'), { "": 1 });
  sameValue(parseValue("-0"), -0);
  assert.equal(encodeValue(parseValue("[".repeat(64) + "]".repeat(64))).nesting, 64);
});

Deno.test("encodeValue() refuses what is no value with the text of the function library", () => {
  class Point {
    x = 1;
  }
  const loop: unknown[] = [];
  loop.push(loop);
  const cases = [
    undefined,
    { a: [undefined] },
    { a: new Map([[1, 2]]) },
    new Set([1]),
    { list: [{ point: new Point() }] },
    { f: () => 1 },
    Symbol("s"),
    { a: { b: new Uint8Array(1) } },
    { a: 2n ** 63n },
    { a: new Date(0) },
  ];
  for (const value of cases) {
    let expected = "";
    try {
      convexToJson(value as never);
    } catch (error) {
      expected = (error as Error).message;
    }
    assert.throws(() => encodeValue(value), { name: "DeveloperError", message: expected });
  }
  assert.throws(() => encodeValue(loop), /Value is too nested/);
  assert.throws(() => encodeValue({ $a: 1 }), /^DeveloperError: Field name \$a starts with '\$'/);
  assert.throws(() => encodeValue(["\udc00"]), /lone surrogate/);
});

Deno.test("encodeValue() drops undefined fields and keeps a field named __proto__", () => {
  assert.equal(encodeValue({ a: undefined, b: 1 }).json, '{"b":1}');
  const odd = parseValue('{"__proto__":{"$integer":"AQAAAAAAAAA="},"b":1}');
  assert.equal(encodeValue(odd).json, '{"__proto__":{"$integer":"AQAAAAAAAAA="},"b":1}');
});

Deno.test("parseDocument() is not misled by text that looks like a special value", () => {
  const document = { text: '{"$integer":"AQAAAAAAAAA="}', n: 5 };
  assert.deepEqual(parseDocument(encodeValue(document).json), document);
});

Deno.test("http-api rule 80: undefined is transported in patches and literals", () => {
  assert.equal(decodeValueOrUndefined({ $undefined: null }), undefined);
  assert.deepEqual(decodePatch({ a: { $undefined: null }, b: 1 }), { a: undefined, b: 1 });
  assert.throws(() => decodePatch({ a: { b: { $undefined: null } } }), /\$undefined/);
});
