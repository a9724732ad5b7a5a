import assert from "node:assert/strict";
import fc from "fast-check";
import { tokenize } from "./tokens.ts";

Deno.test("semantics 98: tokenize() splits at everything but letters and digits and ignores case", () => {
  assert.deepEqual(tokenize("Hello, WORLD! it's 3.14"), ["hello", "world", "it", "s", "3", "14"]);
  assert.deepEqual(tokenize("a_b-c\td\n"), ["a", "b", "c", "d"]);
  assert.deepEqual(tokenize("Ärger in Zürich, Ωμέγα №5 ²"), [
    "ärger",
    "in",
    "zürich",
    "ωμέγα",
    "5",
    "²",
  ]);
  assert.deepEqual(tokenize("日本語 テキスト"), ["日本語", "テキスト"]);
  assert.deepEqual(tokenize(""), []);
  assert.deepEqual(tokenize("?!… \ud800"), []);
});

Deno.test("semantics §15: tokenize() ignores what has more than 32 bytes", () => {
  assert.deepEqual(tokenize(`${"a".repeat(32)} ${"b".repeat(33)} c`), ["a".repeat(32), "c"]);
  assert.deepEqual(tokenize(`${"é".repeat(16)} ${"é".repeat(17)}`), ["é".repeat(16)]);
});

Deno.test("tokenize() finds the same in its own tokens", () => {
  fc.assert(fc.property(fc.string({ unit: "grapheme" }), (text) => {
    const tokens = tokenize(text);
    const again = tokens.flatMap((token) => tokenize(token));
    // Some capitals become a letter and a combining mark.
    if (tokens.every((token) => /^[\p{Alphabetic}\p{Number}]+$/u.test(token))) {
      assert.deepEqual(again, tokens);
    }
  }));
});
