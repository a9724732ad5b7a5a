/** Environment variables on a real server: both command lines, every runtime, and what lies on disk. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { ConvexClient, ConvexHttpClient } from "convex/browser";
import { makeFunctionReference } from "convex/server";
import { api } from "../support/api.ts";
import { copyApp, makeApp, writeAppFile } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { runOfficialCli } from "../support/official_cli.ts";
import { ServerProcess } from "../support/server_process.ts";

const variables = `
import { action, mutation, query } from "./_generated/server";
const atImport = process.env.COLOUR ?? null;
const read = () => [atImport, process.env.COLOUR ?? null, process.env.CONVEX_CLOUD_URL ?? null];
export const inQuery = query(async () => read());
export const inMutation = mutation(async () => read());
export const inAction = action(async () => read());
export const shape = query(async () => {
  process.env.COLOUR = "assigned";
  return [typeof process.version, Object.keys(process.env), "COLOUR" in process.env, process.env.COLOUR ?? null];
});
`;
const inNode = `"use node";
import { action } from "./_generated/server";
export const inNode = action(async () => [process.env.COLOUR ?? null, process.env.HULL_ENCRYPTION_KEY ?? null]);
`;
const secret = "squirrel-7f3a";
const encryptionKey = "a key of this server, which is long enough";

const listing = makeFunctionReference<"query">("_system/cli/queryEnvironmentVariables");
const getting = makeFunctionReference<"query">("_system/cli/queryEnvironmentVariables:get");
const absent = makeFunctionReference<"query">("_system/none:here");

Deno.test("semantics 11, 78, function-abi 81, §14: every runtime sees a changed variable at once, and nothing tells it", async () => {
  const app = await makeApp({ files: { "convex/vars.ts": variables, "convex/node.ts": inNode } });
  const dataFolder = await Deno.makeTempDir();
  try {
    const environment = { HULL_ENCRYPTION_KEY: encryptionKey };
    {
      await using server = await ServerProcess.start({ dataFolder, environment });
      await server.deploy(app);
      const clients = new Clients(server);
      const http = clients.http();
      const live = watch(clients.live(), api.vars.inQuery, {});
      await live.until(([value]) => value === null, "no variable");
      assert.equal((await server.command("env", "set", "COLOUR", secret)).code, 0);
      await live.until(([first, second]) => first === secret && second === secret, "the variable");
      const everywhere = [secret, secret, server.url];
      assert.deepEqual(await http.mutation(api.vars.inMutation), everywhere);
      assert.deepEqual(await http.action(api.vars.inAction), everywhere);
      assert.deepEqual(await http.action(api.node.inNode), [secret, null]);
      assert.deepEqual(await http.query(api.vars.shape), ["undefined", [], false, secret]);
      const builtIn = await server.command("env", "set", "CONVEX_CLOUD_URL", secret);
      assert.match(builtIn.output, /CONVEX_CLOUD_URL is set by the server/);
      const long = await server.command("env", "set", "LONG", secret.repeat(1000));
      assert.match(long.output, /The value of LONG is too large/);
      assert.ok(!(server.log + builtIn.output + long.output).includes(secret));
      await clients.close();
    }
    for (const name of ["hull.sqlite3", "hull.sqlite3-wal"]) {
      const bytes = await Deno.readFile(`${dataFolder}/${name}`).catch(() => new Uint8Array());
      assert.ok(!new TextDecoder("latin1").decode(bytes).includes(secret), name);
    }
    await assert.rejects(Deno.stat(`${dataFolder}/encryption_key`), Deno.errors.NotFound);

    // The old key in the file, the new one beside it.
    await Deno.writeTextFile(`${dataFolder}/encryption_key`, encryptionKey);
    const rotated = { HULL_ENCRYPTION_KEY: encryptionKey.toUpperCase() };
    await (await ServerProcess.start({ dataFolder, environment: rotated })).stop();
    await Deno.remove(`${dataFolder}/encryption_key`);
    await assert.rejects(
      ServerProcess.start({ dataFolder, environment }),
      /encrypted under another key/,
    );
    {
      await using server = await ServerProcess.start({ dataFolder, environment: rotated });
      const http = new ConvexHttpClient(server.url);
      assert.deepEqual(await http.query(api.vars.inQuery), [secret, secret, server.url]);
    }
    const options = { dataFolder, environment, arguments: ["--discard-env"] };
    await using server = await ServerProcess.start(options);
    assert.equal((await server.command("env", "list")).stdout, "");
  } finally {
    await Deno.remove(app, { recursive: true });
    await Deno.remove(dataFolder, { recursive: true });
  }
});

Deno.test("deploy-protocol 27: the official command line sets, gets, lists and removes variables", async () => {
  const app = await copyApp("examples/chat", { packages: ["convex"] });
  await using server = await ServerProcess.start();
  const run = (...args: string[]) => runOfficialCli(server, app, ["env", ...args]);
  const convex = async (...args: string[]) => {
    const result = await run(...args);
    assert.equal(result.code, 0, result.output);
    return result;
  };
  assert.match((await convex("list")).output, /No environment variables set/);
  const lines = "first\nsecond # 'quoted' \"twice\"";
  const large = "ä".repeat(4096);
  await convex("set", "LINES", lines);
  await convex("set", "LARGE", large);
  assert.equal((await convex("get", "LINES")).stdout, `${lines}\n`);
  assert.equal((await convex("get", "LARGE")).stdout, `${large}\n`);
  await writeAppFile(app, "more.env", `B=2\nA="one\ntwo"\n`);
  await convex("set", "--from-file", "more.env");
  assert.deepEqual((await convex("list", "--names-only")).stdout.trim().split("\n"), [
    "A",
    "B",
    "LARGE",
    "LINES",
  ]);
  await convex("remove", "LARGE");

  // What `hull env list` prints can be read back.
  const listed = await server.command("env", "list");
  await writeAppFile(app, "again.env", listed.stdout);
  await convex("remove", "LINES");
  await convex("set", "--from-file", "again.env");
  assert.equal((await convex("get", "LINES")).stdout, `${lines}\n`);
  assert.equal((await convex("get", "A")).stdout, "one\ntwo\n");

  for (
    const [name, value, code] of [
      ["1A", "x", "EnvironmentVariableNameInvalid"],
      ["A".repeat(257), "x", "EnvironmentVariableNameTooLong"],
      ["A", "x".repeat(8193), "EnvironmentVariableValueTooLarge"],
      ["CONVEX_SITE_URL", "x", "EnvVarNameForbidden"],
    ] as const
  ) {
    const refused = await fetch(`${server.url}/api/update_environment_variables`, {
      method: "POST",
      headers: {
        authorization: `Convex ${server.adminKey}`,
        "content-type": "application/json",
      },
      body: JSON.stringify({ changes: [{ name, value }] }),
    });
    assert.deepEqual([refused.status, (await refused.json()).code], [400, code]);
  }
  await Deno.remove(app, { recursive: true });
});

Deno.test("deploy-protocol §7: system queries are live for administrators, before anything is pushed, and closed to others", async () => {
  await using server = await ServerProcess.start();
  const client = new ConvexClient(server.url);
  // @ts-expect-error: it is not part of the public types.
  client.client.setAdminAuth(server.adminKey);
  const [a, b] = [{ name: "A", value: "1" }, { name: "B", value: "2" }];
  const live = watch(client, listing, {});
  const shows = (expected: unknown) =>
    live.until((value) => isDeepStrictEqual(value, expected), JSON.stringify(expected));
  await shows([]);
  await server.command("env", "set", "B", "2");
  await shows([b]);
  await server.command("env", "set", "A", "1");
  await shows([a, b]);
  await client.close();

  const admin = new ConvexHttpClient(server.url);
  // @ts-expect-error: it is not part of the public types.
  admin.setAdminAuth(server.adminKey);
  assert.deepEqual(await admin.query(getting, { name: "A" }), a);
  assert.equal(await admin.query(getting, { name: "toString" }), null);
  await assert.rejects(admin.query(getting, {}), /missing the required field `name`/);
  await assert.rejects(admin.query(absent), /Could not find/);
  await assert.rejects(new ConvexHttpClient(server.url).query(listing), /Server Error/);
  const { output } = await server.command(
    "run",
    "_system/cli/queryEnvironmentVariables:get",
    '{"name":"B"}',
  );
  assert.match(output, /value.*2/);
});
