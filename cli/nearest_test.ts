import assert from "node:assert/strict";
import { nearest } from "./nearest.ts";

Deno.test("nearest finds what was meant, and nothing where nothing is close", () => {
  const names = ["messages", "tasks", "users"];
  assert.equal(nearest("mesages", names), "messages");
  assert.equal(nearest("task", names), "tasks");
  assert.equal(nearest("invoices", names), undefined);
  assert.equal(nearest("x", []), undefined);
});
