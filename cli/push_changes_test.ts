import assert from "node:assert/strict";
import { type FinishedPush, listChanges } from "./push_changes.ts";

const nothing = { added: [], removed: [] };
const app: FinishedPush["componentDiffs"][string] = {
  diffType: { type: "modify" },
  cronDiff: { added: [], updated: [], deleted: [] },
  indexDiff: { added_indexes: [], removed_indexes: [] },
};
const unchanged: FinishedPush = { authDiff: nothing, componentDiffs: { "": app } };
const list = { functionType: "Query", identifier: "tasks.js:list" };
const route = { functionType: "HttpAction", method: "POST", path: "/tasks" };

function texts(...args: Parameters<typeof listChanges>): string[] {
  return listChanges(...args).map(({ sign, text }) => `${sign} ${text}`);
}

Deno.test("listChanges: functions come, go and change", () => {
  const changed = { ...list, args: { type: "object" } };
  const functions = [[list, route], [changed, { ...list, identifier: "a/b.js:new" }]] as const;
  assert.deepEqual(texts({ functions, changedModules: [], finished: unchanged }), [
    "- POST /tasks (HTTP action)",
    "+ a/b:new (query)",
    "~ tasks:list (query) takes or returns something else",
  ]);
});

Deno.test("listChanges: code is told by module, without shared chunks and in one line", () => {
  const functions = [[list], [list]] as const;
  const changedModules = ["_deps/x.js", ..."abcdefgh"].map((name) => `${name}.js`);
  assert.deepEqual(texts({ functions, changedModules, finished: unchanged }), [
    "~ code of a, b, c, d, e, f and 2 more",
  ]);
  assert.deepEqual(texts({ functions, changedModules: ["_deps/x.js"], finished: unchanged }), []);
});

Deno.test("listChanges: indexes, cron jobs, components and identity providers", () => {
  const finished: FinishedPush = {
    authDiff: { added: ["{}"], removed: [] },
    componentDiffs: {
      "": {
        ...app,
        cronDiff: { added: ["a"], updated: ["b"], deleted: ["c"] },
        indexDiff: {
          added_indexes: [{ name: "t.by_a", type: "database" }],
          removed_indexes: [{ name: "t.words", type: "search" }],
        },
      },
      counter: { ...app, diffType: { type: "create" } },
      old: { ...app, diffType: { type: "unmount" } },
    },
  };
  assert.deepEqual(texts({ functions: [[], []], changedModules: [], finished }), [
    "+ component counter",
    "- component old",
    "+ index t.by_a",
    "- search index t.words",
    "+ cron job a",
    "~ cron job b",
    "- cron job c",
    "~ identity providers",
  ]);
});

Deno.test("listChanges: of many functions the first are told", () => {
  const many = Array.from({ length: 15 }, (_, index) => ({
    ...list,
    identifier: `tasks.js:f${String(index).padStart(2, "0")}`,
  }));
  const told = texts({ functions: [[], many], changedModules: [], finished: unchanged });
  assert.deepEqual([told.length, told.at(0), told.at(-1)], [
    13,
    "+ tasks:f00 (query)",
    "… and 3 more functions",
  ]);
});
