/** What the documentation says in words: numbers, links, settings, commands. */
import assert from "node:assert/strict";
import { root } from "../support/source_files.ts";
import { limitTables } from "./limits.ts";

Deno.test("docs/limits.md has the numbers of the source", () => {
  const path = `${root}docs/limits.md`;
  const page = Deno.readTextFileSync(path);
  if (Deno.env.get("HULL_REWRITE") === "1") {
    const tables = /<!-- Made of the source[^]*<!-- deno-fmt-ignore-end -->/;
    Deno.writeTextFileSync(path, page.replace(tables, limitTables));
  } else {
    assert.ok(page.includes(limitTables()), "run `HULL_REWRITE=1 deno test -A tests/docs`");
  }
});
