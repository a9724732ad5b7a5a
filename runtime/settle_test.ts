import assert from "node:assert/strict";
import { Execution } from "./execution.ts";
import { Log } from "./log.ts";
import { settle, settleAction } from "./settle.ts";
import { TurnQueue } from "./turn_queue.ts";

function execution(): Execution {
  return new Execution({
    kind: "query",
    nowMs: 0,
    seed: "",
    importTimeMs: 0,
    importSeed: "",
    environmentVariables: {},
    log: new Log(),
  });
}

Deno.test("settle() waits for all that was started, in the order of the queue", async () => {
  const queue = new TurnQueue();
  const order: string[] = [];
  const done = (async () => {
    queue.add(async () => {
      await Promise.resolve();
      order.push("first");
    });
    queue.add(() => {
      order.push("second");
      queue.add(() => order.push("added later"));
    });
    return "value";
  })();
  assert.equal(await settle(done, execution(), queue), "value");
  assert.deepEqual(order, ["first", "second", "added later"]);
  assert.ok(queue.isEmpty);
});

Deno.test("settle() throws what the promise, or something nobody handled, fails with", async () => {
  const failing = Promise.reject(new Error("own"));
  await assert.rejects(settle(failing, execution(), new TurnQueue()), /own/);
  const running = execution();
  running.fail(new Error("elsewhere"));
  running.fail(new Error("second"));
  await assert.rejects(settle(Promise.resolve(1), running, new TurnQueue()), /elsewhere/);
});

Deno.test("function-abi 8: settle() tells a stuck promise from one that waits for other threads", async () => {
  const running = execution();
  running.pendingOperations++;
  const { promise, resolve } = Promise.withResolvers<string>();
  setTimeout(() => {
    running.pendingOperations--;
    resolve("late");
  }, 150);
  assert.equal(await settle(promise, running, new TurnQueue()), "late");
  await assert.rejects(
    settle(new Promise(() => {}), execution(), new TurnQueue()),
    /^HostFailure: Returned promise will never resolve$/,
  );
});

Deno.test("settleAction() ends with the promise, with a failure, or when nothing can settle it", async () => {
  assert.equal(await settleAction(Promise.resolve(1), execution(), () => true), 1);
  const running = execution();
  const waiting = settleAction(new Promise(() => {}), running, () => true);
  running.fail(new Error("unhandled"));
  await assert.rejects(waiting, /unhandled/);
  await assert.rejects(
    settleAction(new Promise(() => {}), execution(), () => false),
    /Returned promise will never resolve/,
  );
});
