import assert from "node:assert/strict";
import fc from "fast-check";
import type { Timestamp } from "./timestamp.ts";
import { decodeWireTimestamp, encodeWireTimestamp } from "./wire_timestamp.ts";

Deno.test("encodeWireTimestamp and decodeWireTimestamp are inverse", () => {
  fc.assert(fc.property(fc.nat(Number.MAX_SAFE_INTEGER), (ticks) => {
    assert.equal(decodeWireTimestamp(encodeWireTimestamp(ticks as Timestamp)), ticks);
  }));
});

Deno.test("http-api 39: a timestamp has 12 characters of base64", () => {
  assert.equal(encodeWireTimestamp(0 as Timestamp), "AAAAAAAAAAA=");
  assert.equal(encodeWireTimestamp(1 as Timestamp), "6AMAAAAAAAA=");
});

Deno.test("decodeWireTimestamp refuses what is not eight bytes of base64", () => {
  for (const text of ["", "AAAA", "AAAAAAAAAAA", "AAAAAAAAAAAA", "!AAAAAAAAAA="]) {
    assert.equal(decodeWireTimestamp(text), undefined, text);
  }
});
