/**
 * The executable that `deno task compile` makes, on a machine that has little else. The other tests of this folder run
 * against it, too, when HULL_BINARY names it; these always do.
 */
import assert from "node:assert/strict";
import type { FunctionReference } from "convex/server";
import { version } from "../../cli/version.ts";
import { api } from "../support/api.ts";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { runOfficialCli } from "../support/official_cli.ts";
import { makeExecutable } from "../support/program.ts";
import { type CommandResult, ServerProcess } from "../support/server_process.ts";
import { eventually } from "../support/waiting.ts";

/** All that unpacking asks of a system, beside a shell. */
const tools = ["sh", "cat", "chmod", "find", "gzip", "mkdir", "mktemp", "mv", "rm", "sed"]
  .concat(["tail", "tar", "uname"]);

const app = {
  "package.json": '{ "name": "app", "dependencies": { "convex": "*" } }',
  "convex/schema.ts": `
    import { defineSchema, defineTable } from "convex/server";
    import { v } from "convex/values";
    export default defineSchema({
      notes: defineTable({ text: v.string(), embedding: v.array(v.float64()) })
        .searchIndex("by_text", { searchField: "text" })
        .vectorIndex("by_embedding", { vectorField: "embedding", dimensions: 2 }),
    });`,
  "convex/notes.ts": `
    import { v } from "convex/values";
    import { action, mutation, query } from "./_generated/server";
    export const add = mutation({
      args: { text: v.string(), embedding: v.array(v.float64()) },
      handler: async (ctx, note) => { await ctx.db.insert("notes", note); },
    });
    export const all = query(async (ctx) => (await ctx.db.query("notes").collect()).map((note) => note.text));
    export const search = query({
      args: { words: v.string() },
      handler: async (ctx, { words }) =>
        (await ctx.db.query("notes").withSearchIndex("by_text", (q) => q.search("text", words)).collect())
          .map((note) => note.text),
    });
    export const nearest = action({
      args: { vector: v.array(v.float64()) },
      handler: async (ctx, { vector }) =>
        (await ctx.vectorSearch("notes", "by_embedding", { vector, limit: 1 })).map(({ _score }) => _score),
    });
    export const fail = query(() => { throw new Error("as expected"); });`,
  "convex/machine.ts": `"use node";
    import { createHash } from "node:crypto";
    import { v } from "convex/values";
    import { action } from "./_generated/server";
    export const digest = action({
      args: { text: v.string() },
      handler: (_ctx, { text }) => createHash("sha256").update(text).digest("hex").slice(0, 8),
    });`,
  "convex/http.ts": `
    import { httpRouter } from "convex/server";
    import { httpAction } from "./_generated/server";
    const http = httpRouter();
    http.route({ path: "/echo", method: "POST", handler: httpAction(async (_ctx, request) => new Response(request.body)) });
    export default http;`,
};

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name:
    "the executable: first starts, a bare machine, and all kinds of functions (needs a POSIX shell)",
  ...options,
  ignore: Deno.build.os === "windows",
  async fn(test) {
    const root = await Deno.makeTempDir({ prefix: "hull-executable-" });
    try {
      // Others than its owner start it, too.
      await Deno.chmod(root, 0o755);
      const machine = new Machine(root, await makeExecutable(root));
      await test.step("it says its version without unpacking anything", () => saysVersion(machine));
      // What `deno compile` makes keeps its files in a way of its own.
      const ignore = !await isScript(machine.executable);
      await test.step({
        name: "a file that is damaged says so and leaves nothing behind",
        ignore,
        fn: () => noticesDamage(machine),
      });
      await test.step({
        name: "three first starts at once unpack it whole, and once",
        ignore,
        fn: () => startsAtOnce(machine),
      });
      await test.step({
        name: "it says which folder cannot be written and what to do",
        ignore,
        fn: () => namesUnwritableCache(machine),
      });
      await test.step({
        name: "with a cache that may only be read, later starts work",
        ignore,
        fn: () => startsFromReadOnlyCache(machine),
      });
      await test.step("arguments arrive as they are, and statuses leave so", () =>
        passesArguments(machine));
      await test.step("init and dev need neither Node.js, npm nor a network", () =>
        developsOnBareMachine(machine));
      await test.step("functions of every kind, pushes, backup and restore", () =>
        servesEverything(machine));
    } finally {
      await Deno.remove(root, { recursive: true });
    }
  },
});

/** Where the executable is tried. */
class Machine {
  readonly root: string;
  readonly executable: string;
  /** Its cache. */
  readonly cache: string;

  constructor(root: string, executable: string) {
    this.root = root;
    this.executable = executable;
    this.cache = `${root}/cache`;
  }

  async run(args: string[], command: Deno.CommandOptions = {}): Promise<CommandResult> {
    const { env, ...others } = command;
    const { code, stdout, stderr } = await new Deno.Command(this.executable, {
      args,
      env: { NO_COLOR: "1", HULL_CACHE_DIR: this.cache, ...env },
      stdin: "null",
      ...others,
    }).output();
    const decoder = new TextDecoder();
    const text = decoder.decode(stdout);
    return { code, stdout: text, output: text + decoder.decode(stderr) };
  }

  async start(environment: Record<string, string> = {}, dataFolder?: string) {
    return await ServerProcess.start({
      executable: this.executable,
      environment: { HULL_CACHE_DIR: this.cache, ...environment },
      ...dataFolder !== undefined && { dataFolder },
    });
  }
}

async function saysVersion(machine: Machine): Promise<void> {
  const { code, stdout } = await machine.run(["--version"]);
  assert.deepEqual([code, stdout], [0, `${version}\n`]);
  await assert.rejects(Deno.stat(machine.cache), Deno.errors.NotFound);
}

async function noticesDamage(machine: Machine): Promise<void> {
  const damaged = new Machine(machine.root, `${machine.root}/damaged`);
  const bytes = await Deno.readFile(machine.executable);
  bytes[bytes.length >> 1]! ^= 1;
  await Deno.writeFile(damaged.executable, bytes, { mode: 0o755 });
  const whole = await damaged.run(["--help"]);
  await Deno.writeFile(damaged.executable, bytes.subarray(0, bytes.length >> 1), { mode: 0o755 });
  const half = await damaged.run(["--help"]);
  for (const { code, output } of [whole, half]) {
    assert.equal(code, 1);
    assert.match(output, /could not be unpacked.*\n.*download Hull again/);
  }
  assert.deepEqual([...Deno.readDirSync(machine.cache)], []);
  await Deno.remove(damaged.executable);
}

async function startsAtOnce(machine: Machine): Promise<void> {
  const results = await Promise.all([1, 2, 3].map(() => machine.run(["--help"])));
  for (const { code, output } of results) {
    assert.equal(code, 0, output);
    assert.match(output, /Usage: hull/);
  }
  const names = [...Deno.readDirSync(machine.cache)].map(({ name }) => name);
  assert.equal(names.length, 1, names.join());
  assert.ok(names[0]!.startsWith(`${version}-`));
  const parts = [...Deno.readDirSync(`${machine.cache}/${names[0]}`)].map(({ name }) => name);
  assert.deepEqual(parts.sort(), ["app", "deno", "deno_cache"]);
}

async function namesUnwritableCache(machine: Machine): Promise<void> {
  const file = `${machine.root}/file`;
  await Deno.writeTextFile(file, "");
  const { code, output } = await machine.run(["--help"], { env: { HULL_CACHE_DIR: `${file}/x` } });
  assert.equal(code, 1);
  assert.match(output, /\/file\/x cannot be written.*\n.*HULL_CACHE_DIR/);
  const homeless = await machine.run(["--help"], {
    env: { HULL_CACHE_DIR: "", XDG_CACHE_HOME: "", HOME: "" },
  });
  assert.match(homeless.output, /no home folder.*\n.*HULL_CACHE_DIR/);
}

async function startsFromReadOnlyCache(machine: Machine): Promise<void> {
  const { success } = await new Deno.Command("chmod", { args: ["-R", "a-w", machine.cache] })
    .output();
  assert.ok(success);
  // Nothing is forbidden to root.
  const nobody = Deno.uid() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const home = await Deno.makeTempDir({ prefix: "hull-home-" });
  try {
    await Deno.chmod(home, 0o777);
    const { code, output } = await machine.run(["dev", "--once", "--port", "0"], {
      cwd: home,
      env: { HOME: home },
      ...nobody,
    });
    assert.equal(code, 1);
    assert.match(output, /convex/, "it says that there is no app");
    const app = `${home}/app`;
    assert.equal((await machine.run(["init", app], { ...nobody })).code, 0);
    const pushed = await machine.run(["dev", "--once", "--port", "0"], { cwd: app, ...nobody });
    assert.equal(pushed.code, 0, pushed.output);
  } finally {
    await Deno.remove(home, { recursive: true });
    await new Deno.Command("chmod", { args: ["-R", "u+w", machine.cache] }).output();
  }
}

async function passesArguments(machine: Machine): Promise<void> {
  const strange = ` a  "b" $HOME \\n '*' ü`;
  const { code, output } = await machine.run(["check", "--data", strange]);
  assert.equal(code, 1);
  assert.ok(output.includes(strange), output);
}

async function developsOnBareMachine(machine: Machine): Promise<void> {
  const bin = `${machine.root}/bin`;
  await Deno.mkdir(bin);
  for (const name of tools) await Deno.symlink(await findProgram(name), `${bin}/${name}`);
  const nowhere = "http://127.0.0.1:9";
  const env = {
    PATH: bin,
    HULL_CACHE_DIR: `${machine.root}/other-cache`,
    HOME: machine.root,
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    NO_PROXY: "127.0.0.1,localhost",
  };
  const app = `${machine.root}/app`;
  const { code, output } = await machine.run(["init", app], { env });
  assert.equal(code, 0, output);
  await using server = await ServerProcess.start({
    executable: machine.executable,
    command: "dev",
    app,
    environment: env,
  });
  const client = new Clients(server).http();
  const query = (name: FunctionReference<"query">) => () =>
    client.query(name, {}).catch(() => undefined);
  assert.deepEqual(await eventually(query(api.tasks.list), "the first push"), []);
  await client.mutation(api.tasks.create, { text: "sail" });
  assert.equal((await client.query(api.tasks.list, {}))[0].text, "sail");
  assert.match(await (await fetch(server.url)).text(), /<html/);
  assert.equal((await fetch(`${server.url}/_hull/convex.js`)).status, 200);
  await writeAppFile(
    app,
    "convex/more.ts",
    'import { query } from "./_generated/server";\nexport const hello = query(() => "hello");\n',
  );
  assert.equal(await eventually(query(api.more.hello), "the second push"), "hello");
}

async function servesEverything(machine: Machine): Promise<void> {
  const folder = await makeApp({ files: app, packages: ["convex"] });
  const dataFolder = `${machine.root}/data`;
  const restored = `${machine.root}/restored`;
  try {
    await using server = await machine.start({}, dataFolder);
    const address = ["--url", server.url, "--admin-key", server.adminKey];
    const deployed = await machine.run(["deploy", "--app", folder, ...address]);
    assert.equal(deployed.code, 0, deployed.output);
    const client = new Clients(server).http();
    await client.mutation(api.notes.add, { text: "red boats", embedding: [1, 0] });
    await client.mutation(api.notes.add, { text: "blue sails", embedding: [0, 1] });
    assert.deepEqual(await client.query(api.notes.all, {}), ["red boats", "blue sails"]);
    assert.deepEqual(await client.query(api.notes.search, { words: "sails" }), ["blue sails"]);
    assert.deepEqual(await client.action(api.notes.nearest, { vector: [0, 2] }), [1]);
    assert.equal(await client.action(api.machine.digest, { text: "hull" }), "fb4dac7b");
    const echo = await fetch(`${server.url}/echo`, { method: "POST", body: "ahoy" });
    assert.equal(await echo.text(), "ahoy");
    await assert.rejects(client.query(api.notes.fail, {}), /Server Error/);

    await writeAppFile(folder, "convex/late.ts", app["convex/notes.ts"].replace("red", "green"));
    const official = await runOfficialCli(server, folder, ["deploy", "-y"]);
    assert.equal(official.code, 0, official.output);
    assert.equal((await client.query(api.late.all, {})).length, 2);

    const file = `${machine.root}/backup.tar`;
    const saved = await machine.run(["backup", file, ...address]);
    assert.equal(saved.code, 0, saved.output);
    const unpacked = await machine.run(["restore", file, "--data", restored]);
    assert.equal(unpacked.code, 0, unpacked.output);
    await using again = await machine.start({}, restored);
    assert.equal((await new Clients(again).http().query(api.late.all, {})).length, 2);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function isScript(path: string): Promise<boolean> {
  return /^#!/.test(new TextDecoder().decode((await Deno.readFile(path)).subarray(0, 2)));
}

async function findProgram(name: string): Promise<string> {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":")) {
    const path = `${folder}/${name}`;
    if (await Deno.stat(path).then(({ isFile }) => isFile, () => false)) return path;
  }
  throw new Error(`This machine has no ${name}`);
}
