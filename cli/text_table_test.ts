import assert from "node:assert/strict";
import { renderTable } from "./text_table.ts";

Deno.test("renderTable makes columns as wide as their longest value, and cuts what is too long", () => {
  const lines = renderTable(["a", "name"], [["1", "x"], ["22", "y".repeat(100)]]).split("\n");
  assert.deepEqual(lines.slice(1, 3), [`──  ${"─".repeat(60)}`, "1   x"]);
  assert.equal(lines[3], `22  ${"y".repeat(59)}…`);
});

Deno.test("renderTable takes more rows than a call takes arguments", () => {
  const rows = Array.from({ length: 500_000 }, (_, n) => [String(n)]);
  assert.equal(renderTable(["n"], rows).split("\n").length, rows.length + 2);
});
