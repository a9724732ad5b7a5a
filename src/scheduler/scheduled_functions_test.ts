import assert from "node:assert/strict";
import { FakeEnvironment, settle } from "../../tests/support/fake_environment.ts";
import { openMemoryDatabase } from "../../tests/support/memory_database.ts";
import { defaultConfig } from "../config.ts";
import { appComponent } from "../database/component.ts";
import {
  beginScheduledMutation,
  completeScheduledMutation,
  getJob,
} from "../database/scheduled_jobs.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import type { CallContext, FunctionResult } from "../functions/functions.ts";
import type { DeployedFunction } from "../functions/function_table.ts";
import { RequestIds } from "../functions/request_id.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import { MemoryPersistence } from "../persistence/memory.ts";
import { ScheduledFunctions } from "./scheduled_functions.ts";
import { completing } from "./scheduler_testing.ts";

const dayMs = 24 * 60 * 60 * 1000;
const noCaller = { component: appComponent, requestId: "r", scheduledFunctionId: null };
const ok: FunctionResult = { ok: true, value: "null", logLines: [] };
const failure = (message: string): FunctionResult => ({
  ok: false,
  failure: { message, frames: ["    at f (../convex/m.ts:1:2)"] },
  logLines: [],
});

type Body = (context: CallContext) => FunctionResult | Promise<FunctionResult>;

/** A scheduler on a database in memory and a module `m` with one function of each kind. */
class Server {
  readonly calls: { readonly name: string; readonly args: string; readonly atMs: number }[] = [];
  readonly environment: FakeEnvironment;
  readonly scheduler: ScheduledFunctions;
  readonly #database: ReturnType<typeof openMemoryDatabase>;
  readonly #startMs: number;
  readonly kinds = new Map<string, DeployedFunction["kind"]>([
    ["m.js:mutation", "mutation"],
    ["m.js:action", "action"],
    ["m.js:query", "query"],
  ]);
  /** What a mutation does inside its transaction, and what an action does. */
  body: Body = () => ok;

  constructor(environment = new FakeEnvironment(), persistence = new MemoryPersistence()) {
    this.environment = environment;
    this.#startMs = environment.nowMs();
    this.#database = openMemoryDatabase(environment, persistence);
    const { transactions, committer } = this.#database;
    this.scheduler = new ScheduledFunctions({
      transactions,
      committer,
      functions: {
        mutation: (name, args, context) => this.#mutation(name, args, context),
        action: (name, args, context) => this.#call(name, args, context),
        any: async (name) => failure(`Could not find function for '${name}'.`),
      },
      modules: {
        find: (path) => {
          const kind = this.kinds.get(path);
          return kind === undefined ? undefined : { kind } as DeployedFunction;
        },
        manifest: undefined,
      },
      environment,
      requestIds: new RequestIds(environment),
      config: defaultConfig,
    });
  }

  static async started(environment?: FakeEnvironment, persistence?: MemoryPersistence) {
    const server = new Server(environment, persistence);
    await settle();
    await server.scheduler.start();
    return server;
  }

  async schedule(name: string, inMs: number, parentId: string | null = null): Promise<string> {
    const timeS = (this.environment.nowMs() + inMs) / 1000;
    const component = appComponent;
    const request = { path: `m:${name}`, component, args: '[{"n":1}]', timeS };
    const caller = { component, requestId: "r", scheduledFunctionId: parentId };
    return await this.scheduler.schedule(request, caller);
  }

  /** Lets happen what needs no time, until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    for (let turn = 0; !condition(); turn++) {
      assert.ok(turn < 1000, "it never happened");
      await this.environment.advance(0);
    }
  }

  document(id: string) {
    return this.#database.transactions.read(({ system }) => system.get(id));
  }

  state(id: string): string | undefined {
    return this.#database.transactions.read((transaction) => getJob(transaction, id)?.state);
  }

  async #call(name: string, args: string, context: CallContext): Promise<FunctionResult> {
    this.calls.push({ name, args, atMs: this.environment.nowMs() - this.#startMs });
    return await this.body(context);
  }

  async #mutation(name: string, args: string, context: CallContext): Promise<FunctionResult> {
    const result = await this.#call(name, args, context);
    return await completing(this.#database.transactions, result, (transaction) => {
      beginScheduledMutation(transaction, context.scheduledFunctionId!);
      completeScheduledMutation(transaction, context.scheduledFunctionId!);
    });
  }
}

Deno.test("semantics 13.2: a mutation runs once when it is due, without identity, and ends as success", async () => {
  const server = await Server.started();
  let caller: CallContext["caller"] | undefined;
  server.body = (context) => {
    caller = context.caller;
    return ok;
  };
  const id = await server.schedule("mutation", 1000);
  await server.environment.advance(999);
  assert.deepEqual([server.calls.length, server.state(id)], [0, "pending"]);
  await server.environment.advance(dayMs);
  assert.deepEqual(server.calls, [{ name: "m.js:mutation", args: '[{"n":1}]', atMs: 1000 }]);
  assert.equal(server.state(id), "success");
  assert.deepEqual(caller, { kind: "system", identity: null });
});

Deno.test("semantics 91: a job in the past runs at once and keeps the requested time", async () => {
  const server = await Server.started();
  const requested = server.environment.nowMs() - 5000;
  const id = await server.schedule("mutation", -5000);
  await server.until(() => server.state(id) === "success");
  assert.equal(server.calls.length, 1);
  assert.equal(server.document(id)!.scheduledTime, requested);
});

Deno.test("semantics 86: a mutation that throws ends as failed with the rendered error and is not retried", async () => {
  const server = await Server.started();
  server.body = () => failure("Uncaught Error: boom");
  const id = await server.schedule("mutation", 0);
  await server.environment.advance(dayMs);
  assert.equal(server.calls.length, 1);
  assert.deepEqual(server.document(id)!.state, {
    kind: "failed",
    error: "Uncaught Error: boom\n    at f (../convex/m.ts:1:2)",
  });
});

Deno.test("semantics 13.2: conflicts and failures of the server are retried until the mutation is done", async () => {
  const server = await Server.started();
  server.body = () => {
    if (server.calls.length <= 12) throw new RequestError("writeConflict", "Conflict", "conflict");
    return ok;
  };
  const id = await server.schedule("mutation", 0);
  await server.environment.advance(20 * 60_000);
  assert.deepEqual([server.calls.length, server.state(id)], [13, "success"]);
  const waits = server.calls.slice(1).map(({ atMs }, i) => atMs - server.calls[i]!.atMs);
  assert.ok(waits[0]! <= 100 && waits[11]! > 20_000 && Math.max(...waits) <= 60_000, `${waits}`);
});

Deno.test("semantics 13.2: an action's job is in progress before the action begins", async () => {
  const server = await Server.started();
  const states: unknown[] = [];
  server.body = ({ scheduledFunctionId }) => {
    states.push(server.state(scheduledFunctionId!));
    return ok;
  };
  const id = await server.schedule("action", 0);
  await server.until(() => server.state(id) === "success");
  assert.deepEqual(states, ["inProgress"]);
});

Deno.test("semantics 88: an action that was cut off by a restart is failed and not run again", async () => {
  const environment = new FakeEnvironment();
  const persistence = new MemoryPersistence();
  const first = await Server.started(environment, persistence);
  first.body = () => new Promise(() => {});
  const id = await first.schedule("action", 0);
  const later = await first.schedule("mutation", 5000);
  await first.until(() => first.calls.length === 1);
  assert.equal(first.state(id), "inProgress");
  void first.scheduler.close();
  const second = await Server.started(environment, persistence);
  await environment.advance(10_000);
  assert.deepEqual(second.document(id)!.state, {
    kind: "failed",
    error: "Transient error while executing action",
  });
  assert.deepEqual(second.calls.map(({ name }) => name), ["m.js:mutation"]);
  assert.equal(second.state(later), "success");
});

Deno.test("semantics 13.2: an action that could not be started is tried again, one that was lost is not", async () => {
  const server = await Server.started();
  server.body = () => {
    if (server.calls.length === 1) throw new RequestError("rateLimited", "TooMany", "busy");
    if (server.calls.length === 2) throw new Error("the isolate died");
    return ok;
  };
  const id = await server.schedule("action", 0);
  await server.environment.advance(dayMs);
  assert.deepEqual([server.calls.length, server.state(id)], [2, "failed"]);
});

Deno.test("semantics 90: a canceled job does not run", async () => {
  const server = await Server.started();
  const id = await server.schedule("mutation", 1000);
  await server.scheduler.cancel(id);
  await server.environment.advance(dayMs);
  assert.deepEqual([server.calls.length, server.state(id)], [0, "canceled"]);
});

Deno.test("dashboard-api 3: all jobs are canceled, or those of one function and time", async () => {
  const server = await Server.started();
  const now = server.environment.nowMs();
  const mutations: string[] = [];
  for (let i = 1; i <= 450; i++) mutations.push(await server.schedule("mutation", i * 1000));
  const action = await server.schedule("action", 1000);
  await server.scheduler.cancelAll({ path: "m:mutation", fromMs: now + 2000, untilMs: now + 4000 });
  const canceled = () => mutations.filter((id) => server.state(id) === "canceled").length;
  assert.equal(canceled(), 2);
  await server.scheduler.cancelAll({ path: "m:mutation" });
  assert.deepEqual([canceled(), server.state(action)], [450, "pending"]);
  await server.scheduler.cancelAll();
  await server.environment.advance(dayMs);
  assert.deepEqual([server.calls.length, server.state(action)], [0, "canceled"]);
});

Deno.test("semantics 13.2: a job whose time has come runs when the clock is set forwards, or back again", async () => {
  const server = await Server.started();
  const tomorrow = await server.schedule("mutation", dayMs);
  server.environment.epochMs += dayMs;
  await server.environment.advance(10_000);
  assert.equal(server.state(tomorrow), "success");
  const running: (() => void)[] = [];
  server.body = () => new Promise((resolve) => running.push(() => resolve(ok)));
  const ids: string[] = [];
  for (let i = 0; i < 9; i++) ids.push(await server.schedule("action", 0));
  await server.until(() => running.length === 8);
  server.environment.epochMs -= dayMs;
  running[0]!();
  await server.until(() => running.length === 9);
  for (const end of running) end();
  await server.until(() => ids.every((id) => server.state(id) === "success"));
  const soon = await server.schedule("mutation", 1000);
  await server.environment.advance(900);
  assert.equal(server.state(soon), "pending");
  server.body = () => ok;
  await server.environment.advance(200);
  assert.equal(server.state(soon), "success");
});

Deno.test("semantics 13.2: how an action ended is noted again and again while the disk is full", async () => {
  const persistence = new MemoryPersistence();
  const server = await Server.started(new FakeEnvironment(), persistence);
  server.body = () => {
    persistence.faults.transaction = () => {
      throw new PersistenceError("DiskFull", "The disk is full");
    };
    return ok;
  };
  const id = await server.schedule("action", 0);
  await server.environment.advance(60_000);
  assert.equal(server.state(id), "inProgress");
  delete persistence.faults.transaction;
  await server.environment.advance(60_000);
  assert.deepEqual([server.calls.length, server.state(id)], [1, "success"]);
});

Deno.test("semantics 13.2: canceling a running mutation undoes it; what a canceled job schedules is canceled", async () => {
  const server = await Server.started();
  let childId = "";
  server.body = async ({ scheduledFunctionId }) => {
    await server.scheduler.cancel(scheduledFunctionId!);
    childId = await server.schedule("mutation", 0, scheduledFunctionId!);
    return ok;
  };
  const id = await server.schedule("mutation", 0);
  await server.environment.advance(dayMs);
  assert.deepEqual([server.calls.length, server.state(id)], [1, "canceled"]);
  assert.equal(server.state(childId), "canceled");
});

Deno.test("semantics 13.2: at most eight jobs run at a time, the earliest first", async () => {
  const server = await Server.started();
  const running: (() => void)[] = [];
  server.body = () => new Promise((resolve) => running.push(() => resolve(ok)));
  for (let i = 0; i < 20; i++) await server.schedule("action", 1000 - i);
  await server.environment.advance(2000);
  await server.until(() => server.calls.length === 8);
  running.shift()!();
  await server.until(() => server.calls.length === 9);
  await server.environment.advance(2000);
  assert.equal(running.length, 8);
});

Deno.test("semantics 13.2: a function that is gone, or is a query, ends the job as failed", async () => {
  const server = await Server.started();
  const query = await server.schedule("query", 0);
  const removed = await server.schedule("mutation", 1000);
  await server.until(() => server.state(query) === "failed");
  assert.match(JSON.stringify(server.document(query)!.state), /Unsupported function type\. /);
  server.kinds.delete("m.js:mutation");
  await server.environment.advance(dayMs);
  assert.deepEqual(server.document(removed)!.state, {
    kind: "failed",
    error: "Could not find function for 'm.js:mutation'.\n    at f (../convex/m.ts:1:2)",
  });
});

Deno.test("function-abi 8.1: a job must name a deployed function and a time within five years", async () => {
  const server = await Server.started();
  const rejection = (path: string, timeS: number) =>
    assert.rejects(
      server.scheduler.schedule({ path, component: appComponent, args: "[{}]", timeS }, noCaller),
      DeveloperError,
    );
  await rejection("nowhere:f", 0);
  await rejection("m:mutation", server.environment.nowMs() / 1000 + 6 * 366 * 86_400);
  await rejection("m:mutation", server.environment.nowMs() / 1000 - 6 * 366 * 86_400);
  await assert.rejects(server.scheduler.cancel("x"), /Invalid scheduled function ID/);
});

Deno.test("semantics 92: jobs that ended disappear after seven days", async () => {
  const server = await Server.started();
  const canceled = await server.schedule("mutation", 365 * dayMs);
  await server.scheduler.cancel(canceled);
  const id = await server.schedule("mutation", 0);
  await server.environment.advance(7 * dayMs - 60_000);
  assert.equal(server.state(id), "success");
  await server.environment.advance(2 * 60 * 60_000);
  assert.equal(server.document(id), null);
  assert.equal(server.document(canceled), null, "although its time has not come");
});
