/** What a bundle may be made of, pushed by Hull's own command line and by the official one. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { copyApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { runOfficialCli } from "../support/official_cli.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

const legacyPackage = {
  "package.json": JSON.stringify({
    name: "bundling",
    dependencies: { convex: "1.48.0", legacy: "1.0.0" },
  }),
  "node_modules/legacy/package.json": JSON.stringify({ name: "legacy", main: "./main.js" }),
  "node_modules/legacy/main.js":
    `exports.named = "by name"; if (typeof require === "function") exports.isLegacy = require("./flag");`,
  "node_modules/legacy/flag.js": `module.exports = true;`,
};

let server: ServerProcess;
let app: string;
Deno.test.beforeAll(async () => {
  app = await copyApp("tests/fixtures/bundling", { packages: ["convex"], files: legacyPackage });
  server = await ServerProcess.start();
  await server.deploy(app);
});
Deno.test.afterAll(async () => {
  await server?.stop();
  await Deno.remove(app, { recursive: true });
});

function test(name: string, body: (clients: Clients) => Promise<void>): void {
  Deno.test({
    name,
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const clients = new Clients(server);
      try {
        await body(clients);
      } finally {
        await clients.close();
      }
    },
  });
}

/** What the server has, by path. */
async function modulesOnServer(): Promise<Record<string, string>> {
  const response = await fetch(`${server.url}/api/get_config_hashes`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ version: "1.48.0", adminKey: server.adminKey }),
  });
  const { moduleHashes } = await response.json();
  return Object.fromEntries(
    moduleHashes.map((each: { path: string; hash: string; environment: string }) => [
      each.path,
      `${each.environment} ${each.hash}`,
    ]),
  );
}

async function checkQueries(clients: Clients): Promise<void> {
  const client = clients.http();
  assert.equal(await client.query(api.page.render, {}), "<p>Hello, Ada <h1>there</h1></p>");
  assert.deepEqual(await client.query(api.plain.all, {}), [
    "by name",
    "by name",
    true,
    "from a CommonJS file",
  ]);
  assert.equal(await client.query(api.modern.default, {}), 4);
  assert.equal(await client.query(api.adder.add, {}), 42);
}

test(
  "deploy-protocol 3.4: TSX, JSON, paths of tsconfig.json, CommonJS, .mjs and wasm are bundled",
  checkQueries,
);

async function checkDynamicImports(clients: Clients): Promise<void> {
  const client = clients.http();
  const refusal = "TypeError: dynamic module import unsupported";
  assert.equal(await client.action(api.dynamic.fromAction, {}), "loaded later");
  assert.equal(await client.query(api.dynamic.fromQuery, {}), refusal);
  assert.equal(await client.mutation(api.dynamic.fromMutation, {}), refusal);
  assert.deepEqual(await client.action(api.node.digest, {}), ["7da4681c", "loaded later"]);
}

test(
  "semantics 14: dynamic imports work in actions and reject in queries and mutations",
  checkDynamicImports,
);

const modulePaths = [
  ...["adder.js", "dynamic.js", "lib/inner.js", "lib/large.js", "modern.js", "node.js"],
  ...["page.js", "plain.js"],
];
const withoutChunks = (modules: Record<string, string>) =>
  Object.keys(modules).filter((path) => !path.startsWith("_deps/")).sort();

test("deploy-protocol 3.4: files without functions are no modules", async () => {
  assert.deepEqual(withoutChunks(await modulesOnServer()), modulePaths);
});

test("deploy-protocol 9: functions that the official command line pushed do the same", async (clients) => {
  const result = await runOfficialCli(server, app, ["deploy", "--typecheck", "disable"]);
  assert.equal(result.code, 0, result.output);
  assert.deepEqual(withoutChunks(await modulesOnServer()), modulePaths);
  await checkQueries(clients);
  await checkDynamicImports(clients);
});

test("--debug-bundle-path writes what a push would send, and pushes nothing", async () => {
  const before = await modulesOnServer();
  const folder = await Deno.makeTempDir();
  try {
    const args = ["--app", app, "--debug-bundle-path", folder];
    for (
      const command of [runCommand(["dev", "--once", ...args]), server.command("deploy", ...args)]
    ) {
      const { code, output } = await command;
      assert.equal(code, 0, output);
      assert.match(output, /Nothing was pushed/);
    }
    const map = JSON.parse(await Deno.readTextFile(`${folder}/isolate/page.js.map`));
    assert.ok(map.sources.includes("../shared/greeting.ts"), map.sources.join());
    assert.match(
      await Deno.readTextFile(`${folder}/isolate/page.js`),
      /sourceMappingURL=page\.js\.map/,
    );
    assert.match(await Deno.readTextFile(`${folder}/node/node.js`), /node:crypto/);
    assert.deepEqual(await modulesOnServer(), before);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("--debug-node-apis tells by which imports a module of Node.js is reached", async () => {
  const broken = await copyApp("tests/fixtures/bundling", {
    files: { ...legacyPackage, "node_modules/legacy/flag.js": `module.exports = require("fs");` },
  });
  try {
    const plain = await server.command("deploy", "--app", broken);
    assert.equal(plain.code, 1);
    assert.match(plain.output, /with --debug-node-apis to see which imports lead there/);
    const { code, output } = await server.command("deploy", "--app", broken, "--debug-node-apis");
    assert.equal(code, 1);
    assert.match(
      output,
      /These imports lead there:\n {2}convex\/plain\.js\n {2}node_modules\/legacy\/main\.js\n {2}node_modules\/legacy\/flag\.js\n {2}fs/,
    );
  } finally {
    await Deno.remove(broken, { recursive: true });
  }
});

test("semantics 84: stacks name the line that was written, also after bundling", async () => {
  const { code, output } = await server.command("run", "page:fail");
  assert.equal(code, 1);
  assert.match(output, /nothing to show: null\n\s+at .*\.\.\/convex\/page\.tsx:16:9/);
});

test("function-abi 15: a module that waits while it is imported is refused", async () => {
  const waiting = await copyApp("tests/fixtures/bundling", {
    files: {
      ...legacyPackage,
      "convex/waiting.ts": "export const value = await Promise.resolve(1);",
    },
  });
  try {
    const before = await modulesOnServer();
    const { code, output } = await server.command("deploy", "--app", waiting);
    assert.equal(code, 1);
    assert.match(output, /analyze waiting\.js: .*Top-level awaits in source files are unsupported/);
    assert.deepEqual(await modulesOnServer(), before);
  } finally {
    await Deno.remove(waiting, { recursive: true });
  }
});
