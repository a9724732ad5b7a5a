import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { CommitGate } from "./commit_gate.ts";

function start() {
  const environment = new FakeEnvironment();
  const gate = new CommitGate(environment);
  const close = (ms: number) =>
    gate.whileClosed(() => new Promise<void>((resolve) => environment.setTimer(ms, resolve)));
  return { environment, gate, close };
}

Deno.test("commitGate opens when the last of those who closed it is done", async () => {
  const { environment, gate, close } = start();
  assert.equal(gate.opened, undefined);
  const [first, second] = [close(10), close(30)];
  await environment.advance(10);
  await first;
  assert.notEqual(gate.opened, undefined);
  await environment.advance(20);
  await second;
  assert.equal(gate.opened, undefined);
});

Deno.test("commitGate opens after a while even if the work goes on", async () => {
  const { environment, gate, close } = start();
  const long = close(1_000);
  await environment.advance(0);
  const { opened } = gate;
  await environment.advance(200);
  await opened;
  assert.equal(gate.opened, undefined);
  await environment.advance(800);
  await long;
});

Deno.test("commitGate stays open four times as long as it was closed", async () => {
  const { environment, gate, close } = start();
  const first = close(10);
  await environment.advance(10);
  await first;
  const second = close(10);
  await environment.advance(39);
  assert.equal(gate.opened, undefined);
  await environment.advance(1);
  assert.notEqual(gate.opened, undefined);
  await environment.advance(10);
  await second;
});

Deno.test("commitGate passes failures on and opens all the same", async () => {
  const { gate } = start();
  await assert.rejects(gate.whileClosed(() => Promise.reject(new Error("no"))), /no/);
  assert.equal(gate.opened, undefined);
});
