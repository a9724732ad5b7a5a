/** Where commands find their server and their settings, and what they say when they do not. */
import assert from "node:assert/strict";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

const app = {
  "convex/notes.ts": `
    import { mutation, query } from "./_generated/server";
    export const add = mutation({ handler: async (ctx) => await ctx.db.insert("notes", { n: 1n }) });
    export const count = query({ handler: async (ctx) => (await ctx.db.query("notes").collect()).length });`,
};

Deno.test("commands find the server by the data folder, by .env.local, or say what is missing", async () => {
  const folder = await makeApp({ files: app });
  const here = { cwd: folder };
  const none = await runCommand(["run", "notes:count"], here);
  assert.equal(none.code, 2);
  assert.match(
    none.output,
    /✖ No server runs on the data folder \.hull\. Start one with .*--admin-key/s,
  );

  await using server = await ServerProcess.start({ cwd: folder, dataFolder: `${folder}/.hull` });
  assert.match((await runCommand(["deploy"], here)).output, /\+ notes:add \(mutation\)/);
  assert.equal((await runCommand(["run", "notes:count"], here)).stdout, "0\n");
  const elsewhere = { cwd: "/" };
  const byFolder = await runCommand(["run", "notes:count", "--data", `${folder}/.hull`], elsewhere);
  assert.equal(byFolder.stdout, "0\n", byFolder.output);

  const otherFolder = await makeApp({});
  const inOther = { cwd: otherFolder };
  await writeAppFile(otherFolder, ".env.local", `CONVEX_SELF_HOSTED_URL="${server.url}"\n`);
  const noKey = await runCommand(["run", "notes:count"], inOther);
  assert.equal(noKey.code, 2);
  assert.match(noKey.output, /The admin key of http.* is missing\. Give it with --admin-key/);
  await writeAppFile(
    otherFolder,
    ".env.local",
    `CONVEX_SELF_HOSTED_URL="${server.url}"\nCONVEX_SELF_HOSTED_ADMIN_KEY='${server.adminKey}'\n`,
  );
  assert.equal((await runCommand(["run", "notes:count"], inOther)).stdout, "0\n");
  // What the shell says counts more than the file.
  const environment = { CONVEX_SELF_HOSTED_URL: "http://127.0.0.1:9" };
  const byShell = await runCommand(["run", "notes:count", "--admin-key", "k"], {
    ...inOther,
    environment,
  });
  assert.equal(byShell.code, 1);
  assert.match(byShell.output, /No server answers at http:\/\/127\.0\.0\.1:9/);
  await server.stop();
  const gone = await runCommand(["run", "notes:count"], here);
  assert.equal(gone.code, 2, "a server that stopped leaves no address behind");
  await Deno.remove(folder, { recursive: true });
  await Deno.remove(otherFolder, { recursive: true });
});

Deno.test("data lists tables and shows documents; what it prints as JSON keeps every value", async () => {
  const folder = await makeApp({ files: app });
  await using server = await ServerProcess.start();
  await server.deploy(folder);
  assert.match((await server.command("data")).output, /There are no tables yet/);
  for (let count = 0; count < 3; count++) await server.command("run", "notes:add");
  assert.match((await server.command("data")).stdout, /^notes {2}3$/m);
  assert.deepEqual(JSON.parse((await server.command("data", "--json")).stdout), [
    { table: "notes", documents: 3 },
  ]);
  const table = await server.command("data", "notes", "--limit", "2");
  assert.match(table.stdout, /^_id +n +_creationTime\n─/);
  assert.equal(table.stdout.trim().split("\n").length, 4);
  assert.match(table.output, /These are the newest 2; --limit shows more/);
  const times = async (order: string) => {
    const { stdout } = await server.command("data", "notes", "--order", order, "--format", "jsonl");
    const documents = stdout.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(documents[0].n, { $integer: "AQAAAAAAAAA=" });
    return documents.map((document) => document._creationTime);
  };
  assert.deepEqual((await times("asc")).toReversed(), await times("desc"));
  const unknown = await server.command("data", "note");
  assert.equal(unknown.code, 2);
  assert.match(unknown.output, /There is no table note\. Did you mean notes\?/);
  assert.equal((await server.command("data", "notes", "--order", "up")).code, 2);

  const zip = `${folder}/data.zip`;
  assert.match((await server.command("export", zip)).stdout, /Wrote .*data\.zip: .* kB/);
  assert.match((await server.command("export", zip)).output, /exists\. Choose another name/);
  await server.command("export", folder);
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  assert.equal(names.filter((name) => name.endsWith(".zip")).length, 2, names.join());
  await Deno.remove(folder, { recursive: true });
});

Deno.test("hull.json gives what is given nowhere else, and says where it is wrong", async () => {
  const folder = await makeApp({ files: app });
  const write = (content: unknown) =>
    writeAppFile(
      folder,
      "hull.json",
      typeof content === "string" ? content : JSON.stringify(content),
    );
  await write({ data: "kept/here", settings: { HULL_FUNCTION_TIMEOUT_MS: 1200 } });
  const key = await runCommand(["admin-key"], { cwd: folder });
  assert.match(key.output, /There is no server's data in kept\/here/);
  const environment = { HULL_DATA: "from-the-environment" };
  const byVariable = await runCommand(["admin-key"], { cwd: folder, environment });
  assert.match(byVariable.output, /no server's data in from-the-environment/);
  const byFlag = await runCommand(["admin-key", "--data", "flag"], { cwd: folder, environment });
  assert.match(byFlag.output, /no server's data in flag/);

  await write({ port: 4000, settings: { HULL_LOG_MIB: 3 } });
  const config = async (...args: string[]) => {
    const { stdout } = await runCommand(["config", ...args], {
      cwd: folder,
      environment: { HULL_HOST: "::1" },
    });
    return JSON.parse(stdout);
  };
  const shown: readonly { name: string }[] = await config("--json", "--data", "flag");
  const find = (wanted: string) => shown.find(({ name }) => name === wanted);
  assert.deepEqual(["data", "host", "port", "app", "HULL_LOG_MIB", "HULL_HISTORY_S"].map(find), [
    { name: "data", value: "flag", source: "command line" },
    { name: "host", value: "::1", source: "environment" },
    { name: "port", value: 4000, source: "hull.json" },
    { name: "app", value: ".", source: "default" },
    { name: "HULL_LOG_MIB", value: 3, source: "hull.json" },
    { name: "HULL_HISTORY_S", value: 150, source: "default" },
  ]);
  const schema = await config("--schema");
  assert.equal(schema.properties.port.maximum, 65_535);
  assert.equal(schema.properties.settings.properties.HULL_LOG_MIB.minimum, 1);

  for (
    const [content, complaint] of [
      ["{", /hull\.json is not valid JSON/],
      [{ prot: 1 }, /hull\.json is wrong:\n.*"prot"/],
      [{ port: 70_000 }, /65535\n.*at port/],
      [{ settings: { HULL_LOG_MIB: 0 } }, />=1\n.*settings\.HULL_LOG_MIB/],
    ] as const
  ) {
    await write(content);
    const result = await runCommand(["serve"], { cwd: folder });
    assert.equal(result.code, 2, result.output);
    assert.match(result.output, complaint);
  }
  await Deno.remove(folder, { recursive: true });
});

Deno.test("each command has help; mistyped words are answered with what may have been meant", async () => {
  const help = await runCommand(["--help"]);
  assert.equal(help.code, 0);
  const commands = [...help.stdout.matchAll(/^ {2}([a-z-]+) /gm)].map(([, name]) => name!);
  assert.ok(commands.includes("doctor") && commands.includes("completion"), help.stdout);
  for (const command of ["init", "dev", "import", "env", "logs"]) {
    assert.ok(commands.includes(command));
    const own = await runCommand([command, "--help"]);
    assert.equal(own.code, 0);
    assert.match(own.stdout, new RegExp(`^Usage: hull ${command}`));
  }
  const command = await runCommand(["exprot"]);
  assert.equal(command.code, 2);
  assert.match(command.output, /✖ unknown command 'exprot'\n\(Did you mean export\?\)/);
  const option = await runCommand(["dev", "--prot", "1"]);
  assert.equal(option.code, 2);
  assert.match(option.output, /unknown option '--prot'\n\(Did you mean --port\?\)/);
  const member = await runCommand(["env", "lst"]);
  assert.match(member.output, /Did you mean list\?/);
  assert.match((await runCommand(["--version"])).stdout, /^\d+\.\d+\.\d+\n$/);
});
