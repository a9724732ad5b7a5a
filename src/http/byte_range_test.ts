import assert from "node:assert/strict";
import { parseByteRange } from "./byte_range.ts";

const whole = { kind: "whole" };
const unsatisfiable = { kind: "unsatisfiable" };
const part = (start: number, end: number) => ({ kind: "part", start, end });

Deno.test("http-api rule 53: parseByteRange follows RFC 9110", () => {
  const cases: [header: string | null, expected: unknown][] = [
    [null, whole],
    ["bytes=0-3", part(0, 4)],
    ["bytes=0-0", part(0, 1)],
    ["bytes=4-", part(4, 10)],
    ["bytes=-3", part(7, 10)],
    ["bytes=-99", part(0, 10)],
    ["bytes=8-99", part(8, 10)],
    ["Bytes = 1 - 2", part(1, 3)],
    ["bytes=10-", unsatisfiable],
    ["bytes=-0", unsatisfiable],
    ["bytes=0-1,4-5", unsatisfiable],
    ["bytes=5-4", whole],
    ["bytes=-", whole],
    ["bytes=a-b", whole],
    ["items=0-3", whole],
    ["", whole],
  ];
  for (const [header, expected] of cases) {
    assert.deepEqual(parseByteRange(header, 10), expected, String(header));
  }
});

Deno.test("http-api rule 53: an empty file is always sent whole", () => {
  assert.deepEqual(parseByteRange("bytes=0-3", 0), whole);
});
