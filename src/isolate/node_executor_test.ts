import assert from "node:assert/strict";
import { build, stop } from "esbuild";
import { type Config, defaultConfig } from "../config.ts";
import { systemEnvironment } from "../environment.ts";
import { encodeId } from "../values/document_id.ts";
import type { ActionHost, CallResult } from "./isolates.ts";
import { NodeExecutor } from "./node_executor.ts";
import type { DeploymentManifest, FunctionCall, LogLine } from "./protocol.ts";

// A real Node.js process with modules bundled from the text below.

const source = `"use node";
import { actionGeneric as action, internalActionGeneric as internalAction, anyApi } from "convex/server";
import { v, ConvexError } from "convex/values";
import { createHash } from "node:crypto";

export const hash = action({ args: { text: v.string() }, handler: async (_ctx, { text }) =>
  createHash("sha256").update(text).digest("hex") });
export const variable = action(async () => [process.env.SECRET, process.env.HULL_TEST_SECRET ?? null]);
export const asks = internalAction(async (ctx, { n }) => {
  const answer = await ctx.runQuery(anyApi.messages.list, { n });
  const job = await ctx.scheduler.runAfter(0, anyApi.messages.send, {});
  const id = await ctx.storage.store(new Blob(["bytes"], { type: "text/plain" }));
  const blob = await ctx.storage.get(id);
  return { answer, job, id, text: await blob.text(), type: blob.type, user: await ctx.auth.getUserIdentity() };
});
export const prints = action(async () => {
  console.log("hello", { a: 1 });
  console.warn("careful");
  process.stdout.write("not a frame\\n");
});
export const fails = action(async () => {
  function inner() { throw new Error("boom"); }
  inner();
});
export const failsWithData = action(async () => { throw new ConvexError({ code: 7 }); });
export const catches = action(async (ctx) => {
  try { await ctx.runMutation(anyApi.messages.send, {}); } catch (error) { return [error.message, error.data ?? null]; }
});
export const forgets = action(async (ctx) => { ctx.runQuery(anyApi.messages.list, {}); });
export const database = action(async (ctx) => { Convex.syscall("1.0/queryStream", "{}"); });
export const sleeps = action(async () => { await new Promise((resolve) => setTimeout(resolve, 60_000)); });
export const crashes = action(async () => { process.abort(); });
export const exits = action(async () => { process.exit(3); });
export const throwsLater = action(async () => {
  setTimeout(() => { throw new Error("thrown in a timer"); }, 1);
  await new Promise(() => {});
});
export const forgetsToCatch = action(async () => {
  Promise.reject(new Error("nobody cares"));
  await new Promise(() => {});
});
export const kills = action(async () => process.kill(process.ppid, "SIGKILL"));
export const blocks = action(async (_ctx, { ms }) => { for (const end = Date.now() + ms; Date.now() < end;); return process.pid; });
export const floods = action(async () => {
  for (let n = 0; n < 2000; n++) process.stdout.write("x".repeat(65536));
  return "dry";
});
export const breaksTheFrames = action(async () => { require("fs").writeSync(3, "not a frame at all"); await new Promise(() => {}); });
export const buffers = action(async () => { for (const all = [];;) all.push(Buffer.alloc(16777216, 1)); });
export const large = action(async (_ctx, { mib }) => "x".repeat(mib * 1048576));
export const checked = action({ args: { id: v.id("tasks") }, returns: v.id("made"), handler: async (_ctx, { id }) => id });
export const fills = action(async () => { for (const all = [];;) all.push({ text: "x" + all.length }); });
export const waits = action(async (_ctx, { ms }) => { await new Promise((resolve) => setTimeout(resolve, ms)); return process.pid; });
`;

/** As analysis finds them. */
const validators: Readonly<Record<string, { readonly args: string; readonly returns?: string }>> = {
  hash: {
    args: '{"type":"object","value":{"text":{"fieldType":{"type":"string"},"optional":false}}}',
  },
  checked: {
    args:
      '{"type":"object","value":{"id":{"fieldType":{"type":"id","tableName":"tasks"},"optional":false}}}',
    returns: '{"type":"id","tableName":"made"}',
  },
};

async function bundle(folder: string, name: string, text: string): Promise<string> {
  const entry = new URL("../../node_modules/", import.meta.url).pathname;
  const { outputFiles } = await build({
    stdin: { contents: text, resolveDir: entry, sourcefile: `convex/${name}.ts`, loader: "ts" },
    outdir: "out",
    bundle: true,
    platform: "node",
    format: "esm",
    sourcemap: "inline",
    sourcesContent: false,
    write: false,
    nodePaths: [entry],
  });
  const file = `${folder}/${name}.mjs`;
  await Deno.writeFile(file, outputFiles[0]!.contents);
  return file;
}

interface Fixture {
  readonly executor: NodeExecutor;
  readonly manifest: DeploymentManifest;
  run(name: string, args?: unknown, host?: Partial<ActionHost>): Promise<CallResult>;
}

async function withNode(
  config: Partial<Config>,
  modules: Readonly<Record<string, string>>,
  test: (fixture: Fixture) => Promise<void>,
): Promise<void> {
  const dataFolder = await Deno.makeTempDir();
  const entries = await Promise.all(
    Object.entries(modules).map(async ([name, text]) => ({
      path: `${name}.js`,
      environment: "node" as const,
      file: await bundle(dataFolder, name, text),
    })),
  );
  await stop();
  const manifest: DeploymentManifest = {
    id: "first",
    modules: entries,
    environmentVariables: { SECRET: "squirrel" },
    fileStorageSecret: "",
    importSeed: "",
    importTimeMs: 0,
  } as DeploymentManifest;
  const executor = new NodeExecutor({
    config: { ...defaultConfig, ...config },
    environment: systemEnvironment,
    dataFolder,
  });
  const run: Fixture["run"] = (name, args = {}, host = {}) => {
    const call = {
      kind: "action",
      deployment: manifest.id,
      module: "actions.js",
      export: name,
      requestId: "abcd",
      identity: null,
      journal: null,
      nowMs: 0,
      seed: "",
      args: validators[name]?.args ?? null,
      returns: validators[name]?.returns ?? null,
    } as FunctionCall;
    const body = new TextEncoder().encode(JSON.stringify([args]));
    return executor.run(manifest, call, body, { ...noHost, ...host });
  };
  try {
    await test({ executor, manifest, run });
  } finally {
    await executor.close();
    await Deno.remove(dataFolder, { recursive: true });
  }
}

const noHost: ActionHost = {
  operation: () => Promise.reject(new Error("No operations here")),
  log: () => {},
};
const encode = (value: unknown) => ({ body: new TextEncoder().encode(JSON.stringify(value)) });
const value = ({ body, outcome }: CallResult) => {
  assert.equal(outcome.kind, "success", JSON.stringify(outcome));
  return JSON.parse(new TextDecoder().decode(body));
};
const failure = ({ outcome }: CallResult) => {
  assert.equal(outcome.kind, "failure");
  return outcome.failure;
};

Deno.test("Node actions run with Node's modules, the deployment's variables and none of the server's", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    assert.equal(
      value(await run("hash", { text: "a" })),
      "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    );
    assert.match(failure(await run("hash", { text: 1 })).message, /^ArgumentValidationError: /);
    Deno.env.set("HULL_TEST_SECRET", "1");
    assert.deepEqual(value(await run("variable")), ["squirrel", null]);
    Deno.env.delete("HULL_TEST_SECRET");
  });
});

Deno.test("function-abi §20: Node actions ask the server for calls, jobs and files", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    const asked: unknown[] = [];
    const host: Partial<ActionHost> = {
      operation(operation, fields, body) {
        const { ts, ...others } = fields;
        asked.push([operation, { ...others, ...ts ? { ts: typeof ts } : {} }, body.byteLength]);
        if (operation === "storageGet") {
          return Promise.resolve({
            body: new TextEncoder().encode("bytes"),
            fields: { found: true, contentType: "text/plain" },
          });
        }
        return Promise.resolve(encode(`answer to ${operation}`));
      },
    };
    assert.deepEqual(value(await run("asks", { n: 1 }, host)), {
      answer: "answer to runQuery",
      job: "answer to schedule",
      id: "answer to storageStore",
      text: "bytes",
      type: "text/plain",
      user: null,
    });
    assert.deepEqual(asked, [
      ["runQuery", { name: "messages:list" }, 7],
      ["schedule", { name: "messages:send", ts: "number" }, 2],
      ["storageStore", { contentType: "text/plain" }, 5],
      ["storageGet", { storageId: "answer to storageStore" }, 0],
    ]);
  });
});

Deno.test("semantics §8: ids in what a Node action gets and returns must be of the tables that are said", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    let names: [number, string][] = [[10_001, "tasks"]];
    const host = { operation: () => Promise.resolve(encode(names)) };
    const id = encodeId(10_001, new Uint8Array(16));
    const wrong =
      failure(await run("checked", { id: encodeId(10_002, new Uint8Array(16)) }, host)).message;
    assert.match(wrong, /^ArgumentValidationError: [^]*tasks/);
    const returned = failure(await run("checked", { id }, host)).message;
    assert.match(returned, /^ReturnsValidationError: [^]*made/);
    // The action may have made the table.
    const renamed = {
      operation: () => {
        const answer = encode(names);
        names = [[10_001, "made"]];
        return Promise.resolve(answer);
      },
    };
    assert.equal(value(await run("checked", { id }, renamed)), id);
  });
});

Deno.test("function-abi §20: what Node actions print is inspected by Node and reaches the host", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    const lines: LogLine[] = [];
    assert.equal(value(await run("prints", {}, { log: (more) => lines.push(...more) })), null);
    assert.deepEqual(
      lines.map(({ level, messages }) => [level, ...messages]),
      [["LOG", "hello { a: 1 }"], ["WARN", "careful"]],
    );
  });
});

Deno.test("errors of Node actions have the author's frames, and ConvexErrors their data", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    const { message, frames } = failure(await run("fails"));
    assert.equal(message, "Uncaught Error: boom");
    assert.match(frames[0]!, /^ {4}at inner \(.*convex\/actions\.ts:\d+:\d+\)$/);
    assert.match(frames[1]!, /convex\/actions\.ts:/);
    assert.equal(frames.length, 2);
    assert.deepEqual(JSON.parse(failure(await run("failsWithData")).data!), { code: 7 });
  });
});

Deno.test("function-abi 1.3: failures of what a Node action calls can be caught with message and data", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    const host: Partial<ActionHost> = {
      operation: () =>
        Promise.resolve({ failure: { message: "no\n", frames: [], data: '{"code":1}' } }),
    };
    assert.deepEqual(value(await run("catches", {}, host)), ["no\n", { code: 1 }]);
  });
});

Deno.test("function-abi §20: forgotten calls are warned of, database calls are refused, unknown names named", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    const lines: LogLine[] = [];
    const host = {
      operation: () => new Promise<never>(() => {}),
      log: (more: readonly LogLine[]) => lines.push(...more),
    };
    assert.equal(value(await run("forgets", {}, host)), null);
    assert.match(lines[0]!.messages[0]!, /^You have an outstanding query call\./);
    assert.match(failure(await run("database")).message, /database object is being used outside/);
    assert.equal(
      failure(await run("nothing")).message,
      "Couldn't find action `nothing` in `actions.js`",
    );
  });
});

Deno.test("function-abi 95: more than 5 MiB of arguments are refused", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    const result = await run("hash", { text: "x".repeat(5 * 1024 * 1024) });
    assert.match(failure(result).message, /^Node actions arguments size is too large/);
  });
});

Deno.test("Node actions run side by side in one process, and more than may wait for their turn", async () => {
  await withNode({ nodeActionsMax: 4 }, { actions: source }, async ({ run }) => {
    const results = await Promise.all(Array.from({ length: 12 }, () => run("waits", { ms: 20 })));
    assert.equal(new Set(results.map(value)).size, 1);
  });
});

Deno.test("a Node action over its time fails and the others of its process end in peace", async () => {
  await withNode({ nodeActionTimeoutS: 1 }, { actions: source }, async ({ run }) => {
    const first = value(await run("waits", { ms: 0 }));
    const over = run("sleeps");
    // The other one has half its time left when the first one is over.
    await run("waits", { ms: 500 });
    const other = run("catches", {}, {
      operation: () => over.then(() => ({ failure: { message: "late", frames: [] } })),
    });
    assert.equal(
      failure(await over).message,
      "Action `actions:sleeps` execution timed out (maximum duration 1s)",
    );
    assert.deepEqual(value(await other), ["late", null]);
    assert.notEqual(value(await run("waits", { ms: 0 })), first);
  });
});

Deno.test("a crashed Node process fails its actions with the reason and is replaced", async () => {
  await withNode({ nodeMemoryMiB: 64 }, { actions: source }, async ({ run }) => {
    const { message } = failure(await run("crashes"));
    assert.match(message, /ended before the action did.*It ended with SIGABRT\.$/);
    assert.match(failure(await run("breaksTheFrames")).message, /ended with SIGKILL/);
    assert.equal(
      failure(await run("fills")).message,
      "JavaScript execution ran out of memory (maximum memory usage: 64 MB)",
    );
    assert.match(failure(await run("buffers")).message, /allocat|out of memory/);
    assert.equal(typeof value(await run("waits", { ms: 0 })), "number");
  });
});

Deno.test("what one Node action does to its process by mistake costs no other action", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    const first = value(await run("waits", { ms: 0 }));
    const other = run("catches", {}, {
      operation: async () => {
        const messages = ["exits", "throwsLater", "forgetsToCatch", "kills"]
          .map(async (name) => failure(await run(name)).message);
        const failure_ = { message: JSON.stringify(await Promise.all(messages)), frames: [] };
        assert.equal(value(await run("floods")), "dry");
        return { failure: failure_ };
      },
    });
    const [messages] = value(await other);
    assert.deepEqual(JSON.parse(messages), [
      "Uncaught Error: process.exit(3) was called. An action ends by returning or throwing.",
      "Uncaught Error: thrown in a timer",
      "Uncaught Error: nobody cares",
      `Uncaught Error: process.kill(${Deno.pid}): process ${Deno.pid} is the server, which actions may not end.`,
    ]);
    assert.equal(value(await run("waits", { ms: 0 })), first);
  });
});

Deno.test("while an action blocks its Node process, others run in another one", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    value(await run("waits", { ms: 0 }));
    const blocked = run("blocks", { ms: 6000 });
    // Within its first second a process is not asked whether it is blocked.
    await new Promise((resolve) => systemEnvironment.setTimer(1100, () => resolve(null)));
    const others = await Promise.all([run("waits", { ms: 0 }), run("waits", { ms: 0 })]);
    const [pid, same] = others.map(value);
    assert.equal(pid, same);
    assert.notEqual(pid, value(await blocked));
  });
});

Deno.test("semantics 9.2: the results of Node actions are checked, and may be large", async () => {
  await withNode({}, { actions: source }, async ({ run }) => {
    assert.equal(value(await run("large", { mib: 15 })).length, 15 * 1024 * 1024);
    assert.equal(
      failure(await run("large", { mib: 17 })).message,
      "Function actions.js:large return value is too large (actual: 17.00 MiB, limit: 16 MiB)",
    );
  });
});

Deno.test("analyze() reports the actions of Node modules and what keeps one from loading", async () => {
  await withNode({}, { actions: source }, async ({ executor, manifest }) => {
    const result = await executor.analyze(manifest);
    assert.equal(result.kind, "success");
    const functions = result.modules["actions.js"]!.functions;
    const hash = functions.find(({ name }) => name === "hash")!;
    assert.equal(hash.visibility, "public");
    assert.match(hash.args!, /"text"/);
    assert.equal(functions.find(({ name }) => name === "asks")!.visibility, "internal");
    assert.deepEqual(hash.position, { path: "actions.js", line: 6, column: 67 });
    assert.deepEqual(functions.map(({ name }) => name).slice(0, 3), ["hash", "variable", "asks"]);
  });
  const query = `"use node";
    import { queryGeneric as query } from "convex/server";
    export const wrong = query(async () => 1);`;
  await withNode({}, { actions: query }, async ({ executor, manifest }) => {
    assert.deepEqual(await executor.analyze(manifest), {
      kind: "failure",
      module: "actions.js",
      message:
        "`wrong` defined in `actions.js` is a Query function. Only actions can be defined in Node.js. See https://docs.convex.dev/functions/actions for more details.",
    });
  });
  const throwing = `console.log("here"); throw new Error("cannot load");`;
  await withNode({}, { actions: throwing }, async ({ executor, manifest }) => {
    const result = await executor.analyze(manifest);
    assert.equal(result.kind, "failure");
    assert.match(result.message, /^Uncaught Error: cannot load\n[^]*\n\n\[LOG\] here$/);
  });
});
