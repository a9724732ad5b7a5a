import assert from "node:assert/strict";
import { bundleSources, IsolateHarness } from "../../tests/support/isolate_harness.ts";

const bundle = await bundleSources({
  "functions.ts": `
import { queryGeneric as query } from "convex/server";
export const prints = query(() => {
  class A {}
  console.log("a", { b: 1 }, [1, [2]], {}, []);
  console.info(1n, null, undefined, new Error("x").message, new A(), A, new Map([[1, 2]]), "it's\\n");
  console.debug(-0, NaN, Symbol("s"), new Date(0));
  console.warn("careful");
  console.error(new Error("x"));
  (console as any).trace("here");
  console.log();
});
export const times = query(() => {
  console.time();
  console.time();
  console.timeLog("default", "extra");
  console.timeEnd();
  console.timeEnd("default");
});
export const overflow = query(() => { for (let i = 0; i < 400; i++) console.log(i); });
export const bites = query(() => { console.log({ get a() { throw new Error("x"); } }); });
export const members = query(() => Object.getOwnPropertyNames(console).sort());
`,
});

Deno.test("function-abi 82-85, semantics 10: console", async (t) => {
  await using isolate = await IsolateHarness.start(bundle);
  const linesOf = async (name: string) => (await isolate.query(`functions:${name}`)).lines;

  await t.step("values are shown as object-inspect shows them", async () => {
    const [log, info, debug, warn, error, trace, empty] = await linesOf("prints");
    assert.equal(log, "[LOG] 'a' {\n  b: 1\n} [ 1, [ 2 ] ] {} []");
    assert.equal(
      info,
      "[INFO] 1n null undefined 'x' A {} [class A] Map (1) {\n  1 => 2\n} 'it\\'s\\n'"
        .replace("[class A]", "[Function: A]"),
    );
    assert.equal(
      debug,
      "[DEBUG] -0 NaN Symbol(s) Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)",
    );
    assert.equal(warn, "[WARN] 'careful'");
    assert.equal(error, "[ERROR] [Error: x]");
    assert.match(trace!, /^\[LOG\] 'here' \n {4}at .*functions\.ts:\d+:\d+$/);
    assert.equal(empty, "[LOG] ");
  });

  await t.step("timers", async () => {
    const lines = (await linesOf("times")).map((line) => line.replace(/\d+ms/, "Nms"));
    assert.deepEqual(lines, [
      "[WARN] Timer 'default' already exists",
      "[INFO] default: Nms 'extra'",
      "[INFO] default: Nms",
      "[WARN] Timer 'default' does not exist",
    ]);
  });

  await t.step("the log has an end", async () => {
    assert.equal((await linesOf("overflow")).length, 256);
  });

  await t.step("values that bite do not end the function", async () => {
    const { lines, error } = await isolate.query("functions:bites");
    assert.equal(error, undefined);
    assert.equal(lines.length, 1);
  });

  await t.step("there are nine methods", async () => {
    assert.deepEqual((await isolate.query("functions:members")).value, [
      ...["debug", "error", "info", "log", "time", "timeEnd", "timeLog", "trace", "warn"],
    ]);
  });
});
