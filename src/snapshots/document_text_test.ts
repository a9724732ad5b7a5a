import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeValue } from "../values/value.ts";
import { anyValue } from "../values/value_arbitrary.ts";
import { parseText, uniformText } from "./document_text.ts";

Deno.test("deploy-protocol 37: uniformText() and parseText() give every value back", () => {
  fc.assert(fc.property(anyValue, (value) => {
    const text = uniformText(value);
    assert.equal(encodeValue(parseText(text, true)).json, encodeValue(value).json, text);
  }));
});

Deno.test("deploy-protocol 9: uniformText() tells int64 and float64 apart", () => {
  assert.equal(
    uniformText({ a: 1n, b: 1, c: -1.5, d: 1e21, e: [2n ** 63n - 1n] }),
    '{"a":1,"b":1.0,"c":-1.5,"d":1e+21,"e":[9223372036854775807]}',
  );
  assert.equal(uniformText(-0), '{"$float":"AAAAAAAAAIA="}');
});

Deno.test("deploy-protocol 10: parseText() takes plain numbers for floats unless the text is uniform", () => {
  assert.deepEqual(parseText('{"n":1,"t":"a 7"}', false), { n: 1, t: "a 7" });
  assert.deepEqual(parseText('{"n":1,"t":"a 7","f":2e3}', true), { n: 1n, t: "a 7", f: 2000 });
  assert.deepEqual(parseText('{"n":{"$integer":"AQAAAAAAAAA="}}', false), { n: 1n });
  assert.throws(() => parseText("9223372036854775808", true), /64-bit/);
});
