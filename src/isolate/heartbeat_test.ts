import assert from "node:assert/strict";
import { Heartbeat } from "./heartbeat.ts";

const second = 1000;

Deno.test("heartbeat expired() says so once the user time is over", () => {
  const heartbeat = new Heartbeat(Heartbeat.allocate());
  assert.equal(heartbeat.expired(Date.now() + 3600 * second), null);
  const callId = 2 ** 40;
  heartbeat.begin(callId, second, 15 * second);
  assert.equal(heartbeat.running, callId);
  assert.equal(heartbeat.expired(Date.now()), null);
  assert.equal(heartbeat.expired(Date.now() + 2 * second), "timeout");
  heartbeat.end();
  assert.equal(heartbeat.running, null);
  assert.equal(heartbeat.expired(Date.now() + 3600 * second), null);
});

Deno.test("semantics 64: heartbeat expired() counts database time on its own clock", () => {
  const memory = Heartbeat.allocate();
  const heartbeat = new Heartbeat(memory);
  const watcher = new Heartbeat(memory);
  heartbeat.begin(6, second, 15 * second);
  heartbeat.pauseUser();
  assert.equal(watcher.expired(Date.now() + 10 * second), null);
  assert.equal(watcher.expired(Date.now() + 16 * second), "databaseTimeout");
  heartbeat.resumeUser();
  assert.equal(watcher.expired(Date.now() + 2 * second), "timeout");
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
  assert.equal(heartbeat.expired(Date.now() + 2 * second), "timeout");
});

Deno.test("heartbeat exhausted() ends the call at once, and means nothing between calls", () => {
  const heartbeat = new Heartbeat(Heartbeat.allocate());
  heartbeat.exhausted();
  assert.equal(heartbeat.expired(Date.now()), null);
  heartbeat.begin(8, second, second);
  heartbeat.exhausted();
  assert.equal(heartbeat.expired(Date.now()), "heap");
  assert.equal(heartbeat.running, 8);
});
