import assert from "node:assert/strict";
import fc from "fast-check";
import type { IndexId } from "../database/catalog.ts";
import { type KeyInterval, type ReadSet, readSetContains } from "../database/read_set.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { IndexKey } from "../values/index_key.ts";
import { type Run, type Subscription, Subscriptions } from "./subscriptions.ts";

const indexes = fc.constantFrom(1, 2).map((id) => id as IndexId);
const keys = fc.constantFrom(..."abcdefgh").map((text) => text as IndexKey);
const points = fc.tuple(indexes, keys);

/** Disjoint intervals between ascending bounds. */
const readSets: fc.Arbitrary<ReadSet> = fc
  .uniqueArray(indexes, { maxLength: 2 })
  .chain((ids) =>
    fc.tuple(
      ...ids.map((id) =>
        fc.uniqueArray(keys, { minLength: 2, maxLength: 6 }).map((bounds) => {
          const sorted = bounds.sort();
          const intervals: KeyInterval[] = [];
          for (let i = 0; i + 1 < sorted.length; i += 2) {
            intervals.push({ lower: sorted[i]!, upper: sorted[i + 1]! });
          }
          return [id, intervals] as const;
        })
      ),
    )
  );

type Command =
  | { kind: "begin" }
  /** Ends a run with a result that was computed some way between its beginning and now. */
  | { kind: "finish"; reads: ReadSet; age: number }
  | { kind: "commit"; groups: readonly (readonly [IndexId, IndexKey])[][] }
  | { kind: "remove"; which: number };
const commands: fc.Arbitrary<Command> = fc.oneof(
  fc.constant({ kind: "begin" as const }),
  fc.record({ kind: fc.constant("finish" as const), reads: readSets, age: fc.nat(3) }),
  fc.record({
    kind: fc.constant("commit" as const),
    groups: fc.array(fc.array(points, { maxLength: 3 }), { minLength: 1, maxLength: 3 }),
  }),
  fc.record({ kind: fc.constant("remove" as const), which: fc.nat(5) }),
);

Deno.test("subscriptions end exactly when a naive list of all commits says so", () => {
  fc.assert(
    fc.property(fc.array(commands, { maxLength: 60 }), (script) => {
      const subscriptions = new Subscriptions<Subscription>({ appliedTimestamp: 0 as Timestamp });
      const commits: { timestamp: Timestamp; keys: (readonly [IndexId, IndexKey])[] }[] = [];
      const running: Run[] = [];
      const live: Subscription[] = [];
      let now = 0;

      for (const command of script) {
        switch (command.kind) {
          case "begin":
            running.push(subscriptions.begin());
            break;
          case "finish": {
            const run = running.shift();
            if (run === undefined) break;
            const timestamp = Math.max(run.from, now - command.age) as Timestamp;
            const added = { reads: command.reads, timestamp, invalidatedAt: null };
            subscriptions.add(added);
            subscriptions.end(run);
            live.push(added);
            break;
          }
          case "commit": {
            const group = command.groups.map((keys) => ({ timestamp: ++now as Timestamp, keys }));
            commits.push(...group);
            const ended = subscriptions.apply(group);
            assert.ok(ended.every(({ invalidatedAt }) => invalidatedAt !== null));
            break;
          }
          case "remove": {
            const [removed] = live.splice(command.which, 1);
            if (removed?.invalidatedAt === null) subscriptions.remove(removed);
            break;
          }
        }
        assert.equal(subscriptions.applied, now);
        for (const { reads, timestamp, invalidatedAt } of live) {
          const first = commits.find((commit) =>
            commit.timestamp > timestamp &&
            commit.keys.some(([index, key]) => readSetContains(reads, index, key))
          );
          assert.equal(invalidatedAt, first?.timestamp ?? null);
        }
      }
    }),
    { numRuns: 500 },
  );
});

Deno.test("subscriptions reached() waits for commits that an isolate saw first", async () => {
  const subscriptions = new Subscriptions<Subscription>({ appliedTimestamp: 5 as Timestamp });
  await subscriptions.reached(5 as Timestamp);
  let isReached = false;
  const reached = subscriptions.reached(7 as Timestamp).then(() => isReached = true);
  subscriptions.apply([{ timestamp: 6 as Timestamp, keys: [] }]);
  await Promise.resolve();
  assert.equal(isReached, false);
  subscriptions.apply([{ timestamp: 8 as Timestamp, keys: [] }]);
  await reached;
});
