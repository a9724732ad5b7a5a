import assert from "node:assert/strict";
import { HeldBytes } from "./held_bytes.ts";

Deno.test("HeldBytes bounds what one client holds, whatever one call has, and nobody else", () => {
  const held = new HeldBytes(100);
  held.take("a", 150);
  assert.throws(() => held.take("a", 1), { code: "TooManyConcurrentRequests" });
  held.take("b", 60);
  held.take("b", 40);
  held.give("a", 150);
  held.take("a", 100);
});
