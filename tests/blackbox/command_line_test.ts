/** The program's own commands: what they print, how they fail, and their exit status. */
import assert from "node:assert/strict";
import { copyApp, makeApp, writeAppFile } from "../support/apps.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

/** Runs `test` with the chat example and a server that has it. */
async function withChat(test: (server: ServerProcess, app: string) => Promise<void>) {
  const app = await copyApp("examples/chat");
  await using server = await ServerProcess.start();
  await server.deploy(app);
  await test(server, app);
  await Deno.remove(app, { recursive: true });
}

Deno.test("run calls functions, and env keeps variables", () =>
  withChat(async (server) => {
    const sent = await server.command("run", "messages:send", '{"author": "A", "body": "hi"}');
    assert.equal(sent.code, 0, sent.output);
    const listed = await server.command("run", "messages:list");
    assert.equal(JSON.parse(listed.stdout)[0].body, "hi");
    const internal = await server.command("run", "messages:transcript");
    assert.equal(internal.code, 0, internal.output);

    const refused = await server.command("run", "messages:send", '{"author": "A", "body": ""}');
    assert.equal(refused.code, 1);
    assert.equal(refused.stdout, "");
    assert.match(refused.output, /ConvexError/);
    const missing = await server.command("run", "messages:nothing");
    assert.equal(missing.code, 1);
    assert.match(missing.output, /Could not find function for 'messages:nothing'/);
    assert.match(missing.output, /There are: .*messages:send/);
    const mistyped = await server.command("run", "messages:lst");
    assert.match(mistyped.output, /Did you mean messages:list\?/);
    const noJson = await server.command("run", "messages:list", "{limit}");
    assert.equal(noJson.code, 2);
    assert.match(noJson.output, /are no JSON\. Give an object/);

    assert.equal((await server.command("env", "set", "GREETING", "a\nb")).code, 0);
    assert.equal((await server.command("env", "get", "GREETING")).stdout, "a\nb\n");
    assert.match((await server.command("env", "list")).stdout, /^GREETING='a\nb'$/m);
    assert.equal((await server.command("env", "remove", "GREETING")).code, 0);
    assert.equal((await server.command("env", "get", "GREETING")).code, 1);

    const setFrom = (input: string) =>
      runCommand(["env", "set", "KEY"], {
        input,
        environment: {
          CONVEX_SELF_HOSTED_URL: server.url,
          CONVEX_SELF_HOSTED_ADMIN_KEY: server.adminKey,
        },
      });
    const key = "-----BEGIN KEY-----\nabc\n-----END KEY-----";
    assert.equal((await setFrom(`${key}\n`)).code, 0);
    assert.equal((await server.command("env", "get", "KEY")).stdout, `${key}\n`);
    const nothing = await setFrom("");
    assert.equal(nothing.code, 2);
    assert.match(nothing.output, /No value for KEY: give it after the name, or to standard input/);
  }));

Deno.test("deploy says what is wrong, changes nothing then, and exits with status 1", () =>
  withChat(async (server, app) => {
    await writeAppFile(app, "convex/broken.ts", "export const a = ;");
    const syntax = await server.command("deploy", "--app", app);
    assert.equal(syntax.code, 1);
    assert.match(syntax.output, /convex\/broken\.ts:1:17:\n\s+1 │ export const a = ;/);

    await writeAppFile(app, "convex/broken.ts", 'export {};\nthrow new Error("while loading");');
    const thrown = await server.command("deploy", "--app", app);
    assert.equal(thrown.code, 1);
    assert.match(thrown.output, /✖ Push failed\. Nothing has changed on the server\./);
    assert.match(thrown.output, /while loading/);
    assert.match(thrown.output, /convex\/broken\.ts:2:\d+:\n\s+2 │ throw new Error/);
    assert.equal((await server.command("run", "messages:list")).code, 0);

    const elsewhere = ["--url", "http://127.0.0.1:9", "--admin-key", "k"];
    const unreachable = await runCommand(["deploy", "--app", app, ...elsewhere]);
    assert.equal(unreachable.code, 1);
    const wrongKey = await runCommand([
      ...["deploy", "--app", app],
      ...["--url", server.url, "--admin-key", "hull|wrong"],
    ]);
    assert.equal(wrongKey.code, 1);
    assert.match(wrongKey.output, /admin key was invalid[^]*Check --admin-key/);
    const noApp = await server.command("deploy", "--app", `${app}/convex`);
    assert.equal(noApp.code, 1);
    assert.match(noApp.output, /There is no folder .*Create it/);
  }));

Deno.test("admin-key prints the key of the data folder", async () => {
  await using server = await ServerProcess.start();
  const shown = await runCommand(["admin-key", "--data", server.dataFolder]);
  assert.equal(shown.stdout.trim(), server.adminKey);
  const none = await runCommand(["admin-key", "--data", `${server.dataFolder}/none`]);
  assert.equal(none.code, 1);
  assert.match(none.output, /There is no server's data/);
});

Deno.test("serve does not start without its port, its data folder or sensible settings", async () => {
  await using server = await ServerProcess.start();
  const { port } = new URL(server.url);
  const folder = await Deno.makeTempDir({ prefix: "hull-data-" });
  const samePort = await runCommand(["serve", "--port", port, "--data", folder]);
  assert.equal(samePort.code, 1);
  assert.match(samePort.output, new RegExp(`Port ${port} is in use.*choose another port`));
  const sameData = await runCommand(["serve", "--port", "0", "--data", server.dataFolder]);
  assert.equal(sameData.code, 1);
  assert.match(sameData.output, /in use by another Hull server/);
  const noPort = await runCommand(["serve", "--port", "many"]);
  assert.equal(noPort.code, 2);
  assert.match(noPort.output, /Give a number from 0 to 65535/);
  const noCommand = await runCommand(["unknown"]);
  assert.equal(noCommand.code, 2);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("dev --once pushes, generates types and stops", async () => {
  const app = await makeApp({
    files: {
      "convex/a.ts":
        `import { query } from "./_generated/server"; export const one = query(() => 1);`,
    },
  });
  const once = ["dev", "--once", "--app", app, "--port", "0", "--data", `${app}/data`];
  const pushed = await runCommand(once);
  assert.equal(pushed.code, 0, pushed.output);
  assert.match(pushed.stdout, /^hull ready on http:\/\/127\.0\.0\.1:\d+$/m);
  assert.match(await Deno.readTextFile(`${app}/convex/_generated/api.d.ts`), /"a": typeof import/);
  await writeAppFile(app, "convex/a.ts", "export const a = ;");
  const failed = await runCommand(once);
  assert.equal(failed.code, 1);
  assert.match(failed.output, /✖ Push failed/);
  await Deno.remove(app, { recursive: true });
});

Deno.test("deploy-protocol 13: dev pushes again by itself when the documents have been put right", async () => {
  const functions = `
    import { mutation } from "./_generated/server";
    export const add = mutation({ handler: async (ctx) => { await ctx.db.insert("notes", { n: 1 }); } });
    export const clear = mutation({
      handler: async (ctx) => { for await (const note of ctx.db.query("notes")) await ctx.db.delete(note._id); },
    });
  `;
  const app = await makeApp({ files: { "convex/notes.ts": functions } });
  const server = await ServerProcess.start({ command: "dev", app });
  await server.firstLine(/Functions ready/);
  assert.equal((await server.command("run", "notes:add")).code, 0);
  const refused = server.nextLine(/Push failed\. The version before keeps running/);
  await writeAppFile(
    app,
    "convex/schema.ts",
    `import { defineSchema, defineTable } from "convex/server";
     import { v } from "convex/values";
     export default defineSchema({ notes: defineTable({ n: v.string() }) });`,
  );
  await refused;
  const ready = server.nextLine(/Functions ready/);
  assert.equal((await server.command("run", "notes:clear")).code, 0);
  await ready;
  assert.equal(server.log.match(/Push failed/g)?.length, 1, "a failure is told once");
  await server.stop();
  await Deno.remove(app, { recursive: true });
});
