/** Random values for property tests. */
import fc from "fast-check";
import type { Value } from "./value.ts";

const fieldName = fc.string({ unit: "grapheme-ascii", maxLength: 4 })
  .filter((name) => !name.startsWith("$"));

const text = fc.oneof(
  fc.string({ maxLength: 5 }),
  fc.string({ unit: "binary", maxLength: 4 }),
  fc.constantFrom("", "\0", "a\0", "a\0b", "\uffff", "😀", "a"),
);

/** Any value that nests at most a few levels deep. */
export const anyValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constant(null),
    fc.boolean(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.bigInt({ min: -300n, max: 300n }),
    fc.double(),
    fc.integer({ min: -3, max: 3 }),
    fc.constantFrom(NaN, Infinity, -Infinity, -0, 0),
    text,
    fc.uint8Array({ maxLength: 4 }).map((bytes) => bytes.slice().buffer),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fieldName, tie("value"), { maxKeys: 3, noNullPrototype: true }),
  ),
})).value;
