import assert from "node:assert/strict";
import { SourceMap } from "./source_map.ts";

/** Line 1: column 0 is a.ts 1:1, column 5 is b.ts 3:9; line 2: column 4 has no origin; line 3: a.ts 2:1. */
const json = JSON.stringify({
  version: 3,
  sources: ["a.ts", "b.ts"],
  names: [],
  mappings: "AAAA,KCEQ;I;ADDR",
});

Deno.test("SourceMap lookUp() finds the last mapping at or before a position", () => {
  const map = new SourceMap("a.js", () => json);
  assert.deepEqual(map.lookUp(1, 1), { source: "a.ts", line: 1, column: 1 });
  assert.deepEqual(map.lookUp(1, 5), { source: "a.ts", line: 1, column: 1 });
  assert.deepEqual(map.lookUp(1, 6), { source: "b.ts", line: 3, column: 9 });
  assert.deepEqual(map.lookUp(1, 99), { source: "b.ts", line: 3, column: 9 });
  assert.deepEqual(map.lookUp(3, 1), { source: "a.ts", line: 2, column: 1 });
});

Deno.test("SourceMap lookUp() knows nothing of code without an origin", () => {
  const map = new SourceMap("a.js", () => json);
  assert.equal(map.lookUp(2, 9), undefined);
  assert.equal(map.lookUp(4, 1), undefined);
  const nameless = new SourceMap("a.js", () => `{"sources":[null],"mappings":"AAAA"}`);
  assert.equal(nameless.lookUp(1, 1), undefined);
});

Deno.test("semantics 84: a source has one name, wherever the module lies that its code is in", () => {
  const sourceOf = (module: string, source: string) =>
    new SourceMap(module, () => JSON.stringify({ sources: [source], mappings: "AAAA" }))
      .lookUp(1, 1)?.source;
  assert.equal(sourceOf("messages.js", "../convex/messages.ts"), "../convex/messages.ts");
  assert.equal(sourceOf("_deps/ABC.js", "../../convex/lib/rules.ts"), "../convex/lib/rules.ts");
  assert.equal(sourceOf("_deps/node/ABC.js", "../../../lib/a.ts"), "../lib/a.ts");
  assert.equal(sourceOf("lib/rules.js", "webpack://lib/a.ts"), "webpack://lib/a.ts");
});
