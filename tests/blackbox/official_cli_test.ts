/** The unmodified command line of the npm package `convex` against Hull, as a self-hosted deployment. */
import assert from "node:assert/strict";
import { copyApp, writeAppFile } from "../support/apps.ts";
import { runOfficialCli } from "../support/official_cli.ts";
import { type CommandResult, ServerProcess } from "../support/server_process.ts";

/** The chat example and an empty server for it. */
class Deployment implements AsyncDisposable {
  private constructor(readonly app: string, readonly server: ServerProcess) {}

  static async start(): Promise<Deployment> {
    const app = await copyApp("examples/chat", { packages: ["convex"] });
    return new Deployment(app, await ServerProcess.start());
  }

  /** Runs the official command line to its end. */
  async convex(args: readonly string[], key = this.server.adminKey): Promise<CommandResult> {
    return await runOfficialCli(this.server, this.app, args, key);
  }

  async mustConvex(...args: string[]): Promise<CommandResult> {
    const result = await this.convex(args);
    assert.equal(result.code, 0, `convex ${args.join(" ")}:\n${result.output}\n${this.server.log}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await Deno.remove(this.app, { recursive: true });
  }
}

const dev = ["dev", "--once", "--tail-logs", "disable", "--typecheck", "disable"];
const deploy = ["deploy", "--typecheck", "disable"];

Deno.test("deploy-protocol 7, 8, 9: the official dev command pushes, pushes again, and pushes a change", async () => {
  await using deployment = await Deployment.start();
  const first = await deployment.mustConvex(...dev);
  assert.match(first.output, /\[\+\] messages\.by_author/);
  assert.match(first.output, /Convex functions ready/);
  const message = JSON.stringify({ author: "User 123", body: "Hello world" });
  await deployment.mustConvex("run", "messages:send", message);
  await deployment.mustConvex(...dev);
  const listed = await deployment.mustConvex("run", "messages:list");
  assert.match(listed.stdout, /Hello world/);

  await writeAppFile(
    deployment.app,
    "convex/more.ts",
    `import { query } from "./_generated/server"; export const one = query({ handler: () => 1 });`,
  );
  await deployment.mustConvex(...dev);
  assert.equal((await deployment.mustConvex("run", "more:one")).stdout.trim(), "1");
  await Deno.remove(`${deployment.app}/convex/more.ts`);
  await deployment.mustConvex(...dev);
  const gone = await deployment.convex(["run", "more:one"]);
  assert.notEqual(gone.code, 0);
});

Deno.test("deploy-protocol 18, 26: the official deploy command deploys; a dry run and codegen do not", async () => {
  await using deployment = await Deployment.start();
  await deployment.mustConvex("codegen", "--typecheck", "disable");
  const { output: trial } = await deployment.mustConvex(...deploy, "--dry-run", "--verbose");
  assert.match(trial, /Remote config would be overwritten/);
  assert.doesNotMatch(trial, /version for Node\.js actions/);
  assert.notEqual((await deployment.convex(["run", "messages:list"])).code, 0);
  const { output } = await deployment.mustConvex(...deploy);
  assert.match(output, /Deployed Convex functions/);
  assert.equal((await deployment.mustConvex("run", "messages:list")).stdout.trim(), "[]");
  const schema = `${deployment.app}/convex/schema.ts`;
  const text = await Deno.readTextFile(schema);
  await Deno.writeTextFile(schema, text.replace('"by_author", ["author"]', '"by_body", ["body"]'));
  const { output: changed } = await deployment.mustConvex(...deploy);
  assert.match(changed, /No large indexes are deleted by this push/);
  assert.match(changed, /\[-\] messages\.by_author[^]*\[\+\] messages\.by_body/);
  await deployment.mustConvex("env", "set", "GREETING", "hello");
  const { code } = await deployment.server.command("env", "get", "GREETING");
  assert.equal(code, 0);
});

Deno.test("deploy-protocol 2, 11: the official commands say what is wrong and exit with status 1", async () => {
  await using deployment = await Deployment.start();
  const wrongKey = await deployment.convex(deploy, "hull|wrong");
  assert.equal(wrongKey.code, 1);
  assert.match(wrongKey.output, /admin key was invalid/);

  await deployment.mustConvex(...dev);
  await writeAppFile(
    deployment.app,
    "convex/broken.ts",
    `export {};\nthrow new Error("thrown while loading");`,
  );
  const thrown = await deployment.convex(dev);
  assert.equal(thrown.code, 1);
  assert.match(
    thrown.output,
    /InvalidModules: Loading the pushed modules[^]*Failed to analyze broken\.js: Uncaught Error: thrown while loading/,
  );
  await Deno.remove(`${deployment.app}/convex/broken.ts`);
});

Deno.test("semantics 42, deploy-protocol 14, 15: the official command lines tell what becomes of indexes", async () => {
  await using deployment = await Deployment.start();
  const push = async (indexes: string, command: string[]) => {
    await writeAppFile(
      deployment.app,
      "convex/schema.ts",
      `import { defineSchema, defineTable } from "convex/server";
       import { v } from "convex/values";
       const messages = defineTable({ author: v.string(), body: v.string() });
       export default defineSchema({ messages: messages${indexes} });`,
    );
    return (await deployment.mustConvex(...command)).output;
  };
  const staged = await push(
    `.index("by_author", ["author"]).index("by_body", { fields: ["body"], staged: true })`,
    dev,
  );
  assert.match(
    staged,
    /Added table indexes:\s+\[\+\] messages\.by_author {3}author, _creationTime/,
  );
  assert.match(staged, /Added staged table indexes:\s+\[\+\] messages\.by_body .*\(staged\)/);
  const enabled = await push(`.index("by_body", ["body"])`, deploy);
  assert.match(enabled, /Deleted table indexes:\s+\[-\] messages\.by_author/);
  assert.match(enabled, /These indexes are now enabled:\s+\[\*\] messages\.by_body/);
  const disabled = await push(`.index("by_body", { fields: ["body"], staged: true })`, dev);
  assert.match(disabled, /These indexes are now staged:\s+\[\*\] messages\.by_body .*\(staged\)/);
});

Deno.test("deploy-protocol 13: a schema that the data contradicts fails the official push", async () => {
  await using deployment = await Deployment.start();
  await deployment.mustConvex(...dev);
  const message = JSON.stringify({ author: "User 123", body: "Hello world" });
  await deployment.mustConvex("run", "messages:send", message);
  const schema = `${deployment.app}/convex/schema.ts`;
  const text = await Deno.readTextFile(schema);
  await Deno.writeTextFile(schema, text.replace("body: v.string()", "body: v.number()"));
  const refused = await deployment.convex(deploy);
  assert.equal(refused.code, 1);
  assert.match(refused.output, /Schema validation failed/);
  assert.match(refused.output, /Document with ID "[a-z0-9]+" in table "messages" does not match/);
  await deployment.mustConvex("run", "messages:send", message);
});

Deno.test("deploy-protocol 3, 21: the official command lines name what auth.config.ts misses, and act as users", async () => {
  await using deployment = await Deployment.start();
  await writeAppFile(
    deployment.app,
    "convex/auth.config.ts",
    `export default { providers: [{ domain: process.env.MY_ISSUER!, applicationID: "app" }] };`,
  );
  await writeAppFile(
    deployment.app,
    "convex/users.ts",
    `import { query } from "./_generated/server";
     export const whoami = query({ handler: (ctx) => ctx.auth.getUserIdentity() });`,
  );
  const missing = await deployment.convex(deploy);
  assert.equal(missing.code, 1);
  assert.match(
    missing.output,
    /Environment variable MY_ISSUER is used in auth config file but its value was not set/,
  );
  await deployment.mustConvex("env", "set", "MY_ISSUER", "https://issuer.example");
  const { output } = await deployment.mustConvex(...dev);
  assert.match(output, /ready/);
  const identity = { subject: "ada", issuer: "https://issuer.example", name: "Ada" };
  const run = ["run", "users:whoami", "--identity", JSON.stringify(identity)];
  const seen = JSON.parse((await deployment.mustConvex(...run)).stdout);
  assert.deepEqual([seen.subject, seen.name], ["ada", "Ada"]);
  const removal = await deployment.convex(["env", "remove", "MY_ISSUER"]);
  assert.equal(removal.code, 1);
  assert.match(removal.output, /MY_ISSUER is used in auth config file/);
});
