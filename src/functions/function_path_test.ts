import assert from "node:assert/strict";
import { debugName, displayName } from "../isolate/function_address.ts";
import { parseFunctionPath } from "./function_path.ts";

Deno.test("http-api 27: module, module:default and module.js:default are one function", () => {
  const expected = { module: "a/b.js", export: "default" };
  for (const text of ["a/b", "a/b:default", "a/b.js:default", "a/b.js"]) {
    assert.deepEqual(parseFunctionPath(text), expected, text);
  }
  assert.deepEqual(parseFunctionPath("a/b:f_1"), { module: "a/b.js", export: "f_1" });
  assert.deepEqual(parseFunctionPath("_system/cli/tables:default"), {
    module: "_system/cli/tables.js",
    export: "default",
  });
});

Deno.test("http-api 29, 30: paths that are no module path or name no identifier are invalid", () => {
  const texts = [
    "",
    "/a:f",
    "../x",
    "a/./b:f",
    "a//b",
    "a-b:f",
    "a.ts:f",
    "a:b:c",
    "a:",
    "a:1f",
    "a:__",
    "a:f-g",
    "ä:f",
    `${"a".repeat(65)}:f`,
    `a:${"f".repeat(65)}`,
  ];
  for (const text of texts) {
    assert.throws(() => parseFunctionPath(text), { code: "BadConvexFunctionIdentifier" }, text);
  }
});

Deno.test("displayName leaves out .js and :default, debugName neither", () => {
  assert.equal(debugName({ module: "a/b.js", export: "f" }), "a/b.js:f");
  assert.equal(displayName({ module: "a/b.js", export: "f" }), "a/b:f");
  assert.equal(displayName({ module: "a/b.js", export: "default" }), "a/b");
});
