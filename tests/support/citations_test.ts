import assert from "node:assert/strict";
import { checklistOf, linesNamedBy } from "./citations.ts";

Deno.test("linesNamedBy() reads numbers, ranges and additions, of several documents", () => {
  assert.deepEqual(linesNamedBy("semantics 31, 33-35, A2: the order of values"), [
    "semantics 31",
    "semantics 33",
    "semantics 34",
    "semantics 35",
    "semantics A2",
  ]);
  assert.deepEqual(linesNamedBy("function-abi 31–32, semantics 94: indexes"), [
    "function-abi 31",
    "function-abi 32",
    "semantics 94",
  ]);
  assert.deepEqual(linesNamedBy("semantics 63"), ["semantics 63"]);
});

Deno.test("linesNamedBy() leaves sections and rules out", () => {
  assert.deepEqual(linesNamedBy("semantics 11.3, §10, 73: sent again"), ["semantics 73"]);
  assert.deepEqual(linesNamedBy("http-api rule 24, 25: bodies"), []);
  assert.deepEqual(linesNamedBy("semantics are kept: 5 of them"), []);
});

Deno.test("checklistOf() finds the checklist and the additions, not other lists", () => {
  const markdown = "## 3. Rules\n1. rule\n\n## 21. Checklist of testable behaviours\nGroup\n" +
    "1. first\n84c. second\n\n## Additions\nA1. third\n\n## 22. More\n9. rule\n";
  assert.deepEqual(checklistOf("semantics", markdown), [
    { name: "semantics 1", text: "first" },
    { name: "semantics 84c", text: "second" },
    { name: "semantics A1", text: "third" },
  ]);
});
