import assert from "node:assert/strict";
import { Heartbeat } from "./heartbeat.ts";

const second = 1000;

Deno.test("heartbeat expired() names the call once its user time is over", () => {
  const heartbeat = new Heartbeat(Heartbeat.allocate());
  assert.equal(heartbeat.expired(Date.now() + 3600 * second), null);
  heartbeat.begin(5, second, 15 * second);
  assert.equal(heartbeat.running, 5);
  assert.equal(heartbeat.expired(Date.now()), null);
  assert.deepEqual(heartbeat.expired(Date.now() + 2 * second), { callId: 5, reason: "timeout" });
  heartbeat.end();
  assert.equal(heartbeat.running, null);
  assert.equal(heartbeat.expired(Date.now() + 3600 * second), null);
});

Deno.test("heartbeat expired() counts database time on its own clock", () => {
  const memory = Heartbeat.allocate();
  const heartbeat = new Heartbeat(memory);
  const watcher = new Heartbeat(memory);
  heartbeat.begin(6, second, 15 * second);
  heartbeat.pauseUser();
  assert.equal(watcher.expired(Date.now() + 10 * second), null);
  assert.deepEqual(watcher.expired(Date.now() + 16 * second), {
    callId: 6,
    reason: "databaseTimeout",
  });
  heartbeat.resumeUser();
  assert.deepEqual(watcher.expired(Date.now() + 2 * second), { callId: 6, reason: "timeout" });
});

Deno.test("heartbeat pauseUser() and resumeUser() may be repeated without giving time away", () => {
  const heartbeat = new Heartbeat(Heartbeat.allocate());
  heartbeat.begin(7, second, 15 * second);
  for (let round = 0; round < 3; round++) {
    heartbeat.pauseUser();
    heartbeat.pauseUser();
    heartbeat.resumeUser();
    heartbeat.resumeUser();
  }
  assert.deepEqual(heartbeat.expired(Date.now() + 2 * second), { callId: 7, reason: "timeout" });
});
