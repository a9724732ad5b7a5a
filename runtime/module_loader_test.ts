/** Modules as a bundler other than esbuild could push them: they may import each other in any way. */
import assert from "node:assert/strict";
import { type Answer, type Bundle, IsolateHarness } from "../tests/support/isolate_harness.ts";

function modules(sources: Readonly<Record<string, string>>): Bundle {
  return new Map(
    Object.entries(sources).map(([path, source]) => [path, { source, sourceMap: "" }]),
  );
}

/** Runs `query` of `main.js` twice; both times must be like the first. */
async function run(sources: Readonly<Record<string, string>>): Promise<Answer> {
  await using isolate = await IsolateHarness.start(modules(sources));
  const first = await isolate.query("main:query");
  assert.deepEqual((await isolate.query("main:query")).value, first.value);
  return first;
}

const query = (expression: string) =>
  `const query = () => {}; query.isQuery = true; query._handler = () => (${expression}); export { query };`;

Deno.test("semantics 3: modules that import each other share functions before they are evaluated", async () => {
  const { value, error } = await run({
    "main.js": `import { isEven, log } from "./even.js"; ${query("[isEven(4), isEven(3), log]")}`,
    "even.js": `import { isOdd, early } from "./odd.js";
      export const log = [early];
      export function isEven(n) { return n === 0 || isOdd(n - 1); }
      export function name() { return "even"; }
      log.push("even");`,
    "odd.js": `import { isEven, log, name } from "./even.js";
      export function isOdd(n) { return n !== 0 && isEven(n - 1); }
      export const early = name() + " before " + typeof log;`,
  });
  assert.equal(error, undefined);
  assert.deepEqual(value, [true, false, ["even before undefined", "even"]]);
});

Deno.test("semantics 3: a cycle may lead through re-exports, stars and the module itself", async () => {
  const { value, error } = await run({
    "main.js": `import { a, b, own } from "./all.js"; import * as self from "./main.js";
      export const here = 1; ${query("[a(), b(), own(), typeof self.query, self.here]")}`,
    "all.js": `export * from "./a.js"; export { b } from "./b.js"; export const own = () => "own";`,
    "a.js": `import { b, own } from "./all.js"; export const a = () => "a" + b() + own();`,
    "b.js":
      `import * as all from "./all.js"; export const b = () => "b" + Object.keys(all).sort();`,
  });
  assert.equal(error, undefined);
  assert.deepEqual(value, ["aba,b,ownown", "ba,b,own", "own", "function", 1]);
});

Deno.test("semantics 15: state of modules that import each other is new in each call", async () => {
  const { value } = await run({
    "main.js": `import { count } from "./a.js"; ${query("[count(), count()]")}`,
    "a.js": `import { next } from "./b.js"; export const count = () => next(); export let n = 0;
      export const add = () => ++n;`,
    "b.js": `import { add, n } from "./a.js"; export const next = () => { add(); return n; };`,
  });
  assert.deepEqual(value, [1, 2]);
});

Deno.test("semantics 3: a module that cannot be loaded fails those that import it, and no others", async () => {
  await using isolate = await IsolateHarness.start(modules({
    "main.js": query("1"),
    "a.js": `import "./b.js"; ${query("2")}`,
    "b.js": `import "./a.js"; import "./gone.js";`,
    "c.js": `import { missing } from "./main.js"; ${query("3")}`,
    "d.js": `import "./d.js"; throw new Error("not today"); ${query("4")}`,
  }));
  for (let time = 0; time < 2; time++) {
    assert.equal((await isolate.query("main:query")).value, 1);
    assert.match((await isolate.query("a:query")).error!, /find JavaScript module 'gone\.js'/);
    assert.match(
      (await isolate.query("c:query")).error!,
      /does not provide an export named 'missing'/,
    );
    assert.match((await isolate.query("d:query")).error!, /not today/);
  }
});

Deno.test("semantics 3: a module is loaded when it is needed, whatever user code did before", async () => {
  await using isolate = await IsolateHarness.start(
    modules({
      "main.js": `const action = () => {}; action.isAction = true;
        action._handler = async () => {
          Object.defineProperty(Object, "keys", { value: () => { throw new Error("spoilt") } });
          globalThis.mark = "kept";
          const { seen } = await import("./late.js");
          return [seen, globalThis.mark];
        };
        export { action };`,
      "late.js": `export const seen = typeof globalThis.mark;`,
    }),
    { kind: "action" },
  );
  assert.deepEqual((await isolate.action("main:action")).value, ["string", "kept"]);
});

Deno.test("semantics 15: constants that a package defines on the global object are gone afterwards", async () => {
  await using isolate = await IsolateHarness.start(modules({
    "main.js": `const key = Symbol.for("package.v1");
      const before = [key in globalThis, "added" in Array.prototype, "two" in Math];
      Object.defineProperty(globalThis, key, { value: {} });
      Reflect.defineProperty(Array.prototype, "added", { get: () => 1 });
      Object.defineProperties(Math, { two: { value: 2, enumerable: true } });
      ${query("[before, key in globalThis, [].added, Math.two]")}`,
  }));
  for (let time = 0; time < 3; time++) {
    const { value } = await isolate.query("main:query");
    assert.deepEqual(value, [[false, false, false], true, 1, 2]);
  }
  assert.equal(isolate.death, null);
});

Deno.test("semantics 3: modules are forgotten when they take too much memory, and loaded again", async () => {
  const filler = `/*${"x".repeat(10_000_000)}*/`;
  const source = (name: string) =>
    `${filler} import { shared } from "./shared.js";
    ${query(`["${name}", shared()]`)}`;
  await using isolate = await IsolateHarness.start(modules({
    ...Object.fromEntries([..."abc"].map((name) => [`${name}.js`, source(name)])),
    "shared.js": "let n = 0; export const shared = () => ++n;",
  }));
  for (const name of "abcab") {
    assert.deepEqual((await isolate.query(`${name}:query`)).value, [name, 1]);
  }
});
