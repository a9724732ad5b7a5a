/** Looking at data, functions and variables with the official command line, on one server. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { makeConvexApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { mustRunOfficialCli, runOfficialCli } from "../support/official_cli.ts";
import { ServerProcess } from "../support/server_process.ts";

/** The command line writes an int64 as a literal of JavaScript, which no JSON has. */
const parseLine = (line: string) => JSON.parse(line.replaceAll(/(\d+)n\b/g, "$1"));

const things = `
import { v } from "convex/values";
import { internalMutation, mutation } from "./_generated/server";
import { internal } from "./_generated/api";

export const add = mutation({
  args: { n: v.number(), big: v.int64() },
  returns: v.null(),
  handler: async (ctx, { n, big }) => {
    await ctx.db.insert("things", { n, big });
    await ctx.db.insert("apples", {});
    await ctx.scheduler.runAfter(3_600_000, internal.things.later, {});
    return null;
  },
});
export const later = internalMutation({ args: {}, handler: () => null });
`;

Deno.test("data, functions and variables are shown by the official command line", async (t) => {
  const app = await makeConvexApp({
    "convex/things.ts": things,
  });
  await using server = await ServerProcess.start();
  const convex = (...args: string[]) => runOfficialCli(server, app, args);
  const mustConvex = mustRunOfficialCli(server, app);

  await t.step(
    "deploy-protocol §7: data of an empty deployment says that there is none",
    async () => {
      assert.match((await mustConvex("data")).output, /There are no tables/);
      assert.match((await mustConvex("data", "nothing")).output, /There are no documents/);
    },
  );

  await mustConvex("codegen", "--typecheck", "disable");
  await mustConvex("deploy", "--typecheck", "disable");
  const http = new Clients(server).http();
  for (const n of [1, 2, 3]) await http.mutation(api.things.add, { n, big: 2n ** 60n });

  await t.step("deploy-protocol 32: data lists tables and shows their documents", async () => {
    assert.equal((await mustConvex("data")).stdout, "apples\nthings\n");
    const { output } = await mustConvex("data", "things", "--limit", "2");
    assert.match(output, /\| 3 *\n[^]*\| 2 *\n/);
    assert.match(output, /2 most recently created documents\. Use the --limit option to see more/);
    const oldest = await mustConvex("data", "things", "--limit", "1", "--order", "asc");
    assert.match(oldest.output, /1 oldest created document\./);
  });

  await t.step("deploy-protocol 32: data prints lines and arrays that can be parsed", async () => {
    const lines = await mustConvex("data", "things", "--format", "jsonl", "--order", "asc");
    const documents = lines.stdout.trim().split("\n").map(parseLine);
    assert.deepEqual(documents.map(({ n }) => n), [1, 2, 3]);
    const array = await mustConvex("data", "things", "--format", "json");
    assert.deepEqual(parseLine(array.stdout).map(({ n }: { n: number }) => n), [3, 2, 1]);
    const jobs = await mustConvex("data", "_scheduled_functions", "--format", "jsonl");
    const [job] = jobs.stdout.trim().split("\n").map(parseLine);
    assert.equal(job.name, "things.js:later");
    const tooMany = await convex("data", "things", "--limit", "40000");
    assert.equal(tooMany.code, 1);
    assert.match(tooMany.output, /Requested too many items: 40001/);
  });

  await t.step(
    "deploy-protocol 33: function-spec shows URL, functions and validators",
    async () => {
      const spec = JSON.parse((await mustConvex("function-spec")).stdout);
      assert.equal(spec.url, server.url);
      const add = spec.functions.find(({ identifier }: { identifier: string }) =>
        identifier === "things.js:add"
      );
      assert.deepEqual(add.returns, { type: "null" });
      assert.deepEqual(add.args.value.big, { fieldType: { type: "bigint" }, optional: false });
    },
  );

  await Deno.remove(app, { recursive: true });
});
