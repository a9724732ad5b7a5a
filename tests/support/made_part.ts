/** Parts of pages that are made of the source: a test compares them, and with HULL_REWRITE=1 writes them anew. */
import assert from "node:assert/strict";
import { root } from "./source_files.ts";

const end = "<!-- deno-fmt-ignore-end -->";

/** The text of a part, between comments that mark it; `source` says of what it is made. */
export function madePart(source: string, markdown: string): string {
  return [
    `<!-- Made of ${source} by \`HULL_REWRITE=1 deno task ok\`. -->`,
    "<!-- deno-fmt-ignore-start -->",
    "",
    markdown,
    "",
    end,
  ].join("\n");
}

/** The page at `path` inside the repository has this part; it has no other one. */
export function checkMadePart(path: string, part: string): void {
  const page = Deno.readTextFileSync(root + path);
  if (Deno.env.get("HULL_REWRITE") === "1") {
    const old = new RegExp(`<!-- Made of [^]*${end}`);
    assert.match(page, old, `${path} has a place for the part`);
    Deno.writeTextFileSync(root + path, page.replace(old, () => part));
  } else {
    assert.ok(page.includes(part), `${path}: run \`HULL_REWRITE=1 deno task ok\``);
  }
}
