/** What lasts in components while their code changes: handles, vectors, jobs and timestamps of commits. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";
import { eventually } from "../support/waiting.ts";

const server = `import { action, internalMutation, mutation, query } from "./_generated/server";`;

const boxSchema = `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  handles: defineTable({ handle: v.string() }),
  stamps: defineTable({ at: v.commitTs() }).index("by_at", ["at"]),
  marks: defineTable({ text: v.string() }),
  vectors: defineTable({ embedding: v.array(v.float64()) })
    .vectorIndex("by_embedding", { vectorField: "embedding", dimensions: 2 }),
});
`;

const boxKeep = `
import { v } from "convex/values";
import { components, internal } from "./_generated/api";
${server}

export const keep = mutation({
  args: { handle: v.string() },
  handler: async (ctx, { handle }) => { await ctx.db.insert("handles", { handle }); },
});
export const call = mutation({
  args: {},
  handler: async (ctx) => {
    const { handle } = await ctx.db.query("handles").order("desc").first();
    try { return await ctx.runMutation(handle, {}); } catch (error) { return error.message.split("\\n")[0]; }
  },
});

export const stamp = mutation({
  args: {},
  handler: async (ctx) => {
    const { commitTs } = ctx.db.vars;
    const id = await ctx.db.insert("stamps", { at: commitTs });
    const own = await ctx.db.query("stamps").withIndex("by_at", (q) => q.eq("at", commitTs)).collect();
    const later = await ctx.db.query("stamps").withIndex("by_at", (q) => q.gte("at", 0n)).collect();
    return {
      id,
      isPlaceholder: typeof (await ctx.db.get(id)).at !== "bigint",
      own: own.map(({ _id }) => _id),
      last: later.at(-1)._id,
    };
  },
});
export const stamps = query({
  args: {},
  handler: async (ctx) => (await ctx.db.query("stamps").withIndex("by_at").collect()).map(({ at }) => at),
});

export const mark = internalMutation({
  args: { text: v.string() },
  handler: async (ctx, { text }) => { await ctx.db.insert("marks", { text }); },
});
export const scheduleMark = mutation({
  args: { text: v.string(), fails: v.boolean() },
  handler: async (ctx, { text, fails }) => {
    await ctx.scheduler.runAfter(0, internal.keep.mark, { text });
    if (fails) throw new Error("undone");
  },
});
export const marks = query({
  args: {},
  handler: async (ctx) => ({
    texts: (await ctx.db.query("marks").collect()).map(({ text }) => text),
    jobs: (await ctx.db.system.query("_scheduled_functions").collect()).map(({ args }) => args[0].text),
  }),
});

export const addVector = mutation({
  args: {},
  handler: async (ctx) => { await ctx.db.insert("vectors", { embedding: [1, 0] }); },
});
/** Waits in between until somebody answers. */
export const searchLater = action({
  args: { url: v.string() },
  handler: async (ctx, { url }) => {
    const found = [];
    for (const moment of ["now", "unmounted", "deleted"]) {
      await (await fetch(url + moment)).text();
      try {
        const { length } = await ctx.vectorSearch("vectors", "by_embedding", { vector: [1, 0], limit: 9 });
        found.push(length);
      } catch (error) { found.push(error.message.split("\\n")[0]); }
      try { await ctx.runMutation("keep:addVector", {}); found.push("written"); }
      catch (error) { found.push(error.message.split("\\n")[0]); }
    }
    return found;
  },
});
`;

const boxTarget = (answer: string) => `
import { v } from "convex/values";
import { createFunctionHandle } from "convex/server";
import { internal } from "./_generated/api";
${server}
export const target = internalMutation({ args: {}, handler: async () => "${answer}" });
export const handle = mutation({ args: {}, handler: async () => await createFunctionHandle(internal.target.target) });
`;

const main = `
import { v } from "convex/values";
import { components } from "./_generated/api";
${server}

export const target = internalMutation({ args: {}, handler: async () => "the app's" });

const args = { name: v.string(), args: v.any() };
export const read = query({ args, handler: (ctx, { name, args }) => ctx.runQuery(components.one.keep[name], args) });
export const write = mutation({ args, handler: (ctx, { name, args }) => ctx.runMutation(components.one.keep[name], args) });
export const act = action({ args, handler: (ctx, { name, args }) => ctx.runAction(components.one.keep[name], args) });
export const stampTwice = mutation({
  args: {},
  handler: async (ctx) => [
    await ctx.runMutation(components.one.keep.stamp, {}),
    await ctx.runMutation(components.one.keep.stamp, {}),
  ],
});
export const scheduleBoth = mutation({
  args: {},
  handler: async (ctx) => {
    const { scheduleMark } = components.one.keep;
    await ctx.runMutation(scheduleMark, { text: "undone", fails: true }).catch(() => {});
    await ctx.runMutation(scheduleMark, { text: "kept", fails: false });
  },
});
`;

const copies = `
import { components } from "./_generated/api";
${server}
export const take = mutation({
  args: {},
  handler: async (ctx) => {
    const handle = await ctx.runMutation(components.two.target.handle, {});
    await ctx.runMutation(components.one.keep.keep, { handle });
    return handle;
  },
});
`;

const component = (name: string) =>
  `import { defineComponent } from "convex/server";\nexport default defineComponent("${name}");\n`;
const config = (names: readonly string[]) => `
import { defineApp } from "convex/server";
import box from "./box/convex.config";
import copy from "./copy/convex.config";
const app = defineApp();
${
  names.map((name) => `app.use(${name === "one" ? "box" : "copy"}, { name: "${name}" });`).join(
    "\n",
  )
}
export default app;
`;

Deno.test("components while their code changes", async (t) => {
  const files: Record<string, string> = {
    "convex/convex.config.ts": config(["one", "two"]),
    "convex/main.ts": main,
    "convex/copies.ts": copies,
    "convex/box/convex.config.ts": component("box"),
    "convex/box/schema.ts": boxSchema,
    "convex/box/keep.ts": boxKeep,
    "convex/box/target.ts": boxTarget("of the box"),
    "convex/copy/convex.config.ts": component("box"),
    "convex/copy/target.ts": boxTarget("of the copy"),
  };
  const app = await makeApp({ files });
  await using server = await ServerProcess.start();
  const deploy = async () => {
    const { code, output } = await server.command("deploy", "--app", app, "--typecheck", "disable");
    assert.equal(code, 0, output);
  };
  await deploy();
  const clients = new Clients(server);
  const client = clients.http({ adminKey: server.adminKey });
  const write = (name: string, args = {}) => client.mutation(api.main.write, { name, args });
  const read = (name: string, args = {}) => client.query(api.main.read, { name, args });

  await t.step("components 3: two copies of one definition have code of their own", async () => {
    await client.mutation(api.copies.take, {});
    assert.equal(await write("call"), "of the copy");
    const handle = await client.mutation(api.target.handle, {}).catch(() => "no such function");
    assert.equal(handle, "no such function");
  });

  await t.step(
    "components 18, 11: a kept handle outlives pushes, and works again whenever its function is there",
    async () => {
      const target = "convex/copy/target.ts";
      await writeAppFile(app, target, boxTarget("of later code"));
      await deploy();
      assert.equal(await write("call"), "of later code");

      const without = boxTarget("").replaceAll("target = ", "renamed = ").replace(
        "target.target",
        "target.renamed",
      );
      await writeAppFile(app, target, without);
      await deploy();
      assert.equal(await write("call"), "Function handle not found");
      await writeAppFile(app, target, boxTarget("there again"));
      await deploy();
      assert.equal(await write("call"), "there again");

      await writeAppFile(app, "convex/convex.config.ts", config(["one"]));
      await deploy();
      assert.equal(await write("call"), "Function handle not found");
      await writeAppFile(app, "convex/convex.config.ts", config(["one", "two"]));
      await deploy();
      assert.equal(await write("call"), "there again");
    },
  );

  await t.step(
    "components 29: a component's timestamps of commits grow with them, and stand for themselves before",
    async () => {
      const first = await write("stamp");
      assert.deepEqual(first.own, [first.id]);
      assert.ok(first.isPlaceholder);
      const [second, third] = await client.mutation(api.main.stampTwice, {});
      assert.deepEqual(second.own, [second.id]);
      assert.deepEqual(third.own, [second.id, third.id]);
      assert.equal(third.last, third.id);
      const [a, b, c]: bigint[] = await read("stamps");
      assert.ok(a! < b!, `${a} and ${b}`);
      assert.equal(b, c);
    },
  );

  await t.step("components 26: a job of an undone call never runs", async () => {
    await client.mutation(api.main.scheduleBoth, {});
    const seen = await eventually(async () => {
      const marks = await read("marks");
      return marks.texts.length > 0 ? marks : undefined;
    }, "the other job");
    assert.deepEqual(seen, { texts: ["kept"], jobs: ["kept"] });
  });

  await t.step(
    "components §5: an action that outlives its component's mounting searches what is there, and writes nothing",
    async () => {
      await write("addVector");
      const arrived = new Map<string, () => void>();
      const waiting = new Map(
        ["now", "unmounted", "deleted"].map((moment) =>
          [moment, Promise.withResolvers<void>()] as const
        ),
      );
      const gate = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        async (request) => {
          const moment = new URL(request.url).pathname.slice(1);
          arrived.get(moment)?.();
          await waiting.get(moment)!.promise;
          return new Response("go on");
        },
      );
      const arrival = (moment: string) =>
        new Promise<void>((resolve) => arrived.set(moment, resolve));
      const arrivals = ["unmounted", "deleted"].map(arrival);
      const url = `http://127.0.0.1:${gate.addr.port}/`;
      const found = client.action(api.main.act, { name: "searchLater", args: { url } });
      waiting.get("now")!.resolve();
      await arrivals[0];
      await writeAppFile(app, "convex/convex.config.ts", config(["two"]));
      await deploy();
      waiting.get("unmounted")!.resolve();
      await arrivals[1];
      const list: { id: string; path: string }[] = await client.query(
        api._system.frontend.components.list,
        {},
      );
      const deleted = await fetch(`${server.url}/api/delete_component`, {
        method: "POST",
        headers: {
          authorization: `Convex ${server.adminKey}`,
          "content-type": "application/json",
        },
        body: JSON.stringify({ componentId: list.find(({ path }) => path === "one")!.id }),
      });
      assert.equal(deleted.status, 200, await deleted.text());
      waiting.get("deleted")!.resolve();
      const missing = "Could not find public function for 'keep:addVector'.";
      assert.deepEqual(await found, [
        ...[1, "written"],
        ...[2, missing],
        ...["Index vectors.by_embedding not found.", missing],
      ]);
      await gate.shutdown();
    },
  );

  await clients.close();
  await Deno.remove(app, { recursive: true });
});
