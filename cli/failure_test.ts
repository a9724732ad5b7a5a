import assert from "node:assert/strict";
import { describeFailure } from "./failure.ts";

Deno.test("describeFailure names the path that the system refuses", async () => {
  const error = await Deno.open("/no/such/file").catch((error) => error);
  assert.equal(
    describeFailure(error),
    "/no/such/file cannot be used: No such file or directory. Check the path, and what its owner lets you do with it.",
  );
});

Deno.test("describeFailure shows messages as they are, and the stack of Hull's own mistakes", () => {
  assert.equal(describeFailure(new Error("Do this.")), "Do this.");
  assert.match(
    describeFailure(new TypeError("x")),
    /^A mistake in Hull itself:\nTypeError: x\n {4}at/,
  );
});
