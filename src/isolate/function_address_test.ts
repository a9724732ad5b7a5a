import assert from "node:assert/strict";
import { anyApi, makeFunctionReference } from "convex/server";
import { appComponent, type ComponentId } from "../database/component.ts";
import { ComponentTree } from "./component_tree.ts";
import { addressOf, debugName, displayName, resolveAddress } from "./function_address.ts";
import { FunctionHandles } from "./function_handles.ts";

const child = "id of child" as ComponentId;
const grandchild = "id of grandchild" as ComponentId;
const common = {
  definition: "d",
  modules: [],
  args: {},
  environmentVariables: {},
  variableSources: {},
};
const tree = new ComponentTree([
  { ...common, id: child, parent: appComponent, name: "child", path: "child" },
  { ...common, id: grandchild, parent: child, name: "below", path: "child/below" },
]);
const handles = new FunctionHandles("secret");
const path = { module: "dir/a.js", export: "b" };

const resolve = (address: Parameters<typeof resolveAddress>[0], from = appComponent) =>
  resolveAddress(address, from, tree, handles);

Deno.test("addressOf() understands every kind of reference", () => {
  assert.deepEqual(addressOf(anyApi.dir!.messages!.list), { name: "dir/messages:list" });
  assert.deepEqual(addressOf(makeFunctionReference("a:b")), { name: "a:b" });
  assert.deepEqual(addressOf("a:b"), { name: "a:b" });
  assert.deepEqual(addressOf("function://x#a:b"), { functionHandle: "function://x#a:b" });
  const component = { [Symbol.for("toReferencePath")]: "_reference/childComponent/x" };
  assert.deepEqual(addressOf(component), { reference: "_reference/childComponent/x" });
  assert.throws(() => addressOf({}), /^Error: \[object Object\] is not a functionReference$/);
});

Deno.test("components §6: a name means a function of the component that uses it", () => {
  const target = { component: child, path, mustBePublic: false };
  assert.deepEqual(resolve({ name: "dir/a:b" }, child), target);
  assert.deepEqual(resolve({ name: "dir/a.js:b" }, child), target);
  assert.deepEqual(resolve({ reference: "_reference/function/dir/a:b" }, child), target);
  const byDefault = { ...target, path: { ...path, export: "default" } };
  assert.deepEqual(resolve({ name: "dir/a" }, child), byDefault);
  assert.throws(() => resolve({}), /Missing required argument 'name'/);
});

Deno.test("components §6: a reference leads to a public function of a direct child", () => {
  const reference = "_reference/childComponent/child/dir/a/b";
  assert.deepEqual(resolve({ reference }), { component: child, path, mustBePublic: true });
  const below = "_reference/childComponent/below/dir/a/b";
  assert.equal(resolve({ reference: below }, child).component, grandchild);
  assert.throws(() => resolve({ reference: below }), /^DeveloperError: Child component below not/);
  const unmounted = "id of one that was unmounted" as ComponentId;
  assert.throws(() => resolve({ reference }, unmounted), /Child component child not found/);
  assert.throws(
    () => resolve({ reference: "_reference/x/y" }),
    /Couldn't resolve _reference\/x\/y/,
  );
});

Deno.test("components §8: a handle names one function for ever, wherever it is used", () => {
  const handle = handles.make({ component: grandchild, path });
  assert.equal(handle, new FunctionHandles("secret").make({ component: grandchild, path }));
  assert.match(handle, /^function:\/\/[A-Za-z0-9_-]+#dir\/a:b$/);
  const target = { component: grandchild, path, mustBePublic: false };
  assert.deepEqual(resolve({ functionHandle: handle }), target);
  const [bare] = handle.split("#");
  assert.deepEqual(resolve({ functionHandle: bare }), target);
  assert.deepEqual(resolve({ functionHandle: `${bare}#any:thing` }), target);
});

Deno.test("components §8: what is no handle of this deployment is not found", () => {
  const handle = handles.make({ component: child, path });
  const changed = handle.replace("://", "://A");
  const gone = handles.make({ component: "gone" as ComponentId, path });
  const foreign = new FunctionHandles("other").make({ component: child, path });
  for (const each of [changed, gone, foreign, "function://x", "function://", "function://#a:b"]) {
    assert.throws(() => resolve({ functionHandle: each }), /^DeveloperError: Function handle not/);
  }
});

Deno.test("functions are named as logs and errors name them", () => {
  assert.deepEqual([displayName(path), debugName(path)], ["dir/a:b", "dir/a.js:b"]);
  assert.equal(displayName({ ...path, export: "default" }), "dir/a");
});
