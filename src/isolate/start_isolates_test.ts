import assert from "node:assert/strict";
import { type Config, defaultConfig } from "../config.ts";
import { systemEnvironment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import type { ActionHost, CallResult, Isolates } from "./isolates.ts";
import type { DeploymentManifest, FunctionCall, FunctionKind } from "./protocol.ts";
import { startIsolates } from "./start_isolates.ts";

// Real processes and threads, running tests/support/scripted_isolate.ts instead of user code.

const isolateModule = new URL("../../tests/support/scripted_isolate.ts", import.meta.url).href;
const manifest: DeploymentManifest = {
  id: "first",
  modules: [{ path: "a.js", environment: "isolate", file: "/nowhere" }],
  environmentVariables: {},
  importSeed: "",
  importTimeMs: 0,
};

function call(script: string, kind: FunctionKind = "query"): FunctionCall {
  return {
    kind,
    deployment: manifest.id,
    module: "a.js",
    export: script,
    requestId: "r",
    identity: null,
    journal: null,
    nowMs: 0,
    seed: "",
    args: null,
    returns: null,
  };
}

async function withIsolates(
  config: Partial<Config>,
  run: (isolates: Isolates) => Promise<void>,
): Promise<void> {
  const dataFolder = await Deno.makeTempDir();
  const isolates = await startIsolates({
    config: { ...defaultConfig, ...config },
    environment: systemEnvironment,
    databasePath: `${dataFolder}/data.db`,
    dataFolder,
    isolateModule,
  });
  isolates.deploy(manifest);
  try {
    await run(isolates);
  } finally {
    await isolates.close();
    await Deno.remove(dataFolder, { recursive: true });
  }
}

const text = ({ body }: CallResult) => new TextDecoder().decode(body);
const noHost: ActionHost = {
  operation: () => Promise.reject(new Error("No operations here")),
  log: () => {},
};

function failureMessage({ outcome }: CallResult): string {
  assert.equal(outcome.kind, "failure");
  return outcome.failure.message;
}

function transactionProcess(isolates: Isolates): number {
  return isolates.processes().find(({ name }) => name === "transaction executor")!.pid;
}

Deno.test("isolates answer queries with the body they were sent", async () => {
  await withIsolates({}, async (isolates) => {
    assert.equal(text(await isolates.runTransaction(call("echo"), '[{"a":1}]')), '[{"a":1}]');
  });
});

Deno.test("isolates have a deployment before its first call and drop it when it is retired", async () => {
  await withIsolates({ transactionIsolates: 1 }, async (isolates) => {
    isolates.deploy({ ...manifest, id: "second" });
    const second = { ...call("whoami"), deployment: "second" };
    const loaded = async () => JSON.parse(text(await isolates.runTransaction(second, ""))).loaded;
    assert.deepEqual((await loaded()).sort(), ["first", "second"]);
    isolates.retire("first");
    assert.deepEqual(await loaded(), ["second"]);
  });
});

Deno.test("isolates can print whatever they want without harm to the frames", async () => {
  await withIsolates({}, async (isolates) => {
    assert.equal(text(await isolates.runTransaction(call("print"), "")), "printed");
    assert.equal(text(await isolates.runTransaction(call("echo"), "1")), "1");
  });
});

Deno.test("transaction isolates read the data folder and the code, and nothing else", async () => {
  await withIsolates({}, async (isolates) => {
    assert.equal(text(await isolates.runTransaction(call("read:/etc/hostname"), "")), "NotCapable");
    const environment = JSON.parse(text(await isolates.runTransaction(call("environment"), "")));
    assert.equal(environment.env, "prompt");
  });
});

Deno.test("semantics 63: a busy loop is ended at its deadline, and the calls behind it run elsewhere", async () => {
  await withIsolates({ functionTimeoutMs: 300, transactionIsolates: 1 }, async (isolates) => {
    const spinning = isolates.runTransaction(call("spin"), "");
    const others = Array.from(
      { length: 20 },
      (_, index) => isolates.runTransaction(call("echo"), `${index}`),
    );
    assert.equal(
      failureMessage(await spinning),
      "Function execution timed out (maximum duration: 0.3s)",
    );
    assert.deepEqual((await Promise.all(others)).map(text), others.map((_, index) => `${index}`));
  });
});

Deno.test("semantics 9.2: time in which the machine does not let a function run is not the function's", async () => {
  await withIsolates({ functionTimeoutMs: 1000 }, async (isolates) => {
    const executor = transactionProcess(isolates);
    const idleMs = processorMs(executor);
    const computing = isolates.runTransaction(call("spinInSteps:60"), "");
    while (processorMs(executor) < idleMs + 200) await pause(10);
    Deno.kill(executor, "SIGSTOP");
    await pause(1500);
    Deno.kill(executor, "SIGCONT");
    assert.match(text(await computing), /isolate/);
    assert.equal(transactionProcess(isolates), executor);
  });
});

Deno.test("semantics 9.2: a function that sleeps is ended although it takes no processor time", async () => {
  await withIsolates({ functionTimeoutMs: 300 }, async (isolates) => {
    const sleeping = await isolates.runTransaction(call("wait:60000"), "");
    assert.match(failureMessage(sleeping), /timed out/);
  });
});

Deno.test("the process of a call that was cut off ends, because its thread cannot be stopped", async () => {
  await withIsolates({ functionTimeoutMs: 100 }, async (isolates) => {
    const before = transactionProcess(isolates);
    assert.match(failureMessage(await isolates.runTransaction(call("spin"), "")), /timed out/);
    while (isAlive(before)) await isolates.runTransaction(call("echo"), "[]");
    assert.equal(text(await isolates.runTransaction(call("echo"), "[1]")), "[1]");
  });
});

Deno.test("semantics 9.2: an exhausted heap and a hanging database have their own texts", async () => {
  const config = { transactionIsolates: 2, databaseTimeoutS: 1, functionTimeoutMs: 10_000 };
  await withIsolates(config, async (isolates) => {
    const [heap, database] = await Promise.all([
      isolates.runTransaction(call("fillHeap"), ""),
      isolates.runTransaction(call("databaseHangs"), ""),
    ]);
    assert.equal(
      failureMessage(heap),
      "JavaScript execution ran out of memory (maximum memory usage: 64 MB)",
    );
    assert.equal(
      failureMessage(database),
      "Your request timed out performing too many system operations.",
    );
  });
});

Deno.test("memory outside the heap has a bound as well, and costs only the call that fills it", async () => {
  const config = { executorMemoryMiB: 600, functionTimeoutMs: 30_000 };
  await withIsolates(config, async (isolates) => {
    const innocent = isolates.runTransaction(call("wait:100"), "");
    const greedy = await isolates.runTransaction(call("fillMemory"), "");
    assert.match(failureMessage(greedy), /^JavaScript execution ran out of memory/);
    await innocent;
  });
});

Deno.test("a killed executor loses no call and is replaced", async () => {
  await withIsolates({}, async (isolates) => {
    const before = transactionProcess(isolates);
    const calls = Array.from({ length: 100 }, (_, index) =>
      isolates.runTransaction(
        call("spinFor:2", index % 2 === 0 ? "query" : "mutation"),
        "",
        index % 4 === 1 ? { lane: "lane" } : {},
      ));
    await calls[10];
    Deno.kill(before, "SIGKILL");
    assert.equal((await Promise.all(calls)).length, 100);
    assert.notEqual(transactionProcess(isolates), before);
  });
});

Deno.test("an executor that has grown too large is replaced without losing a call", async () => {
  await withIsolates({ executorMemoryMiB: 600, functionTimeoutMs: 30_000 }, async (isolates) => {
    const before = transactionProcess(isolates);
    assert.equal(text(await isolates.runTransaction(call("hoard:400"), "")), "hoarded");
    for (let answered = 0; isolates.processes()[0]?.pid === before; answered++) {
      assert.equal(text(await isolates.runTransaction(call("wait:10"), "")).length > 0, true);
      assert.ok(answered < 2000);
    }
    assert.equal(text(await isolates.runTransaction(call("echo"), "1")), "1");
  });
});

Deno.test("a call whose isolate is lost every time is given up", async () => {
  await withIsolates({}, async (isolates) => {
    await assert.rejects(
      isolates.runTransaction(call("exit"), ""),
      (error) => error instanceof RequestError && error.code === "InternalServerError",
    );
    assert.equal(text(await isolates.runTransaction(call("echo"), "1")), "1");
  });
});

Deno.test("isolates that send garbage are ended, and the server goes on", async () => {
  await withIsolates({}, async (isolates) => {
    for (const script of ["garbage", "lies"]) {
      await assert.rejects(isolates.runTransaction(call(script), ""), RequestError);
    }
    assert.equal(text(await isolates.runTransaction(call("echo"), "1")), "1");
  });
});

Deno.test("a slow call does not hold up the calls behind it", async () => {
  await withIsolates({ transactionIsolates: 2, functionTimeoutMs: 5000 }, async (isolates) => {
    let slowIsDone = false;
    const slow = isolates.runTransaction(call("spinFor:3000"), "").then(() => slowIsDone = true);
    const quick = Array.from({ length: 50 }, () => isolates.runTransaction(call("echo"), "1"));
    await Promise.all(quick);
    assert.equal(slowIsDone, false);
    await slow;
  });
});

Deno.test("a flood is answered completely and evenly", async () => {
  await withIsolates({ queueWaitMs: 60_000 }, async (isolates) => {
    const calls = Array.from(
      { length: 5000 },
      (_, index) => isolates.runTransaction(call("echo"), `${index}`),
    );
    const answers = (await Promise.all(calls)).map(text);
    assert.deepEqual(answers, calls.map((_, index) => `${index}`));
  });
});

Deno.test("a call that waits too long is refused as TooManyConcurrentRequests", async () => {
  const config = { transactionIsolates: 1, functionTimeoutMs: 5000, queueWaitMs: 200 };
  await withIsolates(config, async (isolates) => {
    const slow = isolates.runTransaction(call("spinFor:700"), "");
    await assert.rejects(
      isolates.runTransaction(call("echo"), ""),
      (error) => error instanceof RequestError && error.code === "TooManyConcurrentRequests",
    );
    await slow;
  });
});

Deno.test("actions run side by side, and more of them than isolates wait", async () => {
  await withIsolates({ actionIsolatesMax: 8, queueWaitMs: 60_000 }, async (isolates) => {
    const actions = Array.from(
      { length: 100 },
      () => isolates.runAction(call("wait:20", "action"), new Uint8Array(0), noHost),
    );
    const used = (await Promise.all(actions)).map((result) => JSON.parse(text(result)).isolate);
    assert.ok(new Set(used).size > 1 && new Set(used).size <= 8);
  });
});

Deno.test("actions ask their host for operations and hand it their log lines", async () => {
  await withIsolates({}, async (isolates) => {
    const asked: unknown[] = [];
    const host: ActionHost = {
      operation(operation, fields, body) {
        asked.push([operation, fields, new TextDecoder().decode(body)]);
        return Promise.resolve({ body: new TextEncoder().encode("answer") });
      },
      log: (lines) => asked.push(lines),
    };
    const body = new TextEncoder().encode("[{}]");
    const result = await isolates.runAction(call("operation", "action"), body, host);
    assert.equal(text(result), "answer");
    assert.deepEqual(asked, [[], ["runQuery", { path: "a:b" }, "[{}]"]]);
  });
});

Deno.test("actions fail with a reason and are not run again when their isolate or process is lost", async () => {
  await withIsolates({ actionTimeoutS: 1 }, async (isolates) => {
    const run = (script: string) =>
      isolates.runAction(call(script, "action"), new Uint8Array(0), noHost);
    assert.match(failureMessage(await run("exit")), /ended before the action did/);
    assert.equal(
      failureMessage(await run("spin")),
      "Function execution timed out (maximum duration: 1s)",
    );
    assert.match(failureMessage(await run("crashProcess")), /ended before the action did/);
    assert.equal(text(await run("echo")), "");
  });
});

Deno.test("analyze() merges what modules export and names the one that hangs", async () => {
  await withIsolates({ analysisTimeoutMs: 300 }, async (isolates) => {
    const modules = ["a.js", "b.js"].map((path) => ({
      path,
      environment: "isolate" as const,
      file: "",
    }));
    const result = await isolates.analyze({ ...manifest, modules });
    assert.equal(result.kind, "success");
    assert.deepEqual(Object.keys(result.modules), ["a.js", "b.js"]);
    const hanging = { path: "spins.js", environment: "isolate" as const, file: "" };
    const failure = await isolates.analyze({ ...manifest, modules: [...modules, hanging] });
    assert.deepEqual(failure, {
      kind: "failure",
      module: "spins.js",
      message: "Function execution timed out (maximum duration: 0.3s)",
    });
  });
});

Deno.test("executors end when the server is gone", async () => {
  const folder = await Deno.makeTempDir();
  const script = new URL("../../tests/support/isolates_alone.ts", import.meta.url).href;
  const server = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, folder, isolateModule],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = server.stdout.getReader();
  const pid = Number(new TextDecoder().decode((await reader.read()).value));
  assert.ok(isAlive(pid));
  server.kill("SIGKILL");
  await reader.cancel();
  await server.status;
  while (isAlive(pid)) await pause(10);
  await Deno.remove(folder, { recursive: true });
});

/** That a process has used so far. */
function processorMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).replace(/.*\) /, "").split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function isAlive(pid: number): boolean {
  try {
    // Signal 0 asks without sending anything.
    return !/\) Z /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch {
    return false;
  }
}
