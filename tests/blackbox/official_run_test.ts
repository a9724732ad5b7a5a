/** `run` and its neighbours of the official command line, on one server that is all they may reach. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
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

Deno.test("functions run from the official command line", async (t) => {
  const app = await makeApp({
    packages: ["convex"],
    files: {
      "package.json": JSON.stringify({ dependencies: { convex: "*" } }),
      "convex/shop/prices.ts": prices,
    },
  });
  await using server = await ServerProcess.start();
  const mustConvex = async (...args: string[]) => {
    const { code, stdout, output } = await runOfficialCli(server, app, args);
    assert.equal(code, 0, `convex ${args.join(" ")}:\n${output}`);
    return stdout.trim();
  };

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

  await t.step("deploy-protocol 31: run --watch prints again when data changes", async () => {
    await using watching = followOfficialCli(server, app, ["run", "shop/prices:names", "--watch"]);
    await watching.firstLine(/"tea"/);
    const printed = watching.nextLine(/"coffee"/);
    await new Clients(server).http().mutation(api.shop.prices.put, { name: "coffee" });
    await printed;
  });

  await Deno.remove(app, { recursive: true });
});
