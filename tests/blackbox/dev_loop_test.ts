/** `hull dev`: saving a file changes what clients see; a broken file changes nothing but says why. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";

const greeting = (text: string) => `
import { query } from "./_generated/server";
export const text = query({ args: {}, handler: () => ${JSON.stringify(text)} });
`;

Deno.test({
  name:
    "a saved file is live, a broken one leaves the version before, and a repaired one is live again",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const app = await makeApp({ files: { "convex/greeting.ts": greeting("one") } });
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const clients = new Clients(server);
    const live = watch(clients.live(), api.greeting.text, {});
    await live.until((value) => value === "one", "the first version");

    await writeAppFile(app, "convex/greeting.ts", greeting("two"));
    await live.until((value) => value === "two", "the second version");

    const failed = server.nextLine(/Push failed/);
    const frame = server.nextLine(/greeting\.ts:\d+:\d+/);
    await writeAppFile(
      app,
      "convex/greeting.ts",
      `${greeting("three")}\nexport const broken = ;\n`,
    );
    await Promise.all([failed, frame]);
    assert.match(server.log, /export const broken = ;/);
    assert.equal(await clients.http().query(api.greeting.text), "two");

    await writeAppFile(app, "convex/greeting.ts", greeting("three"));
    await live.until((value) => value === "three", "the repaired version");

    await writeAppFile(app, "convex/more.ts", greeting("a new file"));
    const more = watch(clients.live(), api.more.text, {});
    await more.until((value) => value === "a new file", "the new file's function");
    await Deno.remove(`${app}/convex/more.ts`);
    await more.untilError();

    await clients.close();
    await Deno.remove(app, { recursive: true });
  },
});

Deno.test({
  name: "a push that throws while it is analysed, and one that data contradicts, change nothing",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const notes = `
      import { mutation, query } from "./_generated/server";
      export const add = mutation({ handler: async (ctx) => { await ctx.db.insert("notes", { n: 1 }); } });
      export const all = query({ handler: async (ctx) => (await ctx.db.query("notes").collect()).length });
    `;
    const app = await makeApp({ files: { "convex/notes.ts": notes } });
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const client = new Clients(server).http();
    await client.mutation(api.notes.add);

    const thrown = server.nextLine(/thrown while loading/);
    await writeAppFile(
      app,
      "convex/notes.ts",
      `${notes}\nthrow new Error("thrown while loading");`,
    );
    await thrown;
    assert.equal(await client.query(api.notes.all), 1);

    const ready = server.nextLine(/Functions ready/);
    await writeAppFile(app, "convex/notes.ts", notes);
    await ready;
    const contradicted = server.nextLine(/does not match the schema/);
    await writeAppFile(
      app,
      "convex/schema.ts",
      `
      import { defineSchema, defineTable } from "convex/server";
      import { v } from "convex/values";
      export default defineSchema({ notes: defineTable({ n: v.string() }) });
    `,
    );
    await contradicted;
    await client.mutation(api.notes.add);
    assert.equal(await client.query(api.notes.all), 2);
    await Deno.remove(app, { recursive: true });
  },
});
