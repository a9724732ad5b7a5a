import assert from "node:assert/strict";
import { DeveloperError } from "../src/errors.ts";
import { describeFailure, HostFailure, makeUserError, renderFailure } from "./failure.ts";

const messageOf = (thrown: unknown) => describeFailure(thrown).message;

Deno.test("describeFailure() prints what was thrown as V8 does", () => {
  const named = (name: string, message: string) => Object.assign(new Error(message), { name });
  assert.equal(messageOf(new TypeError("no")), "Uncaught TypeError: no");
  assert.equal(messageOf(new Error("")), "Uncaught Error");
  assert.equal(messageOf(named("", "text")), "Uncaught text");
  assert.equal(messageOf("boom"), "Uncaught boom");
  assert.equal(messageOf(null), "Uncaught null");
  assert.equal(messageOf({ a: 1 }), "Uncaught #<Object>");
  assert.equal(messageOf(new Map()), "Uncaught #<Map>");
  assert.equal(messageOf(5n), "Uncaught 5");
  assert.equal(messageOf(Symbol("s")), "Uncaught Symbol(s)");
});

Deno.test("describeFailure() states what the host says as it is", () => {
  assert.deepEqual(describeFailure(new HostFailure("not here")), {
    message: "not here",
    frames: [],
  });
  assert.equal(messageOf(new DeveloperError("Code", "a rule")), "a rule");
});

Deno.test("describeFailure() keeps a ConvexError's data, encoded by the library or not", () => {
  const error = makeUserError("text", { a: 1n }, null);
  assert.deepEqual(describeFailure(error).data, `{"a":{"$integer":"AQAAAAAAAAA="}}`);
  const symbol = Symbol.for("ConvexError");
  Object.assign(error, { data: `{"b":2}`, ConvexErrorSymbol: symbol });
  assert.equal(describeFailure(error).data, `{"b":2}`);
});

Deno.test("describeFailure() survives errors that bite, and long ones", () => {
  const biting = new Error("x");
  Object.defineProperty(biting, "message", {
    get() {
      throw new Error("again");
    },
  });
  assert.equal(messageOf(biting), "Uncaught an error that cannot be shown");
  assert.equal(
    messageOf(new Error("é".repeat(100_000))).length,
    (64 * 1024 - "Uncaught Error: ".length) / 2 + 16,
  );
});

Deno.test("renderFailure() is the text that callers inside of functions get", () => {
  const failure = { message: "Uncaught Error: x", frames: ["    at a (b.ts:1:2)"] };
  assert.equal(renderFailure(failure), "Uncaught Error: x\n    at a (b.ts:1:2)\n");
});
