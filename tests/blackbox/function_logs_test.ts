/** What is kept of each execution, and who shows it: `hull logs`, the official `convex logs`, the API. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { makeApp } from "../support/apps.ts";
import { postJson } from "../support/http.ts";
import { programCommand } from "../support/program.ts";
import { OutputLog, ServerProcess } from "../support/server_process.ts";
import { eventually, within } from "../support/waiting.ts";

const cliModule = fileURLToPath(
  new URL("../../node_modules/convex/bin/main.js", import.meta.url),
);

const files = {
  "convex/schema.ts": `
    import { defineSchema, defineTable } from "convex/server";
    import { v } from "convex/values";
    export default defineSchema({ flags: defineTable({ name: v.string() }) });`,
  "convex/talk.ts": `
    import { v } from "convex/values";
    import { api } from "./_generated/api";
    import { action, mutation, query } from "./_generated/server";

    export const raise = mutation({
      args: { name: v.string() },
      handler: async (ctx, { name }) => {
        console.log("raising", { name });
        await ctx.db.insert("flags", { name });
      },
    });
    export const isRaised = query({
      args: { name: v.string() },
      handler: async (ctx, { name }) =>
        (await ctx.db.query("flags").collect()).some((flag) => flag.name === name),
    });
    export const waitFor = action({
      args: { name: v.string() },
      handler: async (ctx, { name }) => {
        console.warn("waiting for", name);
        while (!(await ctx.runQuery(api.talk.isRaised, { name })));
        console.info("it is there");
      },
    });
    export const fail = query({
      args: {},
      handler: () => {
        throw new Error("on purpose");
      },
    });
    export const flood = query({
      args: { n: v.number() },
      handler: (_ctx, { n }) => {
        for (let i = 0; i < 250; i++) console.log(n, "x".repeat(32_000));
      },
    });`,
};

interface Entry {
  readonly kind: string;
  readonly identifier: string;
  readonly requestId: string;
  readonly logLines: readonly { readonly messages: readonly string[]; readonly level: string }[];
  readonly [field: string]: unknown;
}

class Deployment implements AsyncDisposable {
  private constructor(readonly app: string, public server: ServerProcess) {}

  static async start(): Promise<Deployment> {
    const app = await makeApp({ files, packages: ["convex"] });
    const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
    const server = await ServerProcess.start({ dataFolder });
    await server.deploy(app);
    return new Deployment(app, server);
  }

  async call(kind: string, path: string, args: Record<string, unknown> = {}) {
    const { body } = await postJson(`${this.server.url}/api/${kind}`, { path, args });
    return body;
  }

  /** What the log has, as the command lines get it. */
  async page(cursor: number): Promise<{ entries: Entry[]; newCursor: number }> {
    const response = await fetch(
      `${this.server.url}/api/stream_function_logs?cursor=${cursor}&wait=false`,
      {
        headers: {
          authorization: `Convex ${this.server.adminKey}`,
          "convex-client": "npm-cli-1.48.0",
        },
      },
    );
    return await response.json();
  }

  /** The official command line, until the returned object is disposed of. */
  officialLogs(...args: string[]): Following {
    return new Following(
      new Deno.Command("node", {
        args: [cliModule, "logs", ...args],
        cwd: this.app,
        env: {
          CONVEX_SELF_HOSTED_URL: this.server.url,
          CONVEX_SELF_HOSTED_ADMIN_KEY: this.server.adminKey,
          CI: "1",
          NO_COLOR: "1",
        },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
    );
  }

  /** `hull logs` of this server, until the returned object is disposed of. */
  follow(...args: string[]): Following {
    const { url, adminKey } = this.server;
    const words = ["logs", ...args, "--url", url, "--admin-key", adminKey];
    const [program, ...rest] = programCommand(words);
    return new Following(
      new Deno.Command(program, {
        args: rest,
        env: { NO_COLOR: "1" },
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }),
    );
  }

  async killAndRestart(): Promise<void> {
    const { dataFolder } = this.server;
    await this.server.kill();
    this.server = await ServerProcess.start({ dataFolder });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await Deno.remove(this.server.dataFolder, { recursive: true });
    await Deno.remove(this.app, { recursive: true });
  }
}

/** A command that goes on until it is ended. */
class Following implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #output: OutputLog;

  constructor(command: Deno.Command) {
    this.#process = command.spawn();
    this.#output = new OutputLog(this.#process);
  }

  async line(pattern: RegExp): Promise<string> {
    try {
      return await within(this.#output.firstMatch(pattern), 30_000, `a line matching ${pattern}`);
    } catch (error) {
      throw new Error(`${error}; printed:\n${this.#output.text}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.status;
    await this.#output.ended;
  }
}

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "deploy-protocol 34, 35: logs are shown while functions run, kept through SIGKILL, and shown by both command lines",
  options,
  async (t) => {
    await using deployment = await Deployment.start();

    await t.step(
      "the official command shows a mutation when it ends and an action while it runs",
      async () => {
        await using logs = deployment.officialLogs("--success");
        await logs.line(/Watching logs/);
        // Whatever comes before the command has read the log once is history to it.
        for (let shown = false, n = 0; !shown; n++) {
          await deployment.call("mutation", "talk:raise", { name: `attempt ${n}` });
          shown = await Promise.race([
            logs.line(/\[CONVEX M\(talk:raise\)\] \[LOG\] 'raising'/).then(() => true),
            new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 100)),
          ]);
        }
        const waiting = deployment.call("action", "talk:waitFor", { name: "go on" });
        await logs.line(/\[CONVEX A\(talk:waitFor\)\] \[WARN\] 'waiting for' 'go on'/);
        await deployment.call("mutation", "talk:raise", { name: "go on" });
        await logs.line(/\[CONVEX A\(talk:waitFor\)\] \[INFO\] 'it is there'/);
        await logs.line(/\[CONVEX A\(talk:waitFor\)\] Function executed in \d+ ms/);
        assert.equal((await waiting).status, "success");
      },
    );

    let requestId = "";
    await t.step("entries say who ran what for whom, and what it used", async () => {
      const failure = await deployment.call("query", "talk:fail");
      requestId = /Request ID: ([0-9a-f]{16})/.exec(failure.errorMessage)![1]!;
      const { entries } = await deployment.page(0);
      assert.partialDeepStrictEqual(entries.at(-1), {
        kind: "Completion",
        udfType: "Query",
        identifier: "talk:fail",
        requestId,
        caller: "HttpApi",
        identityType: "anonymous",
        cachedResult: false,
        environment: "isolate",
      });
      assert.match(
        String(entries.at(-1)!.error),
        /^Uncaught Error: on purpose\n {4}at handler \(\.\.\/convex\/talk\.ts:\d+:\d+\)$/,
      );
      const action = entries.findLast(({ identifier, kind }) =>
        identifier === "talk:waitFor" && kind === "Completion"
      )!;
      const nested = entries.find(({ identifier }) => identifier === "talk:isRaised")!;
      assert.deepEqual(
        [nested.requestId, nested.parentExecutionId, nested.caller],
        [action.requestId, action.executionId, "Action"],
      );
      const mutation = entries.findLast(({ identifier }) => identifier === "talk:raise")!;
      assert.partialDeepStrictEqual(mutation, {
        usageStats: { databaseWriteDocuments: 1 },
        returnBytes: 4,
        logLines: [{ messages: ["'raising'", "{\n  name: 'go on'\n}"], level: "LOG" }],
      });
      const { memoryUsedMb } = mutation.usageStats as { memoryUsedMb: number };
      assert.ok(memoryUsedMb > 0 && memoryUsedMb < 64, String(memoryUsedMb));
    });

    await t.step("hull logs shows them as well, also after the process was killed", async () => {
      // Logs are written a moment after the call was answered.
      const folder = `${deployment.server.dataFolder}/logs`;
      const isOnDisk = () =>
        [...Deno.readDirSync(folder)].some(({ name }) =>
          Deno.readTextFileSync(`${folder}/${name}`).includes(requestId)
        );
      await eventually(async () => isOnDisk() || undefined, "the failure on disk");
      await deployment.killAndRestart();
      const { server } = deployment;
      const shown = await server.command("logs", "-n", "2");
      assert.equal(shown.code, 0, shown.output);
      assert.match(
        shown.stdout,
        new RegExp(
          `it is there'\n\\d\\d:\\d\\d:\\d\\d ${requestId} query talk:fail \\[FAILED\\] Uncaught Error`,
        ),
      );
      assert.doesNotMatch(shown.stdout, /raising/);
      assert.match(
        (await server.command("logs", "--success")).stdout,
        /isRaised \[SUCCESS\] [\d.]+ ms/,
      );
      const since = (await server.command("logs", "--since", "1h", "--json")).stdout.trimEnd();
      const entries = since.split("\n").map((line) => JSON.parse(line) as Entry);
      assert.deepEqual(entries.at(-1)!.identifier, "talk:fail");
      assert.equal(entries.length, (await deployment.page(0)).entries.length);
      assert.equal((await server.command("logs", "--since", "1x")).code, 2);
      await using history = deployment.officialLogs("--history", "2", "--jsonl");
      assert.equal(JSON.parse(await history.line(/^\{.*talk:fail.*\}$/)).requestId, requestId);
    });

    await t.step("hull logs --follow goes on with what comes", async () => {
      await using logs = deployment.follow("--follow", "-n", "1");
      await logs.line(/talk:fail \[FAILED\]/);
      await deployment.call("mutation", "talk:raise", { name: "followed" });
      await logs.line(/mutation talk:raise \[LOG\] 'raising'/);
    });

    await t.step(
      "a function that floods the log does not push out what others logged",
      async () => {
        for (let n = 0; n < 6; n++) {
          assert.equal((await deployment.call("query", "talk:flood", { n })).status, "success");
        }
        await deployment.call("mutation", "talk:raise", { name: "after the flood" });
        let cursor = 1;
        const identifiers: string[] = [];
        for (;;) {
          const { entries, newCursor } = await deployment.page(cursor);
          if (entries.length === 0) break;
          identifiers.push(...entries.map(({ identifier }) => identifier));
          cursor = newCursor;
        }
        assert.ok(identifiers.includes("talk:fail"));
        const floods = identifiers.filter((identifier) => identifier === "talk:flood").length;
        assert.ok(floods >= 1 && floods <= 3, String(floods));
        assert.equal(identifiers.at(-1), "talk:raise");
      },
    );
  },
);
