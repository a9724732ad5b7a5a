import assert from "node:assert/strict";
import fc from "fast-check";
import { MessageError, parseFromExecutor, parseFromIsolate } from "./parse_message.ts";
import type { FromIsolate } from "./protocol.ts";

const usage = {
  documentsRead: 1,
  bytesRead: 2,
  documentsWritten: 3,
  bytesWritten: 4,
  durationMs: 0.5,
};
const messages = [
  { type: "ready" },
  {
    type: "result",
    callId: 1,
    outcome: {
      kind: "success",
      snapshot: 17,
      reads: [[1, [{ lower: "a", upper: null }]]],
      journal: null,
      observed: { time: true, identity: false, variables: ["A"] },
      commit: {
        snapshot: 17,
        structureVersion: 2,
        reads: [[0, []]],
        writes: {
          documents: [{
            table: 10_001,
            id: "x",
            row: null,
            json: "{}",
            existed: false,
            removedKeys: [],
            addedKeys: [[1, "k"]],
            keptKeys: [],
          }],
          tables: [{ name: "t", number: 10_001 }],
        },
        origin: { isolate: 5, sequence: 1 },
        dependsOn: [1],
      },
    },
    logLines: [{ level: "LOG", messages: ["a"], isTruncated: false, timestamp: 1.5 }],
    usage,
  },
  {
    type: "result",
    callId: 1,
    outcome: { kind: "failure", failure: { message: "m", frames: ["f"], data: "{}" } },
    logLines: [],
    usage,
  },
  {
    type: "result",
    callId: 1,
    outcome: { kind: "success", response: { status: 200, headers: [["a", "b"]] } },
    logLines: [],
    usage,
  },
  { type: "operation", callId: 1, operationId: 2, operation: "runQuery", fields: { name: "a:b" } },
  { type: "log", callId: 1, logLines: [] },
  { type: "analyzed", callId: 1, result: { kind: "failure", module: "a.js", message: "m" } },
  {
    type: "analyzed",
    callId: 1,
    result: {
      kind: "success",
      modules: {
        "a.js": {
          functions: [{
            name: "f",
            udfType: "Query",
            visibility: "public",
            args: null,
            returns: null,
            position: { path: "a.ts", line: 1, column: 1 },
          }],
          httpRoutes: [{ path: "/x", method: "GET" }],
          crons: null,
          exported: null,
        },
      },
    },
  },
] as unknown as FromIsolate[];

Deno.test("parseFromIsolate accepts every kind of message", () => {
  for (const message of messages) assert.equal(parseFromIsolate(message), message);
});

Deno.test("parseFromIsolate takes or refuses a message in which one value is another, and throws nothing else", () => {
  const strange = fc.constantFrom(undefined, -1, 0.5, "?", {}, [], [0], Infinity, () => 0);
  const path = fc.array(fc.nat(), { minLength: 1, maxLength: 8 });
  fc.assert(fc.property(fc.constantFrom(...messages), path, strange, (message, path, value) => {
    const copy = structuredClone(message) as unknown as Record<string, unknown>;
    if (!replaceAt(copy, path, value)) return;
    try {
      parseFromIsolate(copy);
    } catch (error) {
      assert.ok(error instanceof MessageError);
    }
  }));
});

/** Replaces the value that a random walk of `path` ends at; false if it ended in a dead end. */
function replaceAt(
  root: Record<string, unknown>,
  path: readonly number[],
  value: unknown,
): boolean {
  let object = root;
  for (const [depth, step] of path.entries()) {
    const keys = Object.keys(object);
    if (keys.length === 0) return false;
    const key = keys[step % keys.length]!;
    const next = object[key];
    if (depth === path.length - 1 || typeof next !== "object" || next === null) {
      object[key] = value;
      return true;
    }
    object = next as Record<string, unknown>;
  }
  return false;
}

Deno.test("parseFromIsolate and parseFromExecutor throw only MessageError, whatever arrives", () => {
  const anything = fc.oneof(
    fc.anything(),
    fc.record({ type: fc.constantFrom(...messages.map(({ type }) => type), "died", "__proto__") }),
  );
  fc.assert(fc.property(anything, (value) => {
    for (const parse of [parseFromIsolate, parseFromExecutor]) {
      try {
        parse(value);
      } catch (error) {
        assert.ok(error instanceof MessageError);
      }
    }
  }));
});

Deno.test("parseFromIsolate refuses what would break its readers", () => {
  const result = messages[1] as FromIsolate & { type: "result" };
  const commit = (result.outcome as { commit: Record<string, unknown> }).commit;
  const wrong: unknown[] = [
    null,
    "result",
    { ...result, callId: "1" },
    { ...result, callId: 2 ** 60 },
    { ...result, outcome: { kind: "success", reads: 5 } },
    { ...result, outcome: { kind: "failure" } },
    { ...result, outcome: { kind: "success", commit: { ...commit, dependsOn: [null] } } },
    { ...result, outcome: { kind: "success", commit: { ...commit, writes: { documents: [{}] } } } },
    { ...result, usage: { ...usage, bytesRead: NaN } },
    { ...result, logLines: [{ level: "SHOUT" }] },
  ];
  for (const message of wrong) assert.throws(() => parseFromIsolate(message), MessageError);
});
