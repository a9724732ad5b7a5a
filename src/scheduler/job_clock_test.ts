import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { JobClock } from "./job_clock.ts";

const hour = 60 * 60 * 1000;

Deno.test("semantics 13.2: what was due stays due when the clock is set back, what comes later is due by its time", async () => {
  const environment = new FakeEnvironment();
  const clock = new JobClock(environment);
  const start = environment.nowMs();
  const old = { dueMs: start + 500, creationTime: start };
  const future = { dueMs: start + 2000, creationTime: start };
  clock.observe(start);
  await environment.advance(1000);
  assert.deepEqual([clock.isDue(old), clock.isDue(future)], [true, false]);
  environment.epochMs -= hour;
  assert.equal(clock.observe(start + 1), true);
  assert.deepEqual([clock.isDue(old), clock.isDue(future)], [true, false]);
  const afterwards = { dueMs: environment.nowMs() + 10, creationTime: start + 2 };
  assert.equal(clock.isDue(afterwards), false);
  assert.equal(clock.horizonMs, start + 1000);
  await environment.advance(10);
  assert.equal(clock.observe(start + 2), false);
  assert.equal(clock.isDue(afterwards), true);
  await environment.advance(hour);
  clock.observe(start + 2);
  assert.equal(clock.horizonMs, clock.nowMs);
});

Deno.test("semantics 13.2: a clock that is set forwards, or back by a moment, is followed", () => {
  const environment = new FakeEnvironment();
  const clock = new JobClock(environment);
  const start = environment.nowMs();
  clock.observe(start);
  environment.epochMs += hour;
  assert.equal(clock.observe(start), false);
  assert.equal(clock.isDue({ dueMs: start + hour, creationTime: start }), true);
  environment.epochMs -= 500;
  assert.equal(clock.observe(start), false);
  assert.equal(clock.isDue({ dueMs: start + hour, creationTime: start }), false);
});
