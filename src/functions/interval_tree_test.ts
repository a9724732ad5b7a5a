import assert from "node:assert/strict";
import fc from "fast-check";
import type { KeyInterval } from "../database/read_set.ts";
import type { IndexKey } from "../values/index_key.ts";
import { IntervalTree } from "./interval_tree.ts";

const key = (text: string) => text as IndexKey;

const keys = fc.string({ minLength: 0, maxLength: 2, unit: fc.constantFrom("a", "b", "c", "\0") })
  .map(key);
const intervals: fc.Arbitrary<KeyInterval> = fc.oneof(
  fc.record({ lower: keys, upper: fc.oneof(keys, fc.constant(null)) }),
  keys.map((lower) => ({ lower, upper: key(`${lower}\0`) })),
);
const owners = fc.integer({ min: 0, max: 3 });

type Command =
  | { kind: "add" | "remove"; interval: KeyInterval; owner: number }
  | { kind: "find"; key: IndexKey };
const commands: fc.Arbitrary<Command> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("add" as const, "remove" as const),
    interval: intervals,
    owner: owners,
  }),
  fc.record({ kind: fc.constant("find" as const), key: keys }),
);

Deno.test("intervalTree finds what a plain list of intervals finds", () => {
  fc.assert(
    fc.property(fc.array(commands, { maxLength: 80 }), (script) => {
      const tree = new IntervalTree<number>();
      const list = new Map<string, { interval: KeyInterval; owner: number }>();
      for (const command of script) {
        if (command.kind === "find") {
          const expected = [...list.values()]
            .filter(({ interval: { lower, upper } }) =>
              lower <= command.key && (upper === null || command.key < upper)
            )
            .map(({ owner }) => owner);
          const found: number[] = [];
          tree.forEachAt(command.key, (owner) => found.push(owner));
          assert.deepEqual(found.sort(), expected.sort());
          continue;
        }
        const { interval, owner } = command;
        const name = JSON.stringify([interval, owner]);
        if (command.kind === "add") {
          tree.add(interval, owner);
          list.set(name, { interval, owner });
        } else {
          tree.remove(interval, owner);
          list.delete(name);
        }
      }
      assert.equal(tree.isEmpty, list.size === 0);
    }),
    { numRuns: 500 },
  );
});

Deno.test("intervalTree looks at few of many disjoint intervals", () => {
  const tree = new IntervalTree<number>();
  let compared = 0;
  const counted = (text: string) =>
    new Proxy({}, {
      get: (_target, property) => {
        if (property !== Symbol.toPrimitive) return undefined;
        compared++;
        return () => text;
      },
    }) as unknown as IndexKey;
  for (let i = 0; i < 4096; i++) {
    const lower = String(i).padStart(4, "0");
    tree.add({ lower: key(lower), upper: key(`${lower}\0`) }, i);
  }
  const found: number[] = [];
  tree.forEachAt(counted("2000"), (owner) => found.push(owner));
  assert.deepEqual(found, [2000]);
  assert.ok(compared < 200, `${compared} comparisons`);
});
