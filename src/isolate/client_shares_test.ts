import assert from "node:assert/strict";
import { ClientShares } from "./client_shares.ts";

Deno.test("ClientShares: who comes starts where the others are, and a long call is forgiven in part", () => {
  const shares = new ClientShares();
  shares.arrived("a", 0);
  shares.chosen("a");
  shares.used("a", 100);
  shares.chosen("a");
  shares.arrived("b", 1);
  assert.equal(shares.usedMs("b"), 100);
  shares.used("a", 60_000);
  assert.ok(shares.usedMs("a") <= 400);
});

Deno.test("ClientShares: a client is active for a second after its last call, and known for a minute", () => {
  const shares = new ClientShares();
  const callAt = (client: string, nowMs: number) => {
    shares.arrived(client, nowMs);
    shares.left(client);
  };
  callAt("a", 0);
  callAt("b", 500);
  assert.deepEqual([shares.areSeveral, shares.areSeveralActive], [true, true]);
  callAt("a", 3_000);
  assert.deepEqual([shares.areSeveral, shares.areSeveralActive], [true, false]);
  callAt("a", 62_000);
  assert.deepEqual([shares.areSeveral, shares.areSeveralActive], [false, false]);
});
