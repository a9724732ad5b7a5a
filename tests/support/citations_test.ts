import assert from "node:assert/strict";
import { checklistOf, invariantsOf, linesNamedBy, namedInvariants } from "./citations.ts";
import { readSources, root } from "./source_files.ts";

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

Deno.test("linesNamedBy() reads what stands behind invariants", () => {
  assert.deepEqual(linesNamedBy("I2, I13, semantics 11.1, 73: sent again"), ["semantics 73"]);
});

Deno.test("each invariant of ARCHITECTURE.md is named by the tests that it lists, and by no others", () => {
  const invariants = invariantsOf(Deno.readTextFileSync(`${root}ARCHITECTURE.md`));
  assert.ok(invariants.length > 0);
  assert.deepEqual(invariants.map(({ name }) => name), invariants.map((_, at) => `I${at + 1}`));
  const listed = invariants.flatMap(({ name, tests }) => tests.map((path) => `${name} ${path}`));
  const naming = readSources("src", "runtime", "cli", "tests")
    .filter(({ path }) => path.endsWith("_test.ts") && !path.endsWith("citations_test.ts"))
    .flatMap((test) => [...namedInvariants([test])].map((name) => `${name} ${test.path}`));
  assert.deepEqual(naming.sort(), listed.sort());
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
