import assert from "node:assert/strict";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { type Config, defaultConfig } from "../config.ts";
import { RequestError } from "../errors.ts";
import { ActionPool } from "./action_pool.ts";
import type { Death, IsolateListener } from "./isolate.ts";
import type { ActionHost } from "./isolates.ts";
import type { PooledIsolate } from "./pool_slot.ts";
import type { DeploymentManifest, FunctionCall, ToIsolate } from "./protocol.ts";

// The pool alone, with isolates that the test plays by hand, in virtual time.

const manifest = { id: "d", modules: [] } as unknown as DeploymentManifest;
const action = { kind: "action", deployment: "d" } as FunctionCall;

class FakeIsolate implements PooledIsolate {
  readonly sent: ToIsolate[] = [];
  terminated = false;

  constructor(readonly number: number, readonly listener: IsolateListener) {}

  send(message: ToIsolate): void {
    this.sent.push(message);
  }

  load(): void {}

  unload(): void {}

  terminate(): void {
    this.terminated = true;
    queueMicrotask(() => this.listener.died({ reason: "terminated", callId: null }));
  }

  say(message: Parameters<IsolateListener["message"]>[0]): void {
    this.listener.message(message, new Uint8Array(0));
  }

  finish(more: { readonly isLast?: true } = {}): void {
    const call = this.sent.findLast(({ type }) => type === "call") as ToIsolate & { type: "call" };
    const usage = {
      documentsRead: 0,
      bytesRead: 0,
      documentsWritten: 0,
      bytesWritten: 0,
      durationMs: 0,
    };
    const { callId } = call;
    this.say({
      type: "result",
      callId,
      outcome: { kind: "success" },
      logLines: [],
      usage,
      ...more,
    });
  }

  die(death: Death): void {
    this.listener.died(death);
  }
}

function createPool(settings: Partial<Config> = {}) {
  const environment = new FakeEnvironment();
  const isolates: FakeIsolate[] = [];
  const pool = new ActionPool({
    config: { ...defaultConfig, ...settings },
    environment,
    spawn(listener) {
      const isolate = new FakeIsolate(isolates.length + 1, listener);
      isolates.push(isolate);
      return isolate;
    },
  });
  const host: ActionHost = { operation: () => new Promise(() => {}), log: () => {} };
  const run = () => pool.run(manifest, action, new Uint8Array(0), host);
  return { environment, isolates, pool, run };
}

Deno.test("action pool starts an isolate for each action that runs, and uses idle ones first", async () => {
  const { isolates, run } = createPool();
  const first = run();
  run();
  assert.equal(isolates.length, 2);
  isolates[0]!.say({ type: "ready" });
  isolates[0]!.finish();
  assert.equal((await first).outcome.kind, "success");
  // The second action went to the first isolate as soon as that was free.
  assert.equal(isolates[0]!.sent.length, 2);
  isolates[1]!.say({ type: "ready" });
  run();
  assert.equal(isolates.length, 2);
  assert.equal(isolates[1]!.sent.length, 1);
});

Deno.test("action pool lets short actions take turns, and starts isolates when none comes free", async () => {
  const { environment, isolates, run } = createPool();
  run();
  isolates[0]!.say({ type: "ready" });
  for (let count = 0; count < 6; count++) run();
  for (let turn = 0; turn < 3; turn++) {
    await environment.advance(20);
    isolates[0]!.finish();
  }
  assert.equal(isolates.length, 1);
  await environment.advance(30);
  // All that wait but the one that runs.
  assert.equal(isolates.length, 1 + 3);
});

Deno.test("action pool starts one isolate when actions take turns too slowly", async () => {
  const { environment, isolates, run } = createPool();
  run();
  isolates[0]!.say({ type: "ready" });
  for (let count = 0; count < 20; count++) run();
  for (let turn = 0; turn < 7; turn++) {
    await environment.advance(20);
    isolates[0]!.finish();
  }
  assert.equal(isolates.length, 2);
});

Deno.test("action pool keeps one idle isolate and ends the others after a while", async () => {
  const { environment, isolates, run } = createPool();
  for (let count = 0; count < 3; count++) run();
  for (const isolate of isolates) isolate.say({ type: "ready" });
  for (const isolate of isolates) isolate.finish();
  await environment.advance(9_000);
  assert.equal(isolates.filter(({ terminated }) => terminated).length, 0);
  await environment.advance(2_000);
  assert.equal(isolates.filter(({ terminated }) => terminated).length, 2);
  await environment.advance(100_000);
  assert.equal(isolates.filter(({ terminated }) => terminated).length, 2);
});

Deno.test("action pool makes actions wait above its bound, and refuses them after a while", async () => {
  const { environment, isolates, run } = createPool({ actionIsolatesMax: 1 });
  run();
  isolates[0]!.say({ type: "ready" });
  const refused = run();
  refused.catch(() => {});
  assert.equal(isolates.length, 1);
  await environment.advance(10_100);
  await assert.rejects(
    refused,
    (error) => error instanceof RequestError && error.code === "TooManyConcurrentRequests",
  );
});

Deno.test("action pool fails the action of an isolate that died, with its reason", async () => {
  const { isolates, run } = createPool();
  const reasons = { heap: /ran out of memory/, timeout: /1800s/, exit: /ended before the action/ };
  for (const [reason, text] of Object.entries(reasons)) {
    const call = run();
    const isolate = isolates.at(-1)!;
    isolate.say({ type: "ready" });
    isolate.die({ reason: reason as Death["reason"], callId: null });
    const { outcome } = await call;
    assert.ok(outcome.kind === "failure" && text.test(outcome.failure.message));
  }
});

Deno.test("action pool gives nothing more to an isolate that says a result was its last", async () => {
  const { isolates, run } = createPool({ actionIsolatesMax: 1 });
  const first = run();
  const second = run();
  isolates[0]!.say({ type: "ready" });
  isolates[0]!.finish({ isLast: true });
  assert.equal((await first).outcome.kind, "success");
  assert.ok(isolates[0]!.terminated);
  assert.equal(isolates[0]!.sent.length, 1);
  isolates[0]!.die({ reason: "exit", callId: null });
  isolates[1]!.say({ type: "ready" });
  isolates[1]!.finish();
  assert.equal((await second).outcome.kind, "success");
});

Deno.test("action pool renew() ends isolates after what they run", async () => {
  const { environment, isolates, pool, run } = createPool();
  const running = run();
  run();
  for (const isolate of isolates) isolate.say({ type: "ready" });
  isolates[1]!.finish();
  pool.renew();
  await environment.advance(0);
  assert.deepEqual(isolates.map(({ terminated }) => terminated), [false, true]);
  isolates[0]!.finish();
  await running;
  assert.equal(isolates[0]!.terminated, true);
});

Deno.test("action pool ends an isolate that asks for too much at once", async () => {
  const { environment, isolates, run } = createPool();
  run();
  const [isolate] = isolates as [FakeIsolate];
  isolate.say({ type: "ready" });
  const { callId } = isolate.sent.at(-1) as ToIsolate & { type: "call" };
  for (let operationId = 0; operationId <= 1000; operationId++) {
    isolate.say({ type: "operation", callId, operationId, operation: "runQuery", fields: {} });
  }
  await environment.advance(0);
  assert.equal(isolate.terminated, true);
});
