import assert from "node:assert/strict";
import { FakeBackend, mutation } from "../../tests/support/fake_backend.ts";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { Lanes } from "./lanes.ts";
import { Modules } from "./modules.ts";

function start() {
  const modules = new Modules();
  const nothing = mutation(() => "null");
  modules.setDeployment(...new FakeBackend().deployment({ "m:a": nothing, "m:b": nothing }));
  const environment = new FakeEnvironment();
  const [a, b] = [modules.find("m:a")!, modules.find("m:b")!];
  return { environment, lanes: new Lanes(environment), a, b };
}

const often = 16;

Deno.test("lanes: functions that often conflict in one table share its lane", () => {
  const { lanes, a, b } = start();
  for (let i = 0; i < often; i++) {
    assert.equal(lanes.laneOf(a), undefined);
    lanes.conflicted(a, "counters");
    lanes.conflicted(b, "counters");
  }
  assert.equal(lanes.laneOf(a), "table counters");
  assert.equal(lanes.laneOf(b), "table counters");
});

Deno.test("lanes: without a table a function has its own lane", () => {
  const { lanes, a, b } = start();
  for (let i = 0; i < often; i++) lanes.conflicted(a, undefined);
  assert.equal(lanes.laneOf(a), "function m:a");
  assert.equal(lanes.laneOf(b), undefined);
});

Deno.test("lanes: a conflict without a table does not move a function to another lane", () => {
  const { lanes, a } = start();
  lanes.conflicted(a, "counters");
  for (let i = 1; i < often; i++) lanes.conflicted(a, undefined);
  assert.equal(lanes.laneOf(a), "table counters");
});

Deno.test("lanes: rare conflicts are not worth a lane", async () => {
  const { lanes, a, environment } = start();
  for (let i = 0; i < 100; i++) {
    lanes.conflicted(a, "counters");
    assert.equal(lanes.laneOf(a), undefined);
    await environment.advance(1_000 / (often - 2));
  }
});

Deno.test("lanes: a function stays while the lane avoids conflicts, and then leaves", async () => {
  const { lanes, a, environment } = start();
  for (let i = 0; i < often; i++) lanes.conflicted(a, "counters");
  for (let i = 0; i < 100; i++) {
    await environment.advance(1_000 / (often + 1));
    lanes.builtOnUndecided(a);
    assert.equal(lanes.laneOf(a), "table counters");
  }
  await environment.advance(1_000);
  assert.equal(lanes.laneOf(a), undefined);
});
