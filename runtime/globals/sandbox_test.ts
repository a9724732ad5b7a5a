/**
 * Hostile code in a query: each probe is an expression that tries to reach something, or to leave something
 * behind, and what it must come to instead.
 */
import assert from "node:assert/strict";
import { bundleSources, IsolateHarness } from "../../tests/support/isolate_harness.ts";

const noCode = "EvalError: Code generation from strings disallowed for this context";

/** Expressions that reach for capabilities. */
const probes: readonly (readonly [code: string, result: unknown])[] = [
  // Code from strings
  [`eval("1")`, noCode],
  [`(0, eval)("1")`, noCode],
  [`new Function("return globalThis")()`, noCode],
  [`Function("return 1")()`, noCode],
  [`(() => {}).constructor("return 1")()`, noCode],
  [`(async () => {}).constructor("return 1")()`, noCode],
  [`(function* () {}).constructor("yield 1")()`, noCode],
  [`(async function* () {}).constructor("yield 1")()`, noCode],
  [`Reflect.construct((class {}).constructor, ["return 1"])`, noCode],
  [`Object.getPrototypeOf(Date).constructor("return 1")()`, noCode],
  [`(() => {}) instanceof Function`, true],
  // The machine
  [`typeof Deno`, "undefined"],
  [`typeof globalThis.require`, "undefined"],
  [`typeof Buffer`, "undefined"],
  [`typeof global`, "undefined"],
  [`typeof process.exit`, "undefined"],
  [`typeof process.version`, "undefined"],
  [`process.env.PATH ?? null`, null],
  [`typeof process.binding`, "undefined"],
  [`typeof WebSocket`, "undefined"],
  [`typeof EventSource`, "undefined"],
  [`typeof caches`, "undefined"],
  [`typeof navigator`, "undefined"],
  [`typeof location`, "undefined"],
  [`typeof window`, "undefined"],
  [`typeof queueMicrotask`, "undefined"],
  [`typeof setImmediate`, "undefined"],
  [`typeof Temporal`, "undefined"],
  [`typeof console.table`, "undefined"],
  // Other threads, and the isolate's own connection
  [`typeof Worker`, "undefined"],
  [`typeof BroadcastChannel`, "undefined"],
  [`typeof MessageChannel`, "undefined"],
  [`typeof MessagePort`, "undefined"],
  [`typeof postMessage`, "undefined"],
  [`typeof onmessage`, "undefined"],
  [`typeof close`, "undefined"],
  [`typeof addEventListener`, "undefined"],
  [`Object.getOwnPropertySymbols(globalThis).length`, 0],
  [
    `(() => { try { EventTarget.prototype.addEventListener.call(globalThis, "message", () => {}); } catch (e) { return e.name; } })()`,
    "TypeError",
  ],
  [`typeof URL.createObjectURL`, "undefined"],
  [`typeof (Atomics as any).waitAsync`, "undefined"],
  // Modules
  [
    `import("node:fs").then(() => "imported", (e) => e.message)`,
    "dynamic module import unsupported",
  ],
  [
    `import("data:text/javascript,1").then(() => "imported", (e) => e.message)`,
    "dynamic module import unsupported",
  ],
  [
    `(() => { try { return import.meta.url; } catch (e) { return String(e); } })()`,
    "TypeError: import.meta unsupported",
  ],
  // Clocks and randomness
  [`Date.now() === new Date().getTime() && Date.now() === 1700000000000`, true],
  [`new (class extends Date {})().getTime()`, 1_700_000_000_000],
  [`new (new Date().constructor)().getTime()`, 1_700_000_000_000],
  [`Date().includes("2023")`, true],
  [`new Intl.DateTimeFormat("en").format()`, "11/14/2023"],
  [`new Intl.DateTimeFormat("en", { year: "numeric" }).formatToParts()[0].value`, "2023"],
  [`performance.now() === performance.now()`, true],
  [`new Event("x").timeStamp === new Event("y").timeStamp`, true],
  [`new File([], "x").lastModified`, 1_700_000_000_000],
  [`new WeakRef(globalThis).deref() === globalThis`, true],
  [`typeof new FinalizationRegistry(() => {}).register({})`, "undefined"],
  [
    `crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt"]).then(() => "made", (e) => e.message.slice(0, 34))`,
    "Can't use cryptographic randomness",
  ],
  [
    `(() => { try { crypto.getRandomValues(new Uint8Array(65537)); } catch (e) { return e.name; } })()`,
    "QuotaExceededError",
  ],
  [
    `(() => { try { crypto.getRandomValues(new Float32Array(1)); } catch (e) { return e.name; } })()`,
    "TypeMismatchError",
  ],
  [
    `fetch("http://localhost").then(() => "fetched", (e) => e.message.slice(0, 17))`,
    "Can't use fetch()",
  ],
  [`typeof AsyncLocalStorage + typeof AsyncResource`, "functionfunction"],
  // What must work
  [
    `(async () => { const als = new AsyncLocalStorage(); return await als.run(1, async () => { await 0; return als.getStore(); }); })()`,
    1,
  ],
  [
    `WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(({ instance }) => typeof instance.exports)`,
    "object",
  ],
  [
    `new Response(new Blob(["a", "b"]).stream().pipeThrough(new TextDecoderStream()).pipeThrough(new TextEncoderStream())).text()`,
    "ab",
  ],
  [
    `(async () => { const key = await crypto.subtle.importKey("raw", new Uint8Array(16), "HMAC".length ? { name: "HMAC", hash: "SHA-256" } : "", false, ["sign"]); return (await crypto.subtle.sign("HMAC", key, new Uint8Array(1))).byteLength; })()`,
    32,
  ],
  [`[...new Headers({ a: "b" })].length + new URL("http://a/?b=c").searchParams.get("b")`, "1c"],
  [`structuredClone(new Map([[1, { a: 2 }]])).get(1).a`, 2],
  [`atob(btoa("x")) + new TextDecoder().decode(new TextEncoder().encode("é"))`, "xé"],
  [`self === globalThis`, true],
  [`[].__proto__ === Array.prototype && Object.create(null).__proto__ === undefined`, true],
  [`(() => { const a: any = {}; a.__proto__ = { b: 1 }; return a.b; })()`, 1],
  // What the package `ai` does to streams
  [
    `(() => { const a: any = new ReadableStream(); a[Symbol.asyncIterator] = 1; return a[Symbol.asyncIterator]; })()`,
    1,
  ],
  [`(() => { const a: any = (async function* () {})(); a.next = 1; return a.next; })()`, 1],
];

/** Statements that change the realm for others, and an expression that would show it in the next call. */
const leftovers: readonly (readonly [code: string, trace: string, fresh: unknown])[] = [
  [`globalThis.left = 1`, `typeof left`, "undefined"],
  [`globalThis[Symbol.for("left")] = 1`, `Symbol.for("left") in globalThis`, false],
  [
    `Object.defineProperty(globalThis, "left", { value: 1, configurable: true })`,
    `typeof left`,
    "undefined",
  ],
  [`globalThis.fetch = null`, `typeof fetch`, "function"],
  [`delete globalThis.Map`, `typeof Map`, "function"],
  [`Date.now = () => 5`, `Date.now() > 5`, true],
  [`globalThis.Date = class {}`, `typeof Date.now`, "function"],
  [`Math.random = () => 4`, `Math.random() < 1`, true],
  [`console.log = 1; globalThis.console = null`, `typeof console.log`, "function"],
  [
    `process.env = {}; globalThis.process = { env: { NAME: "x" } }`,
    `process.env.NAME ?? null`,
    null,
  ],
  [`process.env.NAME = "x"`, `process.env.NAME ?? null`, null],
  [`Array.prototype.left = 1`, `typeof [].left`, "undefined"],
  [`Array.prototype.push = () => 7`, `[].push(1)`, 1],
  [`Array.prototype[Symbol.for("left")] = 1`, `Symbol.for("left") in []`, false],
  [`Object.prototype.left = 1`, `typeof {}.left`, "undefined"],
  [`Object.prototype.__defineGetter__("left", () => 1)`, `typeof {}.left`, "undefined"],
  [
    `Object.defineProperty(String.prototype, "left", { get: () => 1, configurable: true })`,
    `typeof "".left`,
    "undefined",
  ],
  [
    `Reflect.defineProperty(new Proxy(Promise.prototype, {}), "left", { value: 1, configurable: true })`,
    `"left" in Promise.prototype`,
    false,
  ],
  [`Object.setPrototypeOf(Map.prototype, { left: 1 })`, `typeof new Map().left`, "undefined"],
  [`Promise.prototype.__proto__ = { left: 1 }`, `typeof Promise.resolve().left`, "undefined"],
  [`TypeError.prototype.name = "left"`, `new TypeError().name`, "TypeError"],
  [`Error.stackTraceLimit = 0`, `Error.stackTraceLimit`, 10],
  [`Error.prepareStackTrace = () => "left"`, `new Error().stack === "left"`, false],
  [`URL.prototype.left = 1`, `"left" in URL.prototype`, false],
  [
    `Request.prototype.text = () => "left"`,
    `String(Request.prototype.text).includes("left")`,
    false,
  ],
  [
    `(TransformStream as any).prototype.constructor = "left"`,
    `TransformStream.prototype.constructor === TransformStream`,
    true,
  ],
  [`/(lef)t/.exec("left")`, `RegExp.$1`, ""],
  [`globalThis.JSON = null`, `typeof JSON.parse`, "function"],
  [
    `class Out extends (function () { return Set.prototype; }) { left = 1; } new Out()`,
    `"left" in Set.prototype`,
    false,
  ],
  [`try { [].push.left = 1 } catch {}`, `typeof [].push.left`, "undefined"],
];

const bundle = await bundleSources({
  "functions.ts": `
import { queryGeneric as query } from "convex/server";
// @ts-nocheck
const probes: (() => any)[] = [${probes.map(([code]) => `() => ${code}`).join(",\n")}];
export const probe = query(async (_ctx, { index }: any) => {
  try { return await probes[index](); } catch (error) { return String(error); }
});
const changes: (() => any)[] = [${leftovers.map(([code]) => `() => { ${code} }`).join(",\n")}];
const traces: (() => any)[] = [${leftovers.map(([, trace]) => `() => ${trace}`).join(",\n")}];
export const change = query((_ctx, { index }: any) => { changes[index](); });
export const trace = query(async (_ctx, { index }: any) => await traces[index]());
let state = 0;
const cache = new Map();
export const moduleState = query(() => { cache.set(state++, 1); return [state, cache.size]; });
`,
});

Deno.test("I5: the sandbox of queries", async (t) => {
  await using isolate = await IsolateHarness.start(bundle);
  for (const [index, [code, expected]] of probes.entries()) {
    await t.step(`probe ${code}`, async () => {
      const { value, error } = await isolate.query("functions:probe", { index });
      assert.deepEqual([value, error], [expected, undefined]);
    });
  }
  for (const [index, [code, , fresh]] of leftovers.entries()) {
    await t.step(`left over by ${code}`, async () => {
      const { error } = await isolate.query("functions:change", { index });
      assert.equal(error, undefined);
      const { value } = await isolate.query("functions:trace", { index });
      assert.deepEqual(value, fresh);
    });
  }
  await t.step("module state", async () => {
    for (let i = 0; i < 2; i++) {
      assert.deepEqual((await isolate.query("functions:moduleState")).value, [1, 1]);
    }
  });
  assert.equal(isolate.death, null);
});
