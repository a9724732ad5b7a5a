import assert from "node:assert/strict";
import { SeededRandom } from "./random.ts";

Deno.test("SeededRandom is ChaCha12: the key stream of the zero key", () => {
  const bytes = new Uint8Array(32);
  new SeededRandom("0".repeat(64)).fill(bytes);
  assert.equal(bytes.toHex(), "9bf49a6a0755f953811fce125f2683d50429c3bb49e074147e0089a52eae155f");
});

Deno.test("SeededRandom repeats with its seed, in pieces of any size", () => {
  const seed = "0123456789abcdef".repeat(4);
  const whole = new Uint8Array(200);
  new SeededRandom(seed).fill(whole);
  const pieces = new SeededRandom(seed);
  const parts = [1, 63, 65, 71].map((length) => {
    const part = new Uint8Array(length);
    pieces.fill(part);
    return [...part];
  });
  assert.deepEqual(parts.flat(), [...whole]);
  assert.notEqual(new SeededRandom(seed).seed(), new SeededRandom("f".repeat(64)).seed());
});

Deno.test("SeededRandom float() spreads over [0, 1)", () => {
  const random = new SeededRandom("ab".repeat(32));
  const counts = new Array(10).fill(0);
  for (let i = 0; i < 10_000; i++) {
    const value = random.float();
    assert.ok(value >= 0 && value < 1);
    counts[Math.floor(value * 10)]++;
  }
  for (const count of counts) assert.ok(count > 850 && count < 1150, `${counts}`);
});
