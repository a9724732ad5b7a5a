import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as vm from "node:vm";
import { bundleSources } from "../../tests/support/isolate_harness.ts";
import { decodeModuleFactory, type ModuleFactory } from "../isolate/module_factory.ts";
import { buildModuleFactory } from "./module_factory.ts";

async function build(source: string, sourceMap: string | null = null): Promise<ModuleFactory> {
  const file = await buildModuleFactory({ path: "dir/a.js", source, sourceMap });
  return decodeModuleFactory(Buffer.from(file));
}

interface Evaluated {
  readonly exports: Record<string, unknown>;
  readonly sharedExports: Record<string, unknown>;
  readonly shared: readonly unknown[];
}

/** Evaluates both functions of a factory, with modules to import by position. */
function evaluate({ script }: ModuleFactory, imports: readonly object[] = []): Evaluated {
  const exports = {}, sharedExports = {};
  let shared: readonly unknown[] = [];
  const host = {
    import: (specifier: string) => `imported ${specifier}`,
    meta: () => {
      throw new TypeError("no meta");
    },
    live: (target: object, getters: object) =>
      Object.defineProperties(target, Object.getOwnPropertyDescriptors(getters)),
  };
  const outer = vm.runInThisContext(script);
  const inner = outer(imports, sharedExports, (values: unknown[]) => shared = values);
  [...inner(imports, exports, host)];
  return { exports, sharedExports, shared };
}

/** A source map that gives each line of the module a source of its own. */
function mapOfLines(sources: readonly (string | null)[]): string {
  const names = [...new Set(sources.filter((source) => source !== null))];
  const mappings = sources.map((source) =>
    source === null ? [] : [[0, names.indexOf(source), 0, 0]]
  );
  // Encoded by hand, because only single digits occur: A is 0, C is 1, D is -1.
  let last = 0;
  const text = mappings.map((line) =>
    line.map(([, source]) => {
      const delta = source! - last;
      last = source!;
      return `A${["A", "C", "E"][delta] ?? "D"}AA`;
    }).join()
  ).join(";");
  return JSON.stringify({ version: 3, sources: names, names: [], mappings: text });
}

const library = "../node_modules/convex/src/server/x.ts";
const app = "../convex/a.ts";

Deno.test("buildModuleFactory() makes a script that exports what the module does", async () => {
  const factory = await build(`
    export const a = 1, { b, c: [d = 4] } = { b: 2, c: [] };
    export function f() { return a + b; }
    export class C {}
    function g() { return "g" }
    const local = 5
    export { g, local as renamed };
    export default f() + 1;
  `);
  const { exports } = evaluate(factory);
  const { f, C, g, ...values } = exports as Record<string, () => unknown>;
  assert.deepEqual(values, { a: 1, b: 2, d: 4, renamed: 5, default: 4 });
  assert.deepEqual([f!(), g!(), typeof C], [3, "g", "function"]);
  assert.deepEqual(
    factory.exports.map(({ name, isShared, isLive }) => [name, isShared, isLive]).slice(0, 2),
    [["a", false, false], ["b", false, false]],
  );
  assert.equal(
    await buildModuleFactory({ path: "a.js", source: "export {}" }),
    await buildModuleFactory({ path: "a.js", source: "export {}" }),
  );
});

Deno.test("buildModuleFactory() rewrites uses of imports, and only those", async () => {
  const factory = await build(`
import def, { a as b, call, tag } from "./other.js";
import * as all from "../third.js";
import "./effect.js";
const result = { b, x: b, [b]: 1, y: all.z, def }
call(1)
tag\`text\`
if (b) call(2); else call(3)
export const inner = ((b) => b + call.name)("shadow"), shadowed = (() => { { let call = 5; return call; } })();
export const values = [typeof b, new call(7).constructor === call, result]
export { more as again } from "./other.js"
export * from "../third.js";
export * as space from "./effect.js";
label: for (const b of [1]) { continue label }
export const caught = (() => { try { throw 1 } catch (b) { return b } })();
`);
  assert.deepEqual(factory.imports.map(({ path, names }) => [path, names]), [
    ["dir/other.js", ["default", "a", "call", "tag", "more"]],
    ["third.js", []],
    ["dir/effect.js", []],
  ]);
  assert.deepEqual(factory.starExports, [1]);
  assert.deepEqual(
    factory.exports.filter(({ from }) => from).map(({ name, from }) => [name, from]),
    [
      ["again", { import: 0, name: "more" }],
      ["space", { import: 2, name: null }],
    ],
  );
  const calls: unknown[] = [];
  function call(this: unknown, ...args: unknown[]) {
    if (new.target === undefined) calls.push([this, ...args]);
  }
  const tag = function (this: unknown) {
    "use strict";
    calls.push(this);
  };
  const { exports } = evaluate(factory, [{ default: "d", a: "b", call, tag }, { z: "z" }, {}]);
  assert.deepEqual(calls.map((each) => Array.isArray(each) ? each.slice(1) : each), [
    [1],
    undefined,
    [2],
  ]);
  assert.deepEqual(exports.values, ["string", true, { b: 1, x: "b", y: "z", def: "d" }]);
  assert.deepEqual([exports.inner, exports.shadowed, exports.caught], ["shadowcall", 5, 1]);
});

Deno.test("buildModuleFactory() keeps exports live that functions assign to", async () => {
  const factory = await build(`
    export let count = 0; export var late; export const bump = () => { count++; late = "set" };`);
  const { exports } = evaluate(factory);
  (exports.bump as () => void)();
  assert.deepEqual([exports.count, exports.late], [1, "set"]);
});

Deno.test("buildModuleFactory() refuses what isolates do not run", async () => {
  const refusals: [string, RegExp][] = [
    ["await 1", /^Top-level awaits in source files are unsupported$/],
    ["for await (const x of []) {}", /^Top-level awaits/],
    ["export const a = await import('./b.js')", /^Top-level awaits/],
    ["import { a } from './b.js'; a = 1", /^Cannot assign to import "a"$/],
    ["import { a } from './b.js'; [{ a }] = []", /^Cannot assign to import "a"$/],
    ["const a =", /^Uncaught SyntaxError: /],
    ["const a = 1, a = 2", /^Uncaught SyntaxError: /],
    // A comment in scripts, two operators in modules: what follows must not come to light as an import.
    ["let x = 1; x<!--x /*\nimport('node:fs') /* */; /a/.test('')", /./],
  ];
  for (const [source, message] of refusals) {
    await assert.rejects(build(source), { code: "InvalidModule", message });
  }
  await build("export const f = async () => { await 1; for await (const x of []) {} }");
});

Deno.test("buildModuleFactory() hands import() and import.meta to the host", async () => {
  const factory = await build(
    "export const a = import('./b.js'), meta = () => import.meta.url; export const b = { import: 1 }.import;",
  );
  const { exports } = evaluate(factory);
  assert.equal(exports.a, "imported ./b.js");
  assert.throws(exports.meta as () => void, /no meta/);
  assert.equal(exports.b, 1);
});

Deno.test("buildModuleFactory() shares library statements that depend on nothing else", async () => {
  const lines: [string, string | null][] = [
    ["const name = Object.defineProperty;", null],
    ["function lib() { return helper() }", library],
    ["const helper = () => 1, table = [1, 2];", library],
    ["const usesApp = () => own;", library],
    ["const usesThat = usesApp;", library],
    ["let changed = 0;", library],
    ["const change = () => { changed++ };", library],
    ["var own = lib();", app],
    ["name(lib, 'x', { value: 1 });", null],
    ["name(own, 'y', { value: 1 });", null],
    ["export { lib, own, table, changed, name };", null],
  ];
  const factory = await build(
    lines.map(([code]) => code.replace("name(own", "(() => {})(own")).join("\n"),
    mapOfLines(lines.map(([, source]) => source)),
  );
  const { shared, sharedExports, exports } = evaluate(factory);
  assert.deepEqual(Object.keys(sharedExports), ["lib", "table", "name"]);
  assert.equal(shared.length, 4);
  assert.deepEqual([exports.own, exports.table, exports.changed], [1, [1, 2], 0]);
  assert.equal((exports.lib as { x?: number }).x, 1);
  assert.equal(factory.isShared, false);
});

Deno.test("buildModuleFactory() does not share what statements that stay behind prepare", async () => {
  const lines: [string, string | null][] = [
    ["const give = (f, x) => { f.x = x };", library],
    ["function lib() {}", library],
    ["let state = 0; const next = () => state++;", library],
    ["give(lib, next());", library],
    ["export { lib };", null],
  ];
  const factory = await build(
    lines.map(([code]) => code).join("\n"),
    mapOfLines(lines.map(([, source]) => source)),
  );
  const { sharedExports, exports } = evaluate(factory);
  assert.deepEqual(Object.keys(sharedExports), []);
  assert.equal((exports.lib as { x?: number }).x, 0);
});

Deno.test("buildModuleFactory() shares the whole function library, and no app code", async () => {
  const bundle = await bundleSources({
    "a.ts": `import * as server from "convex/server"; import * as values from "convex/values";
      let n = 0; export const count = () => n++; export const all = [server, values];`,
  });
  const { source, sourceMap } = bundle.get("a.js")!;
  const factory = await build(source, sourceMap);
  const appText = factory.script.slice(factory.script.indexOf("return function*(hull$i"));
  assert.match(appText, /n\+\+|\w+\+\+/);
  assert.ok(appText.length < 3000, `${appText.length} characters are evaluated for every call`);
  assert.ok(factory.script.length > 50_000);
});

Deno.test("the source map of a factory leads to where the code was written", async () => {
  const text = `import { queryGeneric } from "convex/server";
export const a = queryGeneric(() => {
  throw new Error("here");
});
`;
  const { source, sourceMap } = (await bundleSources({ "a.ts": text })).get("a.js")!;
  const factory = await build(source, sourceMap);
  const { SourceMap } = await import("../../runtime/source_map.ts");
  const before = factory.script.slice(0, factory.script.indexOf('new Error("here")')).split("\n");
  assert.deepEqual(
    new SourceMap("a.js", () => factory.sourceMap!).lookUp(
      before.length,
      before.at(-1)!.length + 1,
    ),
    {
      source: "../convex/a.ts",
      line: 3,
      column: 9,
    },
  );
});
