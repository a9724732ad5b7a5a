/** Components of an app through pushes: installed, bound to variables, changed, unmounted and there again. */
import assert from "node:assert/strict";
import { ApiClient } from "../../cli/api_client.ts";
import { startPushRequest } from "../../cli/push.ts";
import { loadAppFolder } from "../../src/deploy/app_folder.ts";
import { bundleApp } from "../../src/deploy/bundle.ts";
import { api } from "../support/api.ts";
import { copyApp, writeAppFile } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { runOfficialCli } from "../support/official_cli.ts";
import { type CommandResult, ServerProcess } from "../support/server_process.ts";

const { use } = api;
const dev = ["dev", "--once", "--tail-logs", "disable", "--typecheck", "disable"];

function succeeded(result: CommandResult): CommandResult {
  assert.equal(result.code, 0, result.output);
  return result;
}

interface Evaluations {
  readonly componentSchemaEvaluations: Readonly<
    Record<
      string,
      { readonly indexes: readonly { name: string; change: string; numDocs: number }[] }
    >
  >;
}

Deno.test("components through pushes", async (t) => {
  const app = await copyApp("tests/fixtures/local_components", { packages: ["convex"] });
  await using server = await ServerProcess.start();
  const clients = new Clients(server);
  const client = clients.http({ adminKey: server.adminKey });
  const admin = new ApiClient(server.url, server.adminKey);
  const official = async (...args: string[]) => succeeded(await runOfficialCli(server, app, args));
  const config = `${app}/convex/convex.config.ts`;
  const original = await Deno.readTextFile(config);
  const generated = (path: string) => Deno.readTextFile(`${app}/${path}`);

  await t.step(
    "components 1: the official command line pushes components inside the app",
    async () => {
      const { output } = await official(...dev);
      for (const path of ["work", "work/inner", "home", "home/inner"]) {
        assert.match(output, new RegExp(`Installed component ${path}\\.`));
      }
      assert.match(
        await generated("convex/_generated/api.d.ts"),
        /components: \{\s*work: import\("\.\.\/\.\.\/notes\/_generated\/component\.js"\)\.ComponentApi<"work">;\s*home: /,
      );
    },
  );

  await t.step(
    "components 4: a component's types list its public functions and nothing else",
    async () => {
      const byOfficial = await generated("notes/_generated/component.ts");
      await server.deploy(app);
      const byHull = await generated("notes/_generated/component.ts");
      for (const text of [byOfficial, byHull]) {
        assert.match(
          text,
          /add: FunctionReference<\s*"mutation",\s*"internal",\s*\{ text: string[;,] pinned\?: boolean \},\s*string,\s*Name\s*>/,
        );
        assert.match(
          text,
          /list: FunctionReference<"query", "internal", \{\}, Array<string>, Name>/,
        );
        assert.doesNotMatch(text, /unbound/);
      }
      assert.match(
        await generated("notes/inner/_generated/component.ts"),
        /deep: \{\s*values: \{\s*echo: .*literal: "a" \| 1 \| true; nested: \{ count\?: bigint; list: Array<ArrayBuffer> \}; table: Record<string, number> \}, null, Name>/,
      );
    },
  );

  await t.step("components 2: one definition used twice has two sets of data", async () => {
    await client.mutation(use.add, { to: "work", text: "at work" });
    assert.deepEqual(await client.query(use.list, { of: "work" }), ["at work"]);
    assert.deepEqual(await client.query(use.list, { of: "home" }), []);
  });

  await t.step(
    "deploy-protocol 3.12: evaluate_schema tells which indexes of components change, and how large",
    async () => {
      const loaded = await loadAppFolder(app);
      const bundle = await bundleApp(loaded);
      const components = bundle.components.map((component) => ({
        ...component,
        schema: component.schema && {
          ...component.schema,
          source: component.schema.source.replace('"by_text"', '"by_other_name"'),
        },
      }));
      const body = startPushRequest(loaded, { ...bundle, components }, { moduleHashes: [] });
      const { componentSchemaEvaluations } = await admin.post(
        "/api/deploy2/evaluate_schema",
        body,
      ) as Evaluations;
      const changes = (path: string) =>
        componentSchemaEvaluations[path]!.indexes
          .map(({ name, change, numDocs }) => [name, change, numDocs]);
      assert.deepEqual(changes(""), []);
      const added = "notes.by_other_name";
      assert.deepEqual(changes("work"), [[added, "added", 1], ["notes.by_text", "dropped", 1]]);
      assert.deepEqual(changes("home"), [[added, "added", 0], ["notes.by_text", "dropped", 0]]);
    },
  );

  await t.step(
    "components 8, 9, 9.5: variables reach a component as far as they are bound, without a push",
    async () => {
      succeeded(await server.command("env", "set", "APP_SECRET", "first"));
      const { work, home } = await client.query(use.variables, {});
      const site = (await admin.get("/api/v1/get_canonical_urls") as { convexSiteUrl: string })
        .convexSiteUrl;
      assert.deepEqual(work, {
        ...{ mode: "fast", secret: "first", other: null, site: `${site}/work` },
        inner: { mode: "fast", ofParent: "first", site: `${site}/work/in` },
      });
      assert.deepEqual(home, {
        ...{ mode: "slow", secret: null, other: null, site },
        inner: { mode: "slow", ofParent: null, site },
      });
      succeeded(await server.command("env", "set", "APP_SECRET", "second"));
      const { work: changed } = await client.query(use.variables, {});
      assert.deepEqual([changed.secret, changed.inner.ofParent], ["second", "second"]);
    },
  );

  await t.step(
    "components §14: a push that changes nothing says so",
    async () => {
      const { output } = succeeded(await server.command("deploy", "--app", app));
      assert.match(output, /nothing has changed/);
    },
  );

  await t.step("components 6: the app's definition reads the deployment's variables", async () => {
    const deploy = async () =>
      succeeded(await server.command("deploy", "--app", app, "--typecheck", "disable"));
    succeeded(await server.command("env", "set", "READ_IN_CONFIG", "named"));
    const { output } = await deploy();
    assert.match(output, /\+ component named\n/);
    succeeded(await server.command("env", "remove", "READ_IN_CONFIG"));
    assert.match((await deploy()).output, /\+ component work\n/);
    assert.deepEqual(await client.query(use.list, { of: "work" }), ["at work"]);
  });

  await t.step(
    "components 11: a component that is not used keeps its data, which nobody writes",
    async () => {
      await writeAppFile(
        app,
        "convex/convex.config.ts",
        original.replace(/app\.use\(notes, \{\s*name: process[^]*?\}\);/, ""),
      );
      await official(...dev);
      const data = await official("data", "notes", "--component", "work");
      assert.match(data.stdout, /at work/);
      await assert.rejects(
        client.mutation(use.add, { to: "work", text: "lost" }),
        /Server Error/,
      );
      await writeAppFile(app, "convex/convex.config.ts", original);
      await official(...dev);
      assert.deepEqual(await client.query(use.list, { of: "work" }), ["at work"]);
    },
  );

  await t.step(
    "components 13: documents of a component that contradict its schema fail the push",
    async () => {
      const schema = `${app}/notes/schema.ts`;
      const before = await Deno.readTextFile(schema);
      await Deno.writeTextFile(schema, before.replace("text: v.string()", "text: v.number()"));
      const byHull = await server.command("deploy", "--app", app, "--typecheck", "disable");
      const byOfficial = await runOfficialCli(server, app, dev);
      for (const { code, output } of [byHull, byOfficial]) {
        assert.notEqual(code, 0);
        assert.match(output, /Schema validation failed in component "work"/);
      }
      await Deno.writeTextFile(schema, before);
      await server.deploy(app);
    },
  );

  await t.step(
    "components 12, dashboard-api 15: a component is deleted for good when nobody uses it",
    async () => {
      const deleteComponent = (componentId: string) =>
        fetch(`${server.url}/api/delete_component`, {
          method: "POST",
          headers: {
            authorization: `Convex ${server.adminKey}`,
            "content-type": "application/json",
          },
          body: JSON.stringify({ componentId }),
        });
      const components = async () =>
        await client.query(api._system.frontend.components.list, {}) as {
          id: string;
          path: string;
          state: string;
          httpPrefix: string | null;
        }[];
      const named = (await components()).find(({ path }) => path === "named");
      assert.equal(named?.state, "unmounted");
      const work = (await components()).find(({ path }) => path === "work");
      const refused = await deleteComponent(work!.id);
      assert.deepEqual([refused.status, (await refused.json()).code], [
        400,
        "ComponentMustBeUnmounted",
      ]);
      const unknown = await deleteComponent(named.id.replace(/^./, (c) => c === "0" ? "1" : "0"));
      assert.deepEqual([unknown.status, (await unknown.json()).code], [404, "ComponentNotFound"]);
      const deleted = await deleteComponent(named.id);
      assert.deepEqual([deleted.status, await deleted.text()], [200, ""]);
      const prefixes = (await components()).map(({ path, httpPrefix }) => [path, httpPrefix]);
      assert.deepEqual(prefixes, [
        ["", null],
        ["work", "/work/"],
        ["work/inner", "/work/in/"],
        ["home", null],
        ["home/inner", null],
      ]);
      assert.equal((await deleteComponent(named.id)).status, 404);
    },
  );

  await t.step(
    "components 7: generating the code of a component needs no values of its variables",
    async () => {
      const generatedFile = `${app}/notes/_generated/component.ts`;
      await Deno.remove(generatedFile);
      await official("codegen", "--component-dir", "notes", "--typecheck", "disable");
      assert.match(await Deno.readTextFile(generatedFile), /list: FunctionReference/);
    },
  );

  await clients.close();
  await Deno.remove(app, { recursive: true });
});
