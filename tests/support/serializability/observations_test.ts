import assert from "node:assert/strict";
import type { Cell, Filter, Observation } from "../../fixtures/transactions/convex/steps.ts";
import { historyOf, type Reported } from "./observations.ts";

function cell(key: string, group: string, version: string): Cell {
  return { key, group, version, document: `document of ${key}`, balance: 0 };
}

function wrote(replaces: string | null, cell: Cell): Observation {
  return { saw: "write", key: cell.key, version: cell.version, replaces, cell };
}

function deleted(replaces: string, key: string, version: string): Observation {
  return { saw: "write", key, version, replaces, cell: null };
}

function saw(filter: Filter, ...cells: Cell[]): Observation {
  return { saw: "cells", filter, cells };
}

function report(id: string, ...observations: Observation[]): Reported {
  return { id, observations, follows: [], committed: true };
}

const group = (first: number | null, order: "asc" | "desc" = "asc"): Filter => ({
  by: "group",
  group: "g",
  order,
  first,
});
const a = cell("a", "g", "a1");
const b = cell("b", "g", "b1");
const writer = report("writer", wrote(null, a), wrote(null, b));

Deno.test("historyOf() a range tells of what is in it, and of what is not", () => {
  const remover = report("remover", deleted("b1", "b", "b2"));
  const { committed } = historyOf([writer, remover, report("reader", saw(group(null), a))]);
  assert.deepEqual(committed.at(-1)!.reads, [
    { key: "a", versions: ["a1"] },
    { key: "b", versions: [null, "b2"] },
  ]);
});

Deno.test("historyOf() a limited range tells nothing of what lies behind", () => {
  const reads = (filter: Filter, ...cells: Cell[]) =>
    historyOf([writer, report("reader", saw(filter, ...cells))]).committed.at(-1)!.reads;
  assert.deepEqual(reads(group(1), a), [{ key: "a", versions: ["a1"] }]);
  assert.deepEqual(reads(group(1, "desc"), b), [{ key: "b", versions: ["b1"] }]);
  assert.deepEqual(reads(group(2), a), [
    { key: "a", versions: ["a1"] },
    { key: "b", versions: [null] },
  ]);
});

Deno.test("historyOf() own writes must be seen and are no reads", () => {
  const own = cell("a", "g", "a2");
  const seesOwn = report("own", wrote("a1", own), saw({ by: "key", key: "a" }, own));
  assert.deepEqual(historyOf([writer, seesOwn]).committed.at(-1)!.reads, []);
  const misses = report("own", wrote("a1", own), saw({ by: "key", key: "a" }, a));
  assert.throws(() => historyOf([writer, misses]), /did not see its own write/);
});

Deno.test("historyOf() what was rolled back is gone again, and nobody else's to see", () => {
  const undone = cell("a", "g", "undone");
  const observations = [wrote("a1", undone), saw({ by: "key", key: "a" }, undone)];
  const history = historyOf([
    writer,
    report("caller", { saw: "rollback", observations }, saw({ by: "key", key: "a" }, a)),
  ]);
  assert.deepEqual([...history.aborted], ["undone"]);
  const { reads, writes } = history.committed.at(-1)!;
  assert.deepEqual(reads, [{ key: "a", versions: ["a1"] }]);
  assert.deepEqual(writes, []);
});

Deno.test("historyOf() money that vanishes, cells out of order, and cells seen twice are faults", () => {
  const poor = { ...a, balance: -1 };
  const faults: [Observation, RegExp][] = [
    [saw({ by: "scan" }, poor, b), /money/],
    [saw(group(null), b, a), /out of order/],
    [saw(group(null), a, a), /twice/],
    [saw(group(null), { ...a, group: "g", balance: 1 }, b), /another cell/],
  ];
  for (const [observation, message] of faults) {
    assert.throws(() => historyOf([writer, report("reader", observation)]), message);
  }
});
