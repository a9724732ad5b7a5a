import assert from "node:assert/strict";
import fc from "fast-check";
import type { IndexKey } from "../values/index_key.ts";
import type { IndexId } from "./catalog.ts";
import { IntervalSet } from "./interval_set.ts";
import { type KeyInterval, ReadRecorder, readSetContains } from "./read_set.ts";

/** Keys of one letter, so that every key there is can be tried. */
const letters = [..."abcdefghijklmnop"] as IndexKey[];
const interval: fc.Arbitrary<KeyInterval> = fc.record({
  lower: fc.constantFrom(...letters),
  upper: fc.option(fc.constantFrom(...letters), { freq: 10 }),
});

function contains({ lower, upper }: KeyInterval, key: IndexKey): boolean {
  return lower <= key && (upper === null || key < upper);
}

Deno.test("IntervalSet agrees with a naive set of keys and keeps its intervals apart", () => {
  fc.assert(fc.property(fc.array(interval), (added) => {
    const set = new IntervalSet();
    for (const one of added) set.add(one);
    for (const key of letters) {
      assert.equal(set.has(key), added.some((one) => contains(one, key)), key);
    }
    const intervals = set.toIntervals();
    assert.equal(intervals.length, set.size);
    intervals.forEach(({ lower, upper }, i) => {
      assert.ok(upper === null ? i === intervals.length - 1 : lower < upper);
      if (i > 0) assert.ok(intervals[i - 1]!.upper! < lower);
    });
  }));
});

Deno.test("readSetContains() agrees with the recorder that made the read set", () => {
  const reads = fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), interval));
  fc.assert(fc.property(reads, (added) => {
    const recorder = new ReadRecorder();
    for (const [index, one] of added) recorder.add(index as IndexId, one);
    const readSet = recorder.toReadSet();
    for (const index of [1, 2, 3, 4] as IndexId[]) {
      for (const key of letters) {
        assert.equal(readSetContains(readSet, index, key), recorder.has(index, key));
      }
    }
    assert.equal(recorder.intervals, readSet.reduce((sum, [, all]) => sum + all.length, 0));
  }));
});

Deno.test("semantics 9.1: reading a range twice or adjoining ranges counts one interval", () => {
  const recorder = new ReadRecorder();
  const add = (lower: string, upper: string) =>
    recorder.add(1 as IndexId, { lower: lower as IndexKey, upper: upper as IndexKey });
  add("a", "c");
  add("a", "c");
  add("c", "e");
  assert.equal(recorder.intervals, 1);
  add("f", "g");
  assert.equal(recorder.intervals, 2);
  add("b", "z");
  assert.equal(recorder.intervals, 1);
});
