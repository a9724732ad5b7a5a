import assert from "node:assert/strict";
import fc from "fast-check";
import { type IndexKey, keySuccessor, lowestKey, pointInterval } from "../values/index_key.ts";
import type { IndexId, TableNumber } from "./catalog.ts";
import { type KeyInterval, type ReadSet, readSetContains } from "./read_set.ts";
import type { Timestamp } from "./timestamp.ts";
import { type Commit, WriteLog, type WriteLogLimits, writtenPoints } from "./write_log.ts";
import type { IndexPoint } from "./write_set.ts";

const table = 10_001 as TableNumber;
const index = 4 as IndexId;
const otherIndex = 5 as IndexId;
const unlimited: WriteLogLimits = { keysMax: Infinity, ageMax: Infinity };

function at(timestamp: number): Timestamp {
  return timestamp as Timestamp;
}

function key(text: string): IndexKey {
  return text as IndexKey;
}

/** A commit of one document with these keys; `sequence` is its place in isolate 1. */
function commit(timestamp: number, points: readonly IndexPoint[], sequence?: number): Commit {
  const document = { table, id: `document${timestamp}`, row: null, json: "{}", existed: true };
  return {
    timestamp: at(timestamp),
    writes: {
      documents: [{ ...document, removedKeys: [], addedKeys: points, keptKeys: [] }],
      tables: [],
    },
    ...(sequence !== undefined && { origin: { isolate: 1, sequence } }),
    source: `writer${timestamp}`,
  };
}

function logOf(...commits: Commit[]): WriteLog {
  const log = new WriteLog(at(0), unlimited);
  for (const each of commits) log.append(each);
  return log;
}

function conflicts(
  log: WriteLog,
  snapshot: number,
  reads: ReadSet,
  dependsOn: readonly number[] = [],
): boolean {
  const candidate = { snapshot: at(snapshot), reads, isolate: 1, dependsOn };
  return log.findConflict(candidate) !== undefined;
}

const readA: ReadSet = [[index, [pointInterval(key("a"))]]];
const readRange: ReadSet = [[index, [{ lower: key("a"), upper: key("c") }]]];

Deno.test("writeLog findConflict() names document, table and writer of a write since the snapshot", () => {
  const log = logOf(commit(10, [[index, key("a")]]));
  const candidate = { snapshot: at(9), reads: readA, dependsOn: [] };
  assert.deepEqual(log.findConflict(candidate), { table, id: "document10", source: "writer10" });
  assert.equal(log.findConflict({ ...candidate, snapshot: at(10) }), undefined);
});

Deno.test("writeLog findConflict() looks at removed, added and kept keys and at created tables", () => {
  const none = { removedKeys: [], addedKeys: [], keptKeys: [] };
  for (const keys of ["removedKeys", "addedKeys", "keptKeys"]) {
    const written = commit(1, []);
    const [document] = written.writes.documents;
    const documents = [{ ...document!, ...none, [keys]: [[index, key("a")]] }];
    const log = logOf({ ...written, writes: { documents, tables: [] } });
    assert.ok(conflicts(log, 0, readA), keys);
  }
  const creation = { documents: [], tables: [{ name: "items", number: table }] };
  const [[namesIndex, name]] = writtenPoints(creation) as [IndexPoint];
  const log = logOf({ timestamp: at(1), writes: creation });
  assert.ok(conflicts(log, 0, [[namesIndex, [pointInterval(name)]]]));
  assert.ok(!conflicts(log, 0, [[namesIndex, [pointInterval(keySuccessor(name))]]]));
});

Deno.test("writeLog findConflict() keeps indexes apart, and intervals half open", () => {
  const log = logOf(commit(1, [[otherIndex, key("a")], [index, key("c")]]));
  assert.ok(!conflicts(log, 0, readA));
  assert.ok(!conflicts(log, 0, readRange), "the upper end is not in the interval");
  assert.ok(conflicts(log, 0, [[index, [{ lower: key("c"), upper: null }]]]));
  assert.ok(conflicts(log, 0, [[index, [{ lower: lowestKey, upper: null }]]]));
});

Deno.test("writeLog findConflict() forgives the writes that the transaction has built on, and no others", () => {
  for (const reads of [readA, readRange]) {
    const log = logOf(commit(1, [[index, key("a")]], 7), commit(2, [[index, key("a")]], 8));
    assert.ok(!conflicts(log, 0, reads, [7, 8]));
    assert.ok(conflicts(log, 0, reads, [7]));
    assert.ok(conflicts(log, 0, reads, [8]));
    log.append(commit(3, [[index, key("a")]]));
    assert.ok(conflicts(log, 0, reads, [7, 8]));
  }
});

Deno.test("writeLog findConflict() refuses a transaction whose dependency did not commit", () => {
  const log = logOf(commit(1, [[index, key("x")]], 7));
  assert.ok(!conflicts(log, 0, readA, [7]));
  assert.ok(conflicts(log, 0, readA, [7, 8]));
  const foreign = { snapshot: at(0), reads: readA, isolate: 2, dependsOn: [7] };
  assert.ok(log.findConflict(foreign) !== undefined, "sequence 7 of another isolate is no help");
});

Deno.test("writeLog removeAfter() takes back newer commits and uncovers older ones", () => {
  const log = logOf(commit(1, [[index, key("a")]]), commit(2, [[index, key("a")]]));
  log.removeAfter(at(1));
  assert.ok(conflicts(log, 0, readA));
  assert.ok(!conflicts(log, 1, readA));
  log.removeAfter(at(0));
  assert.ok(!conflicts(log, 0, readA));
  log.append(commit(3, [[index, key("b")]]));
  assert.ok(conflicts(log, 0, readRange));
});

Deno.test("writeLog prune() forgets by number of keys and by age, and then refuses old snapshots", () => {
  const limited = (limits: Partial<WriteLogLimits>) => {
    const log = new WriteLog(at(0), { ...unlimited, ...limits });
    for (let timestamp = 1; timestamp <= 20; timestamp++) {
      log.append(commit(timestamp, [[index, key("x")], [otherIndex, key("x")]]));
      log.prune();
    }
    return log;
  };
  for (const log of [limited({ keysMax: 10 }), limited({ ageMax: 4 })]) {
    assert.ok(conflicts(log, 14, readA), "commit 15 is known, and so is all after snapshot 15");
    assert.ok(!conflicts(log, 15, readA));
  }
});

Deno.test("writeLog: a snapshot from before the log began conflicts", () => {
  const log = new WriteLog(at(100), unlimited);
  assert.ok(conflicts(log, 99, readA));
  assert.ok(!conflicts(log, 100, readA));
});

Deno.test("writeLog agrees with a plain list of commits", () => {
  const keys = fc.constantFrom(..."abcdefgh").map(key);
  const indexes = fc.constantFrom(index, otherIndex);
  const interval = fc.oneof(
    keys.map(pointInterval),
    fc.tuple(keys, fc.option(keys)).map(([lower, upper]): KeyInterval => ({ lower, upper }))
      .filter(({ lower, upper }) => upper === null || lower < upper),
  );
  const reads = fc.dictionary(fc.constantFrom("4", "5"), interval)
    .map((sets) =>
      Object.entries(sets).map(([id, set]) => [Number(id) as IndexId, [set]] as const)
    );
  const writes = fc.array(fc.array(fc.tuple(indexes, keys), { minLength: 1, maxLength: 3 }));
  const scenario = fc.record({
    writes,
    reads,
    snapshot: fc.nat(20),
    dependsOn: fc.uniqueArray(fc.integer({ min: 1, max: 20 }), { maxLength: 3 }),
    pruneTo: fc.nat(40),
    failed: fc.nat(3),
  });
  fc.assert(
    fc.property(scenario, ({ writes, reads, snapshot, dependsOn, pruneTo, failed }) => {
      const commits = writes.map((points, i) => commit(i + 1, points, i + 1));
      const kept = commits.slice(0, Math.max(0, commits.length - failed));
      const log = new WriteLog(at(0), { keysMax: pruneTo, ageMax: Infinity });
      for (const each of kept) {
        log.append(each);
        log.prune();
      }
      for (const each of commits.slice(kept.length)) log.append(each);
      log.removeAfter(at(kept.length));

      const newestFirst = kept.map(({ writes }) => writtenPoints(writes).length).reverse();
      let known = kept.length;
      for (let sum = 0; known > 0; known--) {
        sum += newestFirst[kept.length - known]!;
        if (sum > pruneTo) break;
      }
      const expected = snapshot < known ||
        dependsOn.some((sequence) => sequence <= snapshot || sequence > kept.length) ||
        kept.some(({ timestamp, writes }) =>
          timestamp > snapshot && !dependsOn.includes(timestamp) &&
          writtenPoints(writes).some(([id, point]) => readSetContains(reads, id, point))
        );
      assert.equal(conflicts(log, snapshot, reads, dependsOn), expected);
    }),
    { numRuns: 2000 },
  );
});
