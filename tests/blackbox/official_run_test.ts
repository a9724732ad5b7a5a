/** `run` and its neighbours of the official command line, on one server that is all they may reach. */
import assert from "node:assert/strict";
import { makeFunctionReference } from "convex/server";
import { api } from "../support/api.ts";
import { makeConvexApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { followOfficialCli, runOfficialCli } from "../support/official_cli.ts";
import { ServerProcess } from "../support/server_process.ts";

const prices = `
import { v } from "convex/values";
import { action, internalQuery, mutation, query } from "../_generated/server";

export const put = mutation({
  args: { name: v.string() },
  handler: async (ctx, { name }) => {
    await ctx.db.insert("prices", { name });
    return "put " + name;
  },
});
export const names = query({
  args: {},
  handler: async (ctx) => (await ctx.db.query("prices").collect()).map(({ name }) => name),
});
export const ask = action({ args: {}, handler: () => "asked" });
export const secret = internalQuery({ args: {}, handler: () => "internal" });
export default query({ args: {}, handler: () => "default" });
`;

const http = `
import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";

const http = httpRouter();
http.route({ path: "/prices", method: "GET", handler: httpAction(async () => new Response()) });
export default http;
`;

interface FunctionSpec {
  readonly identifier?: string;
  readonly functionType: string;
  readonly visibility?: { readonly kind: string };
}

Deno.test("functions run from the official command line", async (t) => {
  const app = await makeConvexApp({
    "convex/shop/prices.ts": prices,
    "convex/http.ts": http,
  });
  await using server = await ServerProcess.start();
  const mustConvex = async (...args: string[]) => {
    const { code, stdout, output } = await runOfficialCli(server, app, args);
    assert.equal(code, 0, `convex ${args.join(" ")}:\n${output}`);
    return stdout.trim();
  };

  const admin = new Clients(server).http({ adminKey: server.adminKey });
  const functionSpecs = (): Promise<FunctionSpec[]> =>
    admin.query(makeFunctionReference<"query">("_system/cli/modules:apiSpec"));
  assert.deepEqual(await functionSpecs(), [], "nothing was pushed yet");

  await t.step(
    "deploy-protocol 1: URL and key are enough, and no other host is needed",
    async () => {
      await mustConvex("codegen", "--typecheck", "disable");
      await mustConvex("deploy", "--typecheck", "disable");
    },
  );

  await t.step(
    "deploy-protocol 28: run finds every kind of function, public or internal",
    async () => {
      assert.equal(await mustConvex("run", "shop/prices:put", '{"name":"tea"}'), '"put tea"');
      const answers = await Promise.all([
        mustConvex("run", "shop/prices:names"),
        mustConvex("run", "shop/prices:ask"),
        mustConvex("run", "shop/prices:secret"),
        mustConvex("run", "shop/prices"),
      ]);
      assert.deepEqual(answers.map((answer) => JSON.parse(answer)), [
        ["tea"],
        "asked",
        "internal",
        "default",
      ]);
    },
  );

  await t.step("deploy-protocol 29: run lists the functions when it finds none", async () => {
    const { code, output } = await runOfficialCli(server, app, ["run", "nosuch:fn"]);
    assert.equal(code, 1);
    assert.match(output, /Could not find function for 'nosuch:fn'/);
    assert.match(
      output,
      /Available functions:\n• shop\/prices:put\n• shop\/prices:names\n• shop\/prices:ask/,
    );
  });

  await t.step("deploy-protocol §7: the list has kinds, visibilities and validators", async () => {
    const byName = new Map((await functionSpecs()).map((spec) => [spec.identifier, spec]));
    assert.deepEqual(byName.get("shop/prices.js:put"), {
      identifier: "shop/prices.js:put",
      functionType: "Mutation",
      visibility: { kind: "public" },
      args: { type: "object", value: { name: { fieldType: { type: "string" }, optional: false } } },
      returns: { type: "any" },
    });
    assert.equal(byName.get("shop/prices.js:ask")?.functionType, "Action");
    assert.deepEqual(byName.get("shop/prices.js:secret")?.visibility, { kind: "internal" });
    assert.deepEqual((await functionSpecs()).at(-1), {
      functionType: "HttpAction",
      method: "GET",
      path: "/prices",
    });
  });

  await t.step("deploy-protocol 31: run --watch prints again when data changes", async () => {
    await using watching = followOfficialCli(server, app, ["run", "shop/prices:names", "--watch"]);
    await watching.firstLine(/"tea"/);
    const printed = watching.nextLine(/"coffee"/);
    await new Clients(server).http().mutation(api.shop.prices.put, { name: "coffee" });
    await printed;
  });

  await t.step(
    "deploy-protocol 30: inline queries may be expressions, statements and modules, and cannot write",
    async () => {
      const inline = (query: string) =>
        runOfficialCli(server, app, ["run", "--inline-query", query]);
      const mustInline = async (query: string) => {
        const { code, stdout, output } = await inline(query);
        assert.equal(code, 0, output);
        return JSON.parse(stdout);
      };
      const names = `(await ctx.db.query("prices").collect()).map(({ name }) => name)`;
      assert.deepEqual(await mustInline(names), ["tea", "coffee"]);
      assert.equal(
        await mustInline(`const first = await ctx.db.query("prices").first();\nreturn first.name;`),
        "tea",
      );
      const module =
        `export default query({ handler: async (ctx) => (await ctx.db.query("prices").first()).name });`;
      assert.equal(await mustInline(module), "tea");
      const writing = await inline(`await ctx.db.insert("prices", { name: "milk" })`);
      assert.equal(writing.code, 1);
      assert.deepEqual(await mustInline(names), ["tea", "coffee"]);
      const broken = await inline("this is no code at all");
      assert.equal(broken.code, 1);
      assert.match(broken.output, /InvalidTestQuery/);
      const none = await inline("export default query; export const other = query(() => 1);");
      assert.equal(none.code, 1);
    },
  );

  await t.step(
    "deploy-protocol 28: run --push pushes first, dev --once --run runs afterwards",
    async () => {
      await Deno.writeTextFile(
        `${app}/convex/fresh.ts`,
        `import { query } from "./_generated/server"; export const one = query({ handler: () => 1 });`,
      );
      assert.match(
        await mustConvex("run", "fresh:one", "--push", "--typecheck", "disable"),
        /^1$/m,
      );
    },
  );

  await t.step(
    "deploy-protocol 27: env sets, lists and removes variables, also from a file",
    async () => {
      await mustConvex("env", "set", "ONE", "first\nsecond");
      assert.equal(await mustConvex("env", "get", "ONE"), "first\nsecond");
      await Deno.writeTextFile(`${app}/variables`, "TWO=2\nTHREE='a b'\n");
      await mustConvex("env", "set", "--from-file", "variables");
      const listed = await mustConvex("env", "list", "--include-values");
      assert.match(listed, /THREE=.?a b.?\n[^]*TWO=2/);
      await mustConvex("env", "remove", "ONE");
      assert.doesNotMatch(await mustConvex("env", "list"), /ONE/);
    },
  );

  await Deno.remove(app, { recursive: true });
});
