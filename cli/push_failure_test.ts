import assert from "node:assert/strict";
import { join } from "node:path";
import { codeFrame, describePushFailure } from "./push_failure.ts";

const message = `Failed to analyze a.js: Uncaught Error: no
    at <anonymous> (../convex/a.ts:2:8)
    at other (../convex/b.ts:1:1)`;

async function withApp(test: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir({ prefix: "hull-frame-" });
  try {
    await Deno.mkdir(join(path, "convex"));
    await Deno.writeTextFile(join(path, "convex/a.ts"), "one;\n\tthrow new Error();\nthree;\n");
    await test(path);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("codeFrame shows the line of the first frame and marks its column", () =>
  withApp(async (path) => {
    assert.equal(
      await codeFrame(message, path),
      "    convex/a.ts:2:8:\n      2 │ \tthrow new Error();\n        ╵ \t      ^",
    );
  }));

Deno.test("codeFrame says nothing without a frame, a file or a line", () =>
  withApp(async (path) => {
    for (const text of ["no frame", "(../convex/none.ts:1:1)", "(../convex/a.ts:99:1)"]) {
      assert.equal(await codeFrame(text, path), "");
    }
  }));

Deno.test("describePushFailure tells that, why and where", () =>
  withApp(async (path) => {
    const text = await describePushFailure(message, path, "So be it.");
    assert.ok(
      text.startsWith(`✖ Push failed. So be it.\n${message}\n    convex/a.ts:2:8:\n`),
      text,
    );
    assert.equal(await describePushFailure("why", path, "So."), "✖ Push failed. So.\nwhy");
  }));
