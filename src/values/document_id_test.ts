import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeId, encodeId, generateId, idTableNumber } from "./document_id.ts";

const internalId = Uint8Array.from({ length: 16 }, (_, i) => i);

const vectors: [number, string][] = [
  [1, "040020g30g2gc1r81450p30d1r7qke8"],
  [127, "fw0020g30g2gc1r81450p30d1r7ze5r"],
  [128, "g00g00820c20a1g7104gm2rc1m70zyds"],
  [10001, "j57000820c20a1g7104gm2rc1m70ynr8"],
  [4294967295, "zzzzzzrf000g40r40m30e209185gr38e1y1nj"],
];

Deno.test("http-api 103, rule 103: document id vectors in both directions", () => {
  for (const [tableNumber, text] of vectors) {
    assert.equal(encodeId(tableNumber, internalId), text);
    assert.deepEqual(decodeId(text), { tableNumber, internalId });
  }
  assert.equal(decodeId("kg2dsa1sfhkmydncfvvtd2jgbx85rw9z").tableNumber, 540);
});

Deno.test("semantics 30: ids round trip, and no altered text decodes to the same id", () => {
  const ids = fc.tuple(
    fc.integer({ min: 1, max: 2 ** 32 - 1 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  fc.assert(fc.property(ids, fc.nat(), fc.nat(31), ([tableNumber, bytes], position, digit) => {
    const text = encodeId(tableNumber, bytes);
    assert.match(text, /^[0-9a-z]{31,37}$/);
    assert.deepEqual(decodeId(text), { tableNumber, internalId: bytes });
    const at = position % text.length;
    const altered = text.slice(0, at) + "0123456789abcdefghjkmnpqrstvwxyz"[digit] +
      text.slice(at + 1);
    if (altered === text || idTableNumber(altered) === undefined) return;
    assert.notDeepEqual(decodeId(altered), decodeId(text));
  }));
});

Deno.test("generateId() ends the internal id with the day of creation", () => {
  const day = 20_000;
  const id = generateId(10_001, new Uint8Array(14).fill(7), day * 24 * 60 * 60 * 1000 + 5);
  const bytes = decodeId(id).internalId;
  assert.deepEqual([...bytes.subarray(0, 14)], Array(14).fill(7));
  assert.equal(bytes[14]! * 256 + bytes[15]!, day);
});

Deno.test("http-api rule 101: what is no id is refused with its reason", () => {
  const valid = vectors[3]![1];
  const cases: [string, RegExp][] = [
    ["abc", /^Unable to decode ID: Invalid ID length 3$/],
    [valid.toUpperCase(), /ID wasn't valid base32/],
    [valid.replace("j", "l"), /ID wasn't valid base32/],
    ["é".repeat(32), /ID wasn't valid base32/],
    [valid + "0", /ID wasn't valid base32/],
    ["0".repeat(31), /Invalid table number/],
    ["z".repeat(32), /Invalid table number/],
    [valid.slice(0, -1) + "9", /Invalid ID version \d+ \(expected 0\)/],
    [valid + "00", /Invalid ID (length|version)|base32/],
  ];
  for (const [text, message] of cases) {
    assert.throws(() => decodeId(text), { name: "DeveloperError", message }, text);
    assert.equal(idTableNumber(text), undefined);
  }
});
