import assert from "node:assert/strict";
import { clientFailureText, failureText } from "./failure_text.ts";

const thrown = {
  message: "Uncaught Error: boom",
  frames: ["    at f (../convex/a.ts:1:2)", "    at handler (../convex/a.ts:3:4)"],
};

Deno.test("function-abi §13: failureText ends with a newline, with frames and without", () => {
  assert.equal(
    failureText(thrown),
    "Uncaught Error: boom\n    at f (../convex/a.ts:1:2)\n    at handler (../convex/a.ts:3:4)\n",
  );
  assert.equal(failureText({ message: "gone", frames: [] }), "gone\n");
});

Deno.test("http-api rule 35: clientFailureText begins with the request id", () => {
  assert.equal(
    clientFailureText({ message: "gone", frames: [] }, "abc", false),
    "[Request ID: abc] Server Error\ngone\n",
  );
});

Deno.test("semantics 82: clientFailureText shows nothing else when redacted", () => {
  assert.equal(clientFailureText(thrown, "abc", true), "[Request ID: abc] Server Error");
});
