import assert from "node:assert/strict";
import { anyApi, makeFunctionReference } from "convex/server";
import {
  addressOf,
  debugName,
  displayName,
  functionHandle,
  parseAddress,
} from "./function_address.ts";

Deno.test("addressOf() understands every kind of reference", () => {
  assert.deepEqual(addressOf(anyApi.dir!.messages!.list), { name: "dir/messages:list" });
  assert.deepEqual(addressOf(makeFunctionReference("a:b")), { name: "a:b" });
  assert.deepEqual(addressOf("a:b"), { name: "a:b" });
  assert.deepEqual(addressOf("function://x#a:b"), { functionHandle: "function://x#a:b" });
  const component = { [Symbol.for("toReferencePath")]: "_reference/childComponent/x" };
  assert.deepEqual(addressOf(component), { reference: "_reference/childComponent/x" });
  assert.throws(() => addressOf({}), /^Error: \[object Object\] is not a functionReference$/);
});

Deno.test("parseAddress() finds module and export", () => {
  const path = { module: "dir/a.js", export: "b" };
  assert.deepEqual(parseAddress({ name: "dir/a:b" }), path);
  assert.deepEqual(parseAddress({ name: "dir/a.js:b" }), path);
  assert.deepEqual(parseAddress({ name: "dir/a" }), { ...path, export: "default" });
  assert.deepEqual(parseAddress({ functionHandle: functionHandle(path) }), path);
  assert.deepEqual(parseAddress({ reference: "_reference/function/dir/a:b" }), path);
  assert.throws(
    () => parseAddress({ reference: "_reference/childComponent/x" }),
    /Couldn't resolve/,
  );
  assert.throws(
    () => parseAddress({ functionHandle: "function://x" }),
    /Function handle not found/,
  );
  assert.throws(() => parseAddress({}), /Missing required argument 'name'/);
});

Deno.test("functions are named as logs and errors name them", () => {
  const path = { module: "dir/a.js", export: "b" };
  assert.deepEqual([displayName(path), debugName(path)], ["dir/a:b", "dir/a.js:b"]);
  assert.equal(displayName({ ...path, export: "default" }), "dir/a");
});
