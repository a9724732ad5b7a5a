/** The rules of sync-protocol 6 and 7, one by one. */
import assert from "node:assert/strict";
import type { Timestamp } from "../database/timestamp.ts";
import type { FunctionResult } from "../functions/functions.ts";
import { ConnectionState, isSameResult } from "./connection_state.ts";
import type { AddQuery, RemoveQuery } from "./protocol.ts";

const at = (timestamp: number) => timestamp as Timestamp;
const add = (queryId: number): AddQuery => ({
  type: "Add",
  queryId,
  udfPath: "a:b",
  args: "[{}]",
  journal: null,
  componentPath: "",
});
const remove = (queryId: number): RemoveQuery => ({ type: "Remove", queryId });

function modify(
  state: ConnectionState,
  baseVersion: number,
  ...modifications: (AddQuery | RemoveQuery)[]
) {
  state.modify({ type: "ModifyQuerySet", baseVersion, newVersion: baseVersion + 1, modifications });
}

Deno.test("29, 32, 33: versions start at zero and are those captured when a computation begins", () => {
  const state = new ConnectionState();
  assert.deepEqual(state.current, { querySet: 0, identity: 0, ts: 0 });
  assert.equal(state.isBehind, false);
  modify(state, 0);
  state.identityChanged();
  assert.equal(state.isBehind, true);
  const computation = state.begin();
  modify(state, 1);
  assert.deepEqual(state.current, { querySet: 0, identity: 0, ts: 0 });
  state.finish(computation, at(7));
  assert.deepEqual(state.current, { querySet: 1, identity: 1, ts: 7 });
  assert.equal(state.isBehind, true);
  state.finish(state.begin(), at(7));
  assert.deepEqual(state.current, { querySet: 2, identity: 1, ts: 7 });
  assert.equal(state.isBehind, false);
});

Deno.test("34: a transition that goes back is a broken invariant", () => {
  const state = new ConnectionState();
  state.finish(state.begin(), at(7));
  assert.throws(() => state.finish(state.begin(), at(6)), /Invariant broken/);
});

Deno.test("37: a base version that is not the newest is a bad request with its text", () => {
  const state = new ConnectionState();
  modify(state, 0);
  assert.throws(() => modify(state, 0), {
    kind: "badRequest",
    message: "Base version 0 passed up doesn't match the current version 1",
  });
});

Deno.test("38: a new version must be greater", () => {
  const state = new ConnectionState();
  const message = {
    type: "ModifyQuerySet",
    baseVersion: 0,
    newVersion: 0,
    modifications: [],
  } as const;
  assert.throws(() => state.modify(message), { kind: "internal" });
});

Deno.test("39, 35: modifications wait for the next computation, which may take several sets at once", () => {
  const state = new ConnectionState();
  modify(state, 0, add(3));
  modify(state, 1, add(1));
  modify(state, 2, remove(3));
  assert.equal(state.queries.size, 0);
  const { querySet, removed } = state.begin();
  assert.equal(querySet, 3);
  assert.deepEqual([...state.queries.keys()], [1]);
  assert.deepEqual(removed, [3]);
});

Deno.test("40: adding what is there and removing what is not are violations", () => {
  for (const modifications of [[add(1), add(1)], [remove(1)], [add(1), remove(1), remove(1)]]) {
    const state = new ConnectionState();
    modify(state, 0, ...modifications);
    assert.throws(() => state.begin(), { kind: "internal" });
  }
});

Deno.test("a socket has a bounded number of queries, and of modifications that wait", () => {
  const many = Array.from({ length: 10_000 }, (_, i) => add(i));
  const full = new ConnectionState();
  modify(full, 0, ...many);
  full.begin();
  modify(full, 1, add(10_000));
  assert.throws(() => full.begin(), { kind: "rateLimited", code: "TooManyQueries" });
  const waiting = new ConnectionState();
  modify(waiting, 0, ...many);
  modify(waiting, 1, ...many);
  assert.throws(() => modify(waiting, 2, add(1)), { kind: "rateLimited", code: "TooManyQueries" });
});

Deno.test("26, 41: what is removed and added anew is reported once, with its new result", () => {
  const state = new ConnectionState();
  modify(state, 0, add(1));
  state.begin();
  modify(state, 1, remove(1), add(1));
  assert.deepEqual(state.begin().removed, []);
  modify(state, 2, remove(1), add(1), remove(1));
  assert.deepEqual(state.begin().removed, [1]);
});

Deno.test("88: an identity must be based on the newest", () => {
  const state = new ConnectionState();
  state.requireIdentityVersion(0);
  state.identityChanged();
  assert.throws(() => state.requireIdentityVersion(0), { kind: "internal" });
  state.requireIdentityVersion(1);
});

Deno.test("51: results are the same if value and log lines are, failures whatever their request", () => {
  const ok: FunctionResult = { ok: true, value: "1", logLines: ["[LOG] 'a'"] };
  const failure: FunctionResult = {
    ok: false,
    failure: { message: "m", frames: ["    at f"], data: "1" },
    logLines: [],
  };
  assert.equal(isSameResult(undefined, ok), false);
  assert.equal(isSameResult(ok, structuredClone(ok)), true);
  assert.equal(isSameResult(ok, { ...ok, value: "2" }), false);
  assert.equal(isSameResult(ok, { ...ok, logLines: [] }), false);
  assert.equal(isSameResult(ok, failure), false);
  assert.equal(isSameResult(failure, ok), false);
  assert.equal(isSameResult(failure, structuredClone(failure)), true);
  for (const change of [{ message: "n" }, { frames: [] }, { data: "2" }]) {
    const changed: FunctionResult = { ...failure, failure: { ...failure.failure, ...change } };
    assert.equal(isSameResult(failure, changed), false);
  }
});
