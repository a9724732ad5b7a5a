import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeEnvironment } from "../../tests/support/fake_environment.ts";
import { type Config, defaultConfig } from "../config.ts";
import { zeroTimestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import type { Death, IsolateListener } from "./isolate.ts";
import type { CallResult } from "./isolates.ts";
import { TransactionPool } from "./pool.ts";
import type { PooledIsolate } from "./pool_slot.ts";
import type { DeploymentManifest, FunctionCall, ToIsolate } from "./protocol.ts";

// The pool alone, with isolates that the test plays by hand, in virtual time.

const manifest = { id: "d", modules: [] } as unknown as DeploymentManifest;
const query = { kind: "query", deployment: "d" } as FunctionCall;
const mutation = { kind: "mutation", deployment: "d" } as FunctionCall;

/** An isolate as its test sees it: what it was given and has not answered, and how it answers. */
class FakeIsolate implements PooledIsolate {
  readonly calls: { callId: number; args: string }[] = [];
  readonly revoked: number[] = [];
  readonly abortedSequences: number[] = [];
  loaded: string[] = [];
  terminated = false;
  #sequence = 0;

  constructor(readonly number: number, readonly listener: IsolateListener) {}

  send(message: ToIsolate, args?: Uint8Array | string): void {
    if (message.type === "call") this.calls.push({ callId: message.callId, args: args as string });
    if (message.type === "revoke") this.revoked.push(...message.callIds);
    if (message.type === "aborted") this.abortedSequences.push(message.sequence);
  }

  load({ id }: DeploymentManifest): void {
    if (!this.loaded.includes(id)) this.loaded.push(id);
  }

  unload(deployment: string): void {
    this.loaded = this.loaded.filter((id) => id !== deployment);
  }

  terminate(): void {
    if (this.terminated) return;
    this.terminated = true;
    queueMicrotask(() => this.die({ reason: "terminated", callId: null }));
  }

  ready(): void {
    this.listener.message({ type: "ready" }, new Uint8Array(0));
  }

  die(death: Death): void {
    this.terminated = true;
    this.listener.died(death);
  }

  /** Answers the call it was given longest ago; `as` a mutation. */
  answer(as: "query" | "mutation" = "query"): void {
    const { callId, args } = this.calls.shift()!;
    const commit = {
      snapshot: zeroTimestamp,
      structureVersion: 0,
      reads: [],
      writes: { documents: [], tables: [] },
      origin: { isolate: this.number, sequence: ++this.#sequence },
      dependsOn: [],
    };
    this.listener.message({
      type: "result",
      callId,
      outcome: { kind: "success", ...(as === "mutation" ? { commit } : {}) },
      logLines: [],
      usage: {
        documentsRead: 0,
        bytesRead: 0,
        documentsWritten: 0,
        bytesWritten: 0,
        durationMs: 0,
      },
    }, new TextEncoder().encode(args));
  }

  /** Drops the revoked calls that it has not begun, as the real one does. */
  skipRevoked(): void {
    const kept = this.calls.filter(({ callId }) => !this.revoked.includes(callId));
    this.calls.splice(0, Infinity, ...kept);
  }

  get args(): string[] {
    return this.calls.map(({ args }) => args);
  }
}

function createPool(settings: Partial<Config> = {}) {
  const environment = new FakeEnvironment();
  const isolates: FakeIsolate[] = [];
  const pool = new TransactionPool({
    config: {
      ...defaultConfig,
      transactionIsolates: 2,
      transactionIsolatesAtFirst: 2,
      isolateQueueMax: 4,
      ...settings,
    },
    environment,
    spawn(listener) {
      const isolate = new FakeIsolate(isolates.length + 1, listener);
      isolates.push(isolate);
      return isolate;
    },
  });
  const run = (args: string, lane?: string, call = query, client?: string) =>
    pool.run(manifest, call, args, { lane, client }).then(textOf);
  return { environment, isolates, pool, run };
}

const textOf = ({ body, outcome }: CallResult) =>
  outcome.kind === "failure" ? outcome.failure.message : new TextDecoder().decode(body);

Deno.test("pool hands calls out evenly and no more than fit ahead of time", async () => {
  const { isolates, run } = createPool();
  const calls = Array.from({ length: 10 }, (_, index) => run(`${index}`));
  isolates[0]!.ready();
  isolates[1]!.ready();
  const [first, second] = isolates as [FakeIsolate, FakeIsolate];
  assert.deepEqual(first.args, ["0", "1", "2", "3"]);
  assert.deepEqual(second.args, ["4", "5", "6", "7"]);
  first.answer();
  assert.equal(await calls[0], "0");
  assert.deepEqual(first.args, ["1", "2", "3", "8"]);
});

Deno.test("pool starts another isolate when calls keep waiting, up to the limit, and not for a short burst", async () => {
  const { environment, isolates, run } = createPool({
    transactionIsolatesAtFirst: 1,
    isolateQueueMax: 1,
  });
  isolates[0]!.ready();
  const burst = [run("a"), run("b")];
  await environment.advance(20);
  isolates[0]!.answer();
  isolates[0]!.answer();
  await Promise.all(burst);
  await environment.advance(10);
  for (const args of ["slow", "c", "d", "e"]) run(args);
  await environment.advance(40);
  assert.equal(isolates.length, 1);
  await environment.advance(200);
  assert.equal(isolates.length, 2);
  isolates[1]!.ready();
  assert.equal(isolates[1]!.args.length, 1);
  await environment.advance(200);
  assert.equal(isolates.length, 2);
});

Deno.test("pool revokes what waits behind a slow call and gives it to another isolate", async () => {
  const { environment, isolates, run } = createPool();
  isolates[0]!.ready();
  const calls = ["slow", "a", "b"].map((args) => run(args, undefined, mutation));
  isolates[1]!.ready();
  const [slow, other] = isolates as [FakeIsolate, FakeIsolate];
  await environment.advance(40);
  assert.equal(slow.revoked.length, 2);
  assert.deepEqual(other.args, ["a", "b"]);
  other.answer("mutation");
  other.answer("mutation");
  assert.deepEqual(await Promise.all(calls.slice(1)), ["a", "b"]);
});

Deno.test("pool ignores the answer of a revoked call and has its writes forgotten", async () => {
  const { environment, isolates, run } = createPool();
  isolates[0]!.ready();
  const calls = ["slow", "a"].map((args) => run(args, undefined, mutation));
  isolates[1]!.ready();
  const [slow, other] = isolates as [FakeIsolate, FakeIsolate];
  await environment.advance(40);
  // It had begun the revoked call before it heard.
  slow.answer("mutation");
  slow.answer("mutation");
  assert.equal(await calls[0], "slow");
  assert.deepEqual(slow.abortedSequences, [2]);
  other.answer("mutation");
  assert.equal(await calls[1], "a");
});

Deno.test("pool hands one call at a time to an isolate that was slow, and more again when it is quick", async () => {
  const { environment, isolates, run } = createPool({ transactionIsolates: 1 });
  isolates[0]!.ready();
  const [isolate] = isolates as [FakeIsolate];
  for (let index = 0; index < 9; index++) run(`${index}`);
  await environment.advance(40);
  isolate.skipRevoked();
  isolate.answer();
  assert.deepEqual(isolate.args, ["1"]);
  isolate.answer();
  assert.deepEqual(isolate.args, ["2", "3"]);
  isolate.answer();
  assert.deepEqual(isolate.args, ["3", "4", "5", "6"]);
});

Deno.test("pool keeps the calls of a lane on one isolate and in order, beyond its queue", () => {
  const { isolates, run } = createPool({ isolateQueueMax: 2 });
  isolates[0]!.ready();
  isolates[1]!.ready();
  for (let index = 0; index < 5; index++) run(`${index}`, "lane", mutation);
  run("free");
  const [lane, other] = isolates as [FakeIsolate, FakeIsolate];
  assert.deepEqual(lane.args, ["0", "1"]);
  assert.deepEqual(other.args, ["free"]);
  lane.answer("mutation");
  lane.answer("mutation");
  assert.deepEqual(lane.args, ["2", "3"]);
});

Deno.test("pool leaves the calls of a slow call's own lane behind it", async () => {
  const { environment, isolates, run } = createPool();
  isolates[0]!.ready();
  run("slow", "lane", mutation);
  run("next", "lane", mutation);
  run("free");
  isolates[1]!.ready();
  await environment.advance(40);
  assert.equal(isolates[0]!.revoked.length, 1);
  isolates[0]!.skipRevoked();
  assert.deepEqual(isolates[0]!.args, ["slow", "next"]);
  assert.deepEqual(isolates[1]!.args, ["free"]);
});

Deno.test("pool does not let another lane's calls wait for a slow call, in its backlog either", async () => {
  const { environment, isolates, run } = createPool({ isolateQueueMax: 2 });
  isolates[0]!.ready();
  run("a1", "a", mutation);
  run("b1", "b", mutation);
  run("b2", "b", mutation);
  isolates[1]!.ready();
  const [slow, other] = isolates as [FakeIsolate, FakeIsolate];
  assert.deepEqual(slow.args, ["a1", "b1"]);
  await environment.advance(40);
  assert.deepEqual(other.args, ["b1", "b2"]);
});

Deno.test("pool gives a client its turn before the many calls of another, after what runs", () => {
  const { isolates, run } = createPool({ transactionIsolates: 1 });
  isolates[0]!.ready();
  const [isolate] = isolates as [FakeIsolate];
  run("polite", undefined, query, "polite");
  isolate.answer();
  for (let index = 0; index < 1000; index++) run(`${index}`, undefined, query, "greedy");
  assert.deepEqual(isolate.args, ["0", "1"]);
  run("polite", undefined, query, "polite");
  assert.deepEqual(isolate.args, ["0", "1", "polite"]);
  isolate.answer();
  assert.deepEqual(isolate.args, ["1", "polite", "2"]);
});

Deno.test("pool shares an isolate by the time that calls take, not by their number", async () => {
  const { environment, isolates, run } = createPool({ transactionIsolates: 1 });
  isolates[0]!.ready();
  const [isolate] = isolates as [FakeIsolate];
  for (let index = 0; index < 500; index++) {
    run("long", undefined, query, "a");
    run("short", undefined, query, "b");
  }
  const spentMs = { long: 0, short: 0 };
  for (let answers = 0; answers < 200; answers++) {
    const kind = isolate.args[0] as "long" | "short";
    await environment.advance(kind === "long" ? 10 : 1);
    spentMs[kind] += kind === "long" ? 10 : 1;
    isolate.answer();
  }
  assert.ok(Math.abs(spentMs.long - spentMs.short) <= 30, JSON.stringify(spentMs));
});

Deno.test("pool leaves one isolate to others while several clients call, and all to one that is alone", async () => {
  const { environment, isolates, run } = createPool();
  isolates[0]!.ready();
  isolates[1]!.ready();
  const [first, second] = isolates as [FakeIsolate, FakeIsolate];
  run("polite", undefined, query, "polite");
  first.answer();
  for (let index = 0; index < 4; index++) run("greedy", undefined, query, "greedy");
  assert.deepEqual([first.args, second.args], [["greedy", "greedy"], []]);
  run("polite", undefined, query, "polite");
  assert.deepEqual(second.args, ["polite"]);
  for (const isolate of [second, first, first, first, first]) isolate.answer();
  await environment.advance(2_000);
  for (let index = 0; index < 4; index++) run("greedy", undefined, query, "greedy");
  assert.deepEqual([first.args.length, second.args.length], [2, 2]);
});

Deno.test("pool shares a lane, too", async () => {
  const { environment, isolates, run } = createPool({ isolateQueueMax: 2 });
  isolates[0]!.ready();
  isolates[1]!.ready();
  run("polite", "lane", mutation, "polite");
  for (let index = 0; index < 50; index++) run(`${index}`, "lane", mutation, "greedy");
  const [lane] = isolates as [FakeIsolate];
  lane.answer("mutation");
  run("polite", "lane", mutation, "polite");
  assert.deepEqual(lane.args, ["0", "1"]);
  await environment.advance(1);
  lane.answer("mutation");
  assert.deepEqual(lane.args, ["1", "polite"]);
});

Deno.test("pool fails the call that was over its time and runs the others elsewhere", async () => {
  const { isolates, run } = createPool();
  isolates[0]!.ready();
  const over = run("over", "lane");
  const others = [run("a", "lane"), run("b")];
  isolates[1]!.ready();
  const [first, second] = isolates as [FakeIsolate, FakeIsolate];
  first.die({ reason: "timeout", callId: first.calls[0]!.callId });
  assert.equal(await over, "Function execution timed out (maximum duration: 1s)");
  second.answer();
  second.answer();
  assert.deepEqual(await Promise.all(others), ["a", "b"]);
});

Deno.test("pool blames nobody when the isolate was busy with a revoked call as it died", async () => {
  const { environment, isolates, run } = createPool();
  isolates[0]!.ready();
  const slow = run("slow");
  const revoked = run("revoked");
  const [first] = isolates as [FakeIsolate];
  await environment.advance(40);
  const lateCallId = first.calls[1]!.callId;
  first.answer();
  assert.equal(await slow, "slow");
  const innocent = run("innocent");
  first.die({ reason: "timeout", callId: lateCallId });
  isolates[1]!.ready();
  isolates[1]!.answer();
  isolates[1]!.answer();
  assert.deepEqual(await Promise.all([revoked, innocent]), ["revoked", "innocent"]);
});

Deno.test("pool keeps a spare isolate once one has died, and lets it take the next one's place", async () => {
  const { isolates, run } = createPool({ transactionIsolates: 1 });
  isolates[0]!.ready();
  assert.equal(isolates.length, 1);
  isolates[0]!.die({ reason: "exit", callId: null });
  assert.equal(isolates.length, 2);
  isolates[1]!.ready();
  assert.equal(isolates.length, 3);
  const spare = isolates[2]!;
  spare.ready();
  const call = run("a");
  isolates[1]!.die({ reason: "exit", callId: undefined });
  assert.equal(isolates.length, 4);
  spare.answer();
  assert.equal(await call, "a");
});

Deno.test("pool gives up a call that loses its isolate every time", async () => {
  const { isolates, run } = createPool({ transactionIsolates: 1 });
  const call = run("poison");
  call.catch(() => {});
  for (let loss = 0; loss < 4; loss++) {
    isolates[loss]!.ready();
    isolates[loss]!.die({ reason: "exit", callId: undefined });
  }
  await assert.rejects(
    call,
    (error) => error instanceof RequestError && error.code === "InternalServerError",
  );
});

Deno.test("pool does not hold it against a call when idle isolates end before its turn", async () => {
  const { isolates, run } = createPool({ transactionIsolates: 1 });
  const call = run("a");
  for (let loss = 0; loss < 10; loss++) {
    isolates[loss]!.ready();
    isolates[loss]!.die({ reason: "exit", callId: null });
  }
  isolates[10]!.ready();
  isolates[10]!.answer();
  assert.equal(await call, "a");
});

Deno.test("pool refuses calls that waited too long, in a lane's backlog as well", async () => {
  const { environment, isolates, run } = createPool({ transactionIsolates: 1, isolateQueueMax: 1 });
  isolates[0]!.ready();
  run("running", "lane").catch(() => {});
  const waiting = [run("lane", "lane"), run("free")];
  waiting.forEach((call) => call.catch(() => {}));
  await environment.advance(10_100);
  for (const call of waiting) {
    await assert.rejects(
      call,
      (error) => error instanceof RequestError && error.code === "TooManyConcurrentRequests",
    );
  }
});

Deno.test("pool renew() moves to new isolates and lets the old ones finish what runs", async () => {
  const { environment, isolates, pool, run } = createPool({ transactionIsolates: 1 });
  isolates[0]!.ready();
  const [old] = isolates as [FakeIsolate];
  const running = run("running");
  const ahead = run("ahead");
  pool.renew();
  const replacement = isolates[1]!;
  // Until the new one is ready the old one goes on.
  const more = run("more");
  assert.deepEqual(old.args, ["running", "ahead", "more"]);
  replacement.ready();
  await environment.advance(0);
  assert.deepEqual(replacement.args, ["ahead", "more"]);
  old.skipRevoked();
  old.answer();
  assert.equal(await running, "running");
  await environment.advance(0);
  assert.equal(old.terminated, true);
  replacement.answer();
  replacement.answer();
  assert.deepEqual(await Promise.all([ahead, more]), ["ahead", "more"]);
});

Deno.test("pool ends an isolate that claims another's transactions or speaks out of turn", async () => {
  const { environment, isolates, run } = createPool({ transactionIsolates: 1 });
  isolates[0]!.ready();
  run("a").catch(() => {});
  isolates[0]!.listener.message({ type: "log", callId: 1, logLines: [] }, new Uint8Array(0));
  await environment.advance(0);
  assert.equal(isolates[0]!.terminated, true);
});

Deno.test("pool answers every call exactly once, whatever isolates do", async () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant("call" as const),
      lane: fc.option(fc.constantFrom("x", "y")),
      client: fc.constantFrom("a", "b", "c"),
    }),
    fc.record({ kind: fc.constant("answer" as const), isolate: fc.nat(3) }),
    fc.record({ kind: fc.constant("skip" as const), isolate: fc.nat(3) }),
    fc.record({ kind: fc.constant("ready" as const), isolate: fc.nat(3) }),
    fc.record({
      kind: fc.constant("die" as const),
      isolate: fc.nat(3),
      reason: fc.constantFrom("exit" as const, "timeout" as const),
      callId: fc.constantFrom(null, undefined),
    }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.nat(40) }),
    fc.record({ kind: fc.constant("renew" as const) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { environment, isolates, pool, run } = createPool({ queueWaitMs: 1_000_000 });
      const results: Promise<string>[] = [];
      const alive = () => isolates.filter(({ terminated }) => !terminated);
      for (const step of steps) {
        if (step.kind === "call") {
          const call = run(`${results.length}`, step.lane ?? undefined, mutation, step.client);
          call.catch(() => {});
          results.push(call);
        } else if (step.kind === "wait") {
          await environment.advance(step.ms);
        } else if (step.kind === "renew") {
          pool.renew();
        } else {
          const isolate = alive()[step.isolate];
          if (isolate === undefined) continue;
          if (step.kind === "ready") isolate.ready();
          else if (step.kind === "skip") isolate.skipRevoked();
          else if (step.kind === "die") isolate.die({ reason: step.reason, callId: step.callId });
          else if (isolate.calls.length > 0) isolate.answer("mutation");
        }
      }
      for (let round = 0; round < 500; round++) {
        for (const isolate of alive()) {
          isolate.ready();
          isolate.skipRevoked();
          while (isolate.calls.length > 0) isolate.answer("mutation");
        }
        await environment.advance(5);
        if (alive().every(({ calls }) => calls.length === 0)) break;
      }
      const settled = await Promise.allSettled(results);
      for (const [index, result] of settled.entries()) {
        if (result.status === "rejected") continue;
        assert.ok(result.value === `${index}` || result.value.startsWith("Function execution"));
      }
    }),
    { numRuns: 200 },
  );
});
