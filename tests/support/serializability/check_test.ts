/** Histories that are known to be bad, one for each anomaly, and good ones that look like them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { findAnomalies } from "./check.ts";
import type { AnomalyKind, Read, RecordedTransaction, Version, Write } from "./history.ts";

interface Options {
  readonly reads?: Readonly<Record<string, Version>>;
  readonly absent?: Readonly<Record<string, readonly Version[]>>;
  /** By key: replaced and new version. */
  readonly writes?: readonly (readonly [key: string, replaces: Version, version: string])[];
  readonly time?: readonly [start: number, end: number];
  readonly follows?: readonly string[];
}

function transaction(id: string, options: Options): RecordedTransaction {
  const { reads = {}, absent = {}, writes = [], time, follows = [] } = options;
  const certain = Object.entries(reads).map(([key, version]): Read => ({
    key,
    versions: [version],
  }));
  const uncertain = Object.entries(absent).map(([key, versions]): Read => ({ key, versions }));
  return {
    id,
    reads: [...certain, ...uncertain],
    writes: writes.map(([key, replaces, version]): Write => ({ key, replaces, version })),
    ...(time !== undefined && { startedAt: time[0], endedAt: time[1] }),
    follows,
  };
}

function kinds(
  committed: readonly RecordedTransaction[],
  aborted: readonly string[] = [],
): AnomalyKind[] {
  return findAnomalies({ committed, aborted: new Set(aborted) }).map(({ kind }) => kind);
}

const start = transaction("start", { writes: [["x", null, "x0"], ["y", null, "y0"]] });

Deno.test("findAnomalies() G0: two transactions overwrite each other in different orders", () => {
  const a = transaction("a", { writes: [["x", "x0", "xa"], ["y", "yb", "ya"]] });
  const b = transaction("b", { writes: [["x", "xa", "xb"], ["y", "y0", "yb"]] });
  assert.deepEqual(kinds([start, a, b]), ["G0"]);
});

Deno.test("findAnomalies() G1a: a version that was rolled back is seen", () => {
  assert.deepEqual(kinds([start, transaction("a", { reads: { x: "gone" } })], ["gone"]), ["G1a"]);
  const writes = [["x", "gone", "xa"]] as const;
  assert.deepEqual(kinds([start, transaction("a", { writes })], ["gone"]), ["G1a"]);
});

Deno.test("findAnomalies() G1b: a version that its writer replaced itself is seen", () => {
  const a = transaction("a", { writes: [["x", "x0", "xa1"], ["x", "xa1", "xa2"]] });
  assert.deepEqual(kinds([start, a, transaction("b", { reads: { x: "xa1" } })]), ["G1b"]);
  assert.deepEqual(kinds([start, a, transaction("b", { reads: { x: "xa2" } })]), []);
});

Deno.test("findAnomalies() G1c: two transactions see each other's writes", () => {
  const a = transaction("a", { reads: { y: "yb" }, writes: [["x", "x0", "xa"]] });
  const b = transaction("b", { reads: { x: "xa" }, writes: [["y", "y0", "yb"]] });
  assert.deepEqual(kinds([start, a, b]), ["G1c"]);
});

Deno.test("findAnomalies() G-single: read skew, half of a transaction is seen", () => {
  const a = transaction("a", { writes: [["x", "x0", "xa"], ["y", "y0", "ya"]] });
  const b = transaction("b", { reads: { x: "xa", y: "y0" } });
  assert.deepEqual(kinds([start, a, b]), ["G-single"]);
  assert.deepEqual(kinds([start, a, transaction("b", { reads: { x: "x0", y: "y0" } })]), []);
});

Deno.test("findAnomalies() G2: write skew, each reads what the other writes", () => {
  const reads = { x: "x0", y: "y0" };
  const a = transaction("a", { reads, writes: [["x", "x0", "xa"]] });
  const b = transaction("b", { reads, writes: [["y", "y0", "yb"]] });
  assert.deepEqual(kinds([start, a, b]), ["G2"]);
  const after = transaction("b", { reads: { x: "xa", y: "y0" }, writes: [["y", "y0", "yb"]] });
  assert.deepEqual(kinds([start, a, after]), []);
});

Deno.test("findAnomalies() G2: phantoms, each inserts into the range that the other found empty", () => {
  const a = transaction("a", { absent: { y: [null, "dead"] }, writes: [["x", null, "xa"]] });
  const b = transaction("b", { reads: { x: null }, writes: [["y", null, "yb"]] });
  const c = transaction("c", { writes: [["y", "yb", "dead"]] });
  // In the order b, c, a nobody is surprised; when a promise puts a before c, one of the two is.
  const follows = transaction("c", { writes: [["y", "yb", "dead"]], follows: ["a"] });
  assert.deepEqual(kinds([a, b, follows]), ["G2"]);
  assert.deepEqual(kinds([a, b, c]), []);
});

Deno.test("findAnomalies() leaves reads alone that may have met one of several versions", () => {
  const a = transaction("a", { writes: [["z", null, "z1"]] });
  const b = transaction("b", { writes: [["z", "z1", "dead"]] });
  const c = transaction("c", { absent: { z: [null, "dead"] } });
  assert.deepEqual(kinds([a, b, c]), []);
  const between = transaction("c", { absent: { z: [null, "dead"] }, time: [3, 4] });
  const timed = [{ ...a, endedAt: 1 }, { ...b, startedAt: 5, endedAt: 6 }, between];
  assert.deepEqual(kinds(timed), ["G-single realtime"]);
});

Deno.test("findAnomalies() lost update: two transactions replace the same version", () => {
  const a = transaction("a", { reads: { x: "x0" }, writes: [["x", "x0", "xa"]] });
  const b = transaction("b", { reads: { x: "x0" }, writes: [["x", "x0", "xb"]] });
  assert.ok(kinds([start, a, b]).includes("lost update"));
});

Deno.test("findAnomalies() realtime: an acknowledged write is not seen by who asks later", () => {
  const a = transaction("a", { writes: [["x", "x0", "xa"]], time: [1, 2] });
  const stale = (time: readonly [number, number]) => transaction("b", { reads: { x: "x0" }, time });
  assert.deepEqual(kinds([start, a, stale([3, 4])]), ["G-single realtime"]);
  assert.deepEqual(kinds([start, a, stale([1.5, 4])]), []);
});

Deno.test("findAnomalies() realtime: a client sees less than it did before", () => {
  const a = transaction("a", { writes: [["x", "x0", "xa"]] });
  const first = transaction("first", { reads: { x: "xa" } });
  const second = transaction("second", { reads: { x: "x0" }, follows: ["first"] });
  assert.deepEqual(kinds([start, a, first, second]), ["G-single realtime"]);
});

Deno.test("findAnomalies() a version out of nowhere", () => {
  assert.deepEqual(kinds([transaction("a", { reads: { x: "?" } })]), ["unknown version"]);
});

Deno.test("findAnomalies() finds no fault with transactions that ran one after the other", () => {
  const steps = fc.array(
    fc.array(fc.record({ key: fc.constantFrom("x", "y", "z"), write: fc.boolean() }), {
      maxLength: 6,
    }),
    { maxLength: 30 },
  );
  fc.assert(fc.property(steps, (plans) => {
    const newest = new Map<string, string>();
    const committed = plans.map((plan, n): RecordedTransaction => {
      const reads: Read[] = [];
      const writes: Write[] = [];
      for (const [i, { key, write }] of plan.entries()) {
        const seen = newest.get(key) ?? null;
        if (!writes.some((own) => own.key === key)) reads.push({ key, versions: [seen] });
        if (!write) continue;
        const version = `${n}.${i}`;
        writes.push({ key, version, replaces: seen });
        newest.set(key, version);
      }
      return { id: `${n}`, reads, writes, startedAt: 2 * n, endedAt: 2 * n + 1, follows: [] };
    });
    assert.deepEqual(findAnomalies({ committed, aborted: new Set() }), []);
  }));
});
