import assert from "node:assert/strict";
import { FakeEnvironment, settle } from "../../tests/support/fake_environment.ts";
import { openMemoryDatabase } from "../../tests/support/memory_database.ts";
import { defaultConfig } from "../config.ts";
import {
  beginCronRun,
  completeCronRun,
  type CronDefinition,
  type CronJob,
  listCronJobs,
  replaceCronJobs,
  runsOf,
} from "../database/cron_jobs.ts";
import { RequestError } from "../errors.ts";
import type { CallContext, FunctionResult } from "../functions/functions.ts";
import type { DeployedFunction } from "../functions/function_table.ts";
import { RequestIds } from "../functions/request_id.ts";
import { MemoryPersistence } from "../persistence/memory.ts";
import { CronJobs } from "./cron_jobs.ts";
import { completing } from "./scheduler_testing.ts";

const minute = 60_000;
const ok: FunctionResult = { ok: true, value: "7", logLines: ["[LOG] 'hello'"] };
const failure = (message: string): FunctionResult => ({
  ok: false,
  failure: { message, frames: [] },
  logLines: [],
});
const every = (minutes: number, changes: Partial<CronDefinition> = {}): CronDefinition => ({
  name: "job",
  function: "m.js:mutation",
  args: [{ n: 1 }],
  schedule: { type: "interval", minutes },
  ...changes,
});

/** Cron jobs on a database in memory and a module `m` with one function of each kind. */
class Server {
  readonly cronJobs: CronJobs;
  readonly environment: FakeEnvironment;
  /** When each call began, in milliseconds since the server started. */
  readonly calls: number[] = [];
  readonly kinds = new Map<string, DeployedFunction["kind"]>([
    ["m.js:mutation", "mutation"],
    ["m.js:action", "action"],
    ["m.js:query", "query"],
  ]);
  body: (context: CallContext) => FunctionResult | Promise<FunctionResult> = () => ok;
  readonly live = { isSwitching: false };
  readonly #startMs: number;
  readonly #database;

  constructor(environment = new FakeEnvironment(), persistence = new MemoryPersistence()) {
    this.environment = environment;
    this.#startMs = environment.monotonicMs();
    this.#database = openMemoryDatabase(environment, persistence);
    const { transactions, committer } = this.#database;
    this.cronJobs = new CronJobs({
      transactions,
      committer,
      functions: {
        mutation: (_path, _args, context) => this.#mutation(context),
        action: (_path, _args, context) => this.#call(context),
        any: async (path) => failure(`Could not find function for '${path}'.`),
      },
      modules: {
        find: (path) => {
          const kind = this.kinds.get(path);
          return kind === undefined ? undefined : { kind } as DeployedFunction;
        },
      },
      live: this.live,
      environment,
      requestIds: new RequestIds(environment),
      config: defaultConfig,
    });
  }

  static async started(environment?: FakeEnvironment, persistence?: MemoryPersistence) {
    const server = new Server(environment, persistence);
    await settle();
    await server.cronJobs.start();
    return server;
  }

  async push(...definitions: CronDefinition[]): Promise<void> {
    await this.#database.transactions.write((transaction) =>
      replaceCronJobs(transaction, definitions)
    );
    await this.advance(0);
  }

  async advance(ms: number): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await settle();
    await this.environment.advance(ms);
    for (let turn = 0; turn < 20; turn++) await settle();
  }

  get job(): CronJob {
    return this.#database.transactions.read(listCronJobs)[0]!;
  }

  runs(id = this.job.id) {
    return this.#database.transactions.read((transaction) => runsOf(transaction, id));
  }

  async #call(context: CallContext): Promise<FunctionResult> {
    this.calls.push(this.environment.monotonicMs() - this.#startMs);
    return await this.body(context);
  }

  async #mutation(context: CallContext): Promise<FunctionResult> {
    const result = await this.#call(context);
    return await completing(this.#database.transactions, result, (transaction) => {
      beginCronRun(transaction, context.cronRun!);
      completeCronRun(transaction, context.cronRun!);
    });
  }
}

Deno.test("semantics 105: an interval job runs at the push and then every interval, without identity", async () => {
  const server = await Server.started();
  let caller: CallContext["caller"] | undefined;
  server.body = (context) => {
    caller = context.caller;
    return ok;
  };
  await server.push(every(10));
  await server.advance(35 * minute);
  assert.deepEqual(server.calls, [0, 10 * minute, 20 * minute, 30 * minute]);
  assert.deepEqual(caller, { kind: "system", identity: null });
});

Deno.test("semantics 106: pushing an unchanged job again leaves its schedule, other arguments do, too", async () => {
  const server = await Server.started();
  await server.push(every(10));
  await server.advance(4 * minute);
  await server.push(every(10));
  await server.push(every(10, { args: [{ n: 2 }], function: "m.js:action" }));
  assert.equal(server.calls.length, 1);
  await server.advance(10 * minute);
  assert.deepEqual(server.calls, [0, 10 * minute]);
  assert.deepEqual(server.job.args, [{ n: 2 }]);
});

Deno.test("semantics 18: no job starts while code and jobs of a push may differ", async () => {
  const server = await Server.started();
  server.live.isSwitching = true;
  await server.push(every(10));
  await server.advance(1000);
  assert.equal(server.calls.length, 0);
  server.live.isSwitching = false;
  await server.advance(1000);
  assert.equal(server.calls.length, 1);
});

Deno.test("semantics 18: another schedule begins anew, unless the next two runs are imminent", async () => {
  const server = await Server.started();
  await server.push(every(10));
  await server.advance(4 * minute);
  await server.push(every(20));
  await server.advance(30 * minute);
  assert.deepEqual(server.calls, [0, 4 * minute, 24 * minute]);
  await server.push(every(0, { name: "fast", schedule: { type: "interval", seconds: 10 } }));
  await server.advance(1000);
  const before = server.job.dueMs;
  await server.push(every(5, { name: "fast" }));
  assert.equal(server.job.dueMs, before);
});

Deno.test("semantics 107: a job that is missing from a push is gone with its runs", async () => {
  const server = await Server.started();
  await server.push(every(10));
  const { id } = server.job;
  assert.equal(server.runs().length, 1);
  await server.push();
  assert.equal(server.runs(id).length, 0);
  await server.advance(60 * minute);
  assert.equal(server.calls.length, 1);
});

Deno.test("semantics 108: a job whose function fails, is gone or is a query runs again next time", async () => {
  const server = await Server.started();
  server.body = () => failure("Uncaught Error: boom");
  await server.push(every(10));
  assert.partialDeepStrictEqual(server.runs(), [{
    name: "job",
    status: { kind: "failed", error: "Uncaught Error: boom" },
  }]);
  server.kinds.delete("m.js:mutation");
  await server.advance(10 * minute);
  assert.match(JSON.stringify(server.runs()[1]), /Could not find function for/);
  server.kinds.set("m.js:mutation", "query");
  await server.advance(10 * minute);
  assert.match(JSON.stringify(server.runs()[2]), /Unsupported function type\. /);
  server.kinds.set("m.js:mutation", "mutation");
  server.body = () => ok;
  await server.advance(10 * minute);
  assert.deepEqual(server.calls, [0, 30 * minute]);
});

Deno.test("semantics 18: the last five runs are kept, their results and lines cut", async () => {
  const server = await Server.started();
  server.body = () => ({
    ok: true,
    value: "1".repeat(3000),
    logLines: ["a", "b".repeat(3000), "c"],
  });
  await server.push(every(10));
  await server.advance(65 * minute);
  const runs = server.runs();
  assert.equal(runs.length, 5);
  assert.partialDeepStrictEqual(runs[4], {
    function: "m.js:mutation",
    args: [{ n: 1 }],
    status: { kind: "success", result: "1".repeat(1000), isTruncated: true },
    logLines: ["a", "b".repeat(999)],
    isTruncated: true,
  });
});

Deno.test("semantics 18: runs do not overlap, and what a long one missed is skipped", async () => {
  const server = await Server.started();
  let finish = () => {};
  server.body = () => new Promise((resolve) => finish = () => resolve(ok));
  await server.push(every(1, { function: "m.js:action" }));
  await server.advance(150_000);
  assert.deepEqual(server.calls, [0]);
  assert.equal(server.job.state, "inProgress");
  finish();
  await server.advance(0);
  assert.partialDeepStrictEqual(server.runs().map(({ status }) => status), [
    { kind: "success" },
    { kind: "canceled", count: 2 },
  ]);
  await server.advance(30_000);
  assert.deepEqual(server.calls, [0, 180_000]);
});

Deno.test("semantics 18: after downtime a job runs once and goes on in its rhythm", async () => {
  const environment = new FakeEnvironment();
  const persistence = new MemoryPersistence();
  const first = await Server.started(environment, persistence);
  await first.push(every(10));
  await first.cronJobs.close();
  await environment.advance(47 * minute);
  const second = await Server.started(environment, persistence);
  await second.advance(8 * minute);
  assert.deepEqual(second.calls, [0, 3 * minute]);
  const skipped = second.runs().map(({ logLines }) => (logLines as string[]).join())
    .filter((line) => line.startsWith("Skipping "));
  assert.deepEqual(skipped, [
    "Skipping 3 run(s) of job job because multiple scheduled runs are in the past",
  ]);
});

Deno.test("semantics 18: an action that was cut off is noted as failed and runs again next time only", async () => {
  const environment = new FakeEnvironment();
  const persistence = new MemoryPersistence();
  const first = await Server.started(environment, persistence);
  first.body = () => new Promise(() => {});
  await first.push(every(10, { function: "m.js:action" }));
  assert.equal(first.calls.length, 1);
  void first.cronJobs.close();
  const second = await Server.started(environment, persistence);
  await second.advance(9 * minute);
  assert.deepEqual(second.calls, []);
  assert.partialDeepStrictEqual(second.runs(), [{
    status: { kind: "failed", error: "Transient error while executing action" },
  }]);
  await second.advance(minute);
  assert.equal(second.calls.length, 1);
});

Deno.test("semantics 18: conflicts and failures of the server are retried after 500 ms to 15 s", async () => {
  const server = await Server.started();
  server.body = () => {
    if (server.calls.length < 9) throw new RequestError("writeConflict", "Conflict", "conflict");
    return ok;
  };
  await server.push(every(10));
  await server.advance(9 * minute);
  assert.equal(server.calls.length, 9);
  const waits = server.calls.slice(1).map((atMs, i) => atMs - server.calls[i]!);
  assert.ok(waits[0]! >= 250 && Math.max(...waits) <= 15_000, `${waits}`);
  assert.equal(server.runs().length, 1);
});

Deno.test("semantics 18: a run that a push calls off takes no effect and is not noted", async () => {
  const server = await Server.started();
  server.body = async () => {
    if (server.calls.length > 1) return ok;
    server.environment.epochMs += 5;
    await server.push(every(7));
    return ok;
  };
  await server.push(every(10));
  await server.advance(minute);
  assert.equal(server.calls.length, 2);
  assert.equal(server.runs().length, 1);
});

Deno.test("semantics 18: a clock that is set neither repeats runs nor keeps a job waiting", async () => {
  const server = await Server.started();
  await server.push(every(10));
  server.environment.epochMs -= 24 * 60 * minute;
  await server.advance(25 * minute);
  assert.equal(server.calls.length, 3);
  server.environment.epochMs += 48 * 60 * minute;
  await server.advance(minute);
  assert.equal(server.calls.length, 4);
  await server.advance(10 * minute);
  assert.equal(server.calls.length, 5);
});
