import assert from "node:assert/strict";
import * as fc from "fast-check";

/** The module as it is where the engine has the methods, and where it has not. */
const withMethods = await import("./bytes_text.ts");
const { fromBase64 } = Uint8Array;
Reflect.deleteProperty(Uint8Array, "fromBase64");
// Evaluated again under another address.
const withoutMethods = await import(`${"./bytes_text.ts"}?without`) as typeof withMethods;
Object.defineProperty(Uint8Array, "fromBase64", {
  value: fromBase64,
  writable: true,
  configurable: true,
});

Deno.test("bytes as text are the same with and without the engine's methods", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    const text = withMethods.toBase64(bytes);
    assert.equal(withoutMethods.toBase64(bytes), text);
    assert.deepEqual([...withoutMethods.fromBase64(text)], [...bytes]);
    assert.equal(withoutMethods.toHex(bytes), withMethods.toHex(bytes));
  }));
  const large = new Uint8Array(100_000).map((_, index) => index * 7);
  assert.equal(withoutMethods.toBase64(large), withMethods.toBase64(large));
  assert.deepEqual(withoutMethods.fromBase64(withMethods.toBase64(large)), large);
});

Deno.test("fromBase64() refuses the same texts with and without the engine's methods", () => {
  for (
    const text of ["a", "ab", "abc", "ab=", "a===", "ab==cd==", "!!!!", "YR==", "YWJ=", "=", "-_-_"]
  ) {
    assert.throws(() => withMethods.fromBase64(text), SyntaxError, text);
    assert.throws(() => withoutMethods.fromBase64(text), SyntaxError, text);
  }
});
