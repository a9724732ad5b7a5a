/** External packages of Node actions: a real server, the real npm, and a registry that the test has written. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { api } from "../support/api.ts";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { NpmRegistry } from "../support/npm_registry.ts";
import { ServerProcess } from "../support/server_process.ts";
import { within } from "../support/waiting.ts";

const cliModule = fileURLToPath(
  new URL("../../node_modules/convex/bin/main.js", import.meta.url),
);

const greeter = {
  name: "hull-greeter",
  version: "1.2.3",
  dependencies: { "hull-words": "^1.0.0" },
  files: {
    "index.js": `exports.greet = () => "installed, words " + require("hull-words").version;`,
  },
};
const words = (version: string) => ({
  name: "hull-words",
  version,
  files: { "index.js": `exports.version = "${version}";` },
});
const app = {
  packages: ["convex"],
  files: {
    "convex.json": JSON.stringify({ node: { externalPackages: ["*"] } }),
    "package.json": JSON.stringify({ dependencies: { "hull-greeter": "^1.0.0", convex: "*" } }),
    "node_modules/hull-greeter/package.json": JSON.stringify({ version: "1.2.3" }),
    "node_modules/hull-greeter/index.js": `exports.greet = () => "the developer's own copy";`,
    "convex/greetings.ts": [
      `"use node";`,
      `import { action } from "./_generated/server"; import greeter from "hull-greeter";`,
      `export const greet = action({ args: {}, handler: async () => greeter.greet() });`,
    ].join("\n"),
  },
};

Deno.test("deploy-protocol 25: external packages are installed once, with the versions of the app", async () => {
  await using registry = new NpmRegistry();
  registry.publish(greeter);
  registry.publish(words("1.1.0"));
  const folder = await makeApp(app);
  const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
  const cache = await Deno.makeTempDir({ prefix: "hull-npm-" });
  const environment = { npm_config_registry: registry.url, npm_config_cache: cache };
  const start = () => ServerProcess.start({ dataFolder, environment });
  const greet = async (server: ServerProcess) => {
    const clients = new Clients(server);
    return await clients.http().action(api.greetings.greet).finally(() => clients.close());
  };
  try {
    {
      await using server = await start();
      await server.deploy(folder);
      assert.equal(await greet(server), "installed, words 1.1.0");
    }
    const asked = registry.requests.length;
    assert.ok(asked > 0);
    {
      await using server = await start();
      assert.equal(await greet(server), "installed, words 1.1.0");
      await writeAppFile(folder, "convex/more.ts", `export const one = 1;`);
      await deployWithOfficialCommand(server, folder);
      assert.equal(await greet(server), "installed, words 1.1.0");
      assert.equal(registry.requests.length, asked, "nothing was asked of the registry again");

      // A version that nobody has published.
      await writeAppFile(folder, "node_modules/hull-greeter/package.json", `{"version": "9.9.9"}`);
      const refused = await server.command("deploy", "--app", folder);
      assert.notEqual(refused.code, 0);
      assert.match(refused.output, /npm could not install the external packages:[^]*9\.9\.9/);
      assert.equal(await greet(server), "installed, words 1.1.0");
    }
    // As after a backup was restored: the same packages again, though newer ones fit by now.
    registry.publish(words("1.9.0"));
    await Deno.remove(`${dataFolder}/packages`, { recursive: true });
    {
      await using server = await start();
      await server.firstLine(/Installed the external packages/);
      assert.equal(await greet(server), "installed, words 1.1.0");
    }
  } finally {
    for (const each of [folder, dataFolder, cache]) await Deno.remove(each, { recursive: true });
  }
});

async function deployWithOfficialCommand(server: ServerProcess, folder: string): Promise<void> {
  const command = new Deno.Command("node", {
    args: [cliModule, "deploy", "--typecheck", "disable"],
    cwd: folder,
    env: {
      CONVEX_SELF_HOSTED_URL: server.url,
      CONVEX_SELF_HOSTED_ADMIN_KEY: server.adminKey,
      CI: "1",
    },
    stdin: "null",
  });
  const { code, stderr } = await within(command.output(), 60_000, "convex deploy");
  assert.equal(code, 0, new TextDecoder().decode(stderr));
}
