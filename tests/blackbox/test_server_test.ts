/** `hull test-server` as tests use it: through its client module, and the example with Vitest. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { loadAppFolder } from "../../src/deploy/app_folder.ts";
import { generateCode } from "../../src/deploy/generate_code.ts";
import { startHull, TestHull } from "../../examples/testing/tests/hull_testing.ts";
import { blocksOf } from "../docs/markdown.ts";
import { api } from "../support/api.ts";
import { copyApp, makeApp } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { IdentityProvider } from "../support/identity_provider.ts";
import { installedPackages } from "../support/installed_packages.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

const repository = fileURLToPath(new URL("../../", import.meta.url));
const command = [Deno.execPath(), "run", "-A", `${repository}main.ts`];
const options = { sanitizeOps: false, sanitizeResources: false };

const files = {
  "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  events: defineTable({ what: v.string(), at: v.number() }).index("by_what", ["what"]),
});`,
  "convex/times.ts":
    `import { action, internalAction, internalMutation, mutation, query } from "./_generated/server";
import { internal } from "./_generated/api";

export const note = internalMutation(async (ctx, { what }) => {
  await ctx.db.insert("events", { what, at: Date.now() });
});
export const hourly = internalMutation(async (ctx) => {
  await ctx.db.insert("events", { what: "hourly", at: Date.now() });
});
/** Each run schedules the next, a day later. */
export const chain = mutation(async (ctx, { left }) => {
  await ctx.db.insert("events", { what: "chain", at: Date.now() });
  if (left > 0) await ctx.scheduler.runAfter(24 * 3600_000, internal.times.chained, { left: left - 1 });
});
export const chained = internalAction(async (ctx, { left }) => {
  await ctx.runMutation(internal.times.step, { left, at: Date.now() });
});
export const step = internalMutation(async (ctx, { left, at }) => {
  await ctx.db.insert("events", { what: "chain", at });
  if (left > 0) await ctx.scheduler.runAfter(24 * 3600_000, internal.times.chained, { left: left - 1 });
});
export const forever = internalMutation(async (ctx) => {
  await ctx.scheduler.runAfter(1, internal.times.forever, {});
});
export const startForever = mutation(async (ctx) => {
  await ctx.scheduler.runAfter(1, internal.times.forever, {});
});
export const insert = mutation(async (ctx, { what }) => {
  await ctx.db.insert("events", { what, at: Date.now() });
});
export const events = query(async (ctx) => {
  const events = await ctx.db.query("events").collect();
  return events.map(({ what, at, _creationTime }) => ({ what, at, _creationTime }));
});
export const scheduled = query(async (ctx) => (await ctx.db.system.query("_scheduled_functions").collect()).length);
export const now = query(async () => Date.now());
export const nowInAction = action(async () => Date.now());
export const whoAmI = query(async (ctx) => await ctx.auth.getUserIdentity());
export const uploadUrl = mutation(async (ctx) => await ctx.storage.generateUploadUrl());
export const fileUrls = query(async (ctx) => {
  const files = await ctx.db.system.query("_storage").collect();
  return await Promise.all(files.map(({ _id }) => ctx.storage.getUrl(_id)));
});`,
  "convex/node.ts": `"use node";
import { action } from "./_generated/server";
export const now = action(async () => [Date.now(), new Date().getTime()]);`,
  "convex/crons.ts": `import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";
const crons = cronJobs();
crons.hourly("hourly", { minuteUTC: 30 }, internal.times.hourly);
export default crons;`,
};

const dayMs = 24 * 3600_000;

Deno.test({
  name: "a test server has a clock that tests move, users that they make up, and forgets on demand",
  ...options,
  async fn(t) {
    const app = await makeApp({ files });
    const hull = await startHull({ command, app });
    const clients = new Clients(hull);
    const http = clients.http();
    const whats = async () =>
      (await http.query(api.times.events)).map(({ what }: { what: string }) => what);

    await t.step(
      "the clock is the machine's until it is moved, for every kind of function",
      async () => {
        const near = (time: number, expected: number) =>
          assert.ok(Math.abs(time - expected) < 60_000, `${time} is not about ${expected}`);
        const everybody = async (expected: number) => {
          near(await hull.now(), expected);
          near(await http.query(api.times.now), expected);
          near(await http.action(api.times.nowInAction), expected);
          for (const time of await http.action(api.node.now)) near(time, expected);
        };
        await everybody(Date.now());
        await hull.setTime(new Date("2040-05-06T07:00:00Z"));
        await everybody(Date.parse("2040-05-06T07:00:00Z"));
        await hull.advance({ days: 1, minutes: 10 });
        await everybody(Date.parse("2040-05-07T07:10:00Z"));
        await hull.setTime(Date.parse("2001-01-01T00:00:00Z"));
        await everybody(Date.parse("2001-01-01T00:00:00Z"));
        await hull.clear();
        await everybody(Date.now());
      },
    );

    await t.step(
      "advance: jobs and cron jobs run one after the other, each at its time",
      async () => {
        await hull.setTime(Date.parse("2040-01-01T00:00:00Z"));
        await hull.clear();
        await hull.setTime(Date.parse("2040-01-01T00:00:00Z"));
        await http.mutation(api.times.chain, { left: 5 });
        await hull.advance(2 * dayMs + 1000);
        const events = await http.query(api.times.events) as { what: string; at: number }[];
        const chain = events.filter(({ what }) => what === "chain").map(({ at }) => at);
        assert.equal(chain.length, 3, "at once, after one day, after two");
        const days = chain.map((at) => Math.round((at - chain[0]!) / dayMs));
        assert.deepEqual(days, [0, 1, 2]);
        const hours = events.filter(({ what }) => what === "hourly").map(({ at }) => new Date(at));
        assert.ok(hours.length === 48 || hours.length === 49, `${hours.length} runs in 48 hours`);
        for (const hour of hours) assert.equal(hour.getUTCMinutes(), 30);
      },
    );

    await t.step("runScheduled: until no scheduled function is left", async () => {
      await hull.runScheduled();
      assert.equal((await whats()).filter((what: string) => what === "chain").length, 6);
    });

    await t.step("documents keep the order in which they came, at whatever time", async () => {
      await hull.clear();
      await hull.setTime(Date.parse("2050-01-01T00:00:00Z"));
      const names = Array.from({ length: 30 }, (_, n) => `event ${n}`);
      for (const what of names) await http.mutation(api.times.insert, { what });
      assert.deepEqual(await whats(), names);
    });

    await t.step("imported documents are as old as the clock says", async () => {
      await hull.clear();
      await hull.setTime(Date.parse("2050-01-01T00:00:00Z"));
      const response = await fetch(`${hull.url}/api/import?format=jsonLines&tableName=events`, {
        method: "POST",
        headers: { authorization: `Convex ${hull.adminKey}` },
        body: '{"what": "imported", "at": 1.0}',
      });
      assert.equal(response.status, 200, await response.text());
      const [{ _creationTime }] = await http.query(api.times.events);
      assert.equal(new Date(_creationTime).getUTCFullYear(), 2050);
    });

    await t.step("what runs for ever is told so", async () => {
      await http.mutation(api.times.startForever);
      await assert.rejects(hull.runScheduled(), /TooManyJobs.*schedule each other for ever/);
      await hull.clear();
      assert.equal(await http.query(api.times.scheduled), 0);
    });

    await t.step(
      "clear: subscribers see it, files and jobs are gone, code and cron jobs stay",
      async () => {
        const live = watch(clients.live(), api.times.events, {});
        await http.mutation(api.times.insert, { what: "before" });
        await live.until((events: unknown[]) => events.length === 1, "the document");
        await http.mutation(api.times.chain, { left: 3 });
        const url = await http.mutation(api.times.uploadUrl);
        assert.equal((await fetch(url, { method: "POST", body: "bytes" })).status, 200);
        const [fileUrl] = await http.query(api.times.fileUrls);
        assert.equal(await (await fetch(fileUrl)).text(), "bytes");
        await hull.clear();
        await live.until((events: unknown[]) => events.length === 0, "nothing");
        assert.equal(await http.query(api.times.scheduled), 0);
        assert.deepEqual(await http.query(api.times.fileUrls), []);
        assert.equal((await fetch(fileUrl)).status, 404);
        await hull.advance({ hours: 1 });
        assert.deepEqual(await whats(), ["hourly"]);
      },
    );

    await t.step(
      "URLs for uploads end when the time has passed that they are good for",
      async () => {
        const url = await http.mutation(api.times.uploadUrl);
        await hull.advance({ days: 2 });
        const response = await fetch(url, { method: "POST", body: "bytes" });
        assert.notEqual(response.status, 200);
        await response.body?.cancel();
      },
    );

    await t.step("actAs: over HTTP and over a socket", async () => {
      const client = clients.http();
      const page = clients.live();
      assert.equal(await client.query(api.times.whoAmI), null);
      hull.actAs(client, { subject: "ada", name: "Ada", role: "admin" });
      hull.actAs(page, { subject: "bob", issuer: "https://issuer.example" });
      const ada = await client.query(api.times.whoAmI);
      assert.equal(ada.subject, "ada");
      assert.equal(ada.name, "Ada");
      assert.equal(ada.tokenIdentifier, "https://test.invalid|ada");
      const bob = await watch(page, api.times.whoAmI, {}).until((user) => user !== null, "Bob");
      assert.equal(bob.tokenIdentifier, "https://issuer.example|bob");
      hull.actAs(client, null);
      assert.equal(await client.query(api.times.whoAmI), null);
    });

    await t.step("the endpoints are for administrators, and say what is wrong", async () => {
      const stranger = new TestHull({ ...hull, adminKey: "test|0" });
      await assert.rejects(stranger.clear(), /40[13]/);
      await assert.rejects(hull.advance(-1), /400.*advanceMs/s);
      await assert.rejects(hull.setTime(NaN), /400/);
    });

    await t.step("it ends with whoever started it", async () => {
      await clients.close();
      await hull.stop();
      await assert.rejects(fetch(`${hull.url}/version`));
    });
    await Deno.remove(app, { recursive: true });
  },
});

Deno.test({
  name:
    "a test server moves the time of components and of tokens, and forgets what components keep",
  ...options,
  async fn(t) {
    await using provider = await IdentityProvider.start("RS256");
    const app = await copyApp("tests/fixtures/components", {
      files: {
        "convex/auth.config.ts": `export default { providers: [
  { domain: ${JSON.stringify(provider.issuer)}, applicationID: "app" },
] };`,
      },
    });
    const hull = await startHull({ command, app });
    const clients = new Clients(hull);
    const http = clients.http();
    const read = (name: string, box = "one") => http.query(api.main.read, { box, name, args: {} });
    const write = (name: string, args: object, box = "one") =>
      http.mutation(api.main.write, { box, name, args });

    await t.step("jobs and cron jobs of components run at their times", async () => {
      await hull.setTime(new Date("2040-01-01T00:00:00Z"));
      const before = await read("ticks");
      await write("schedule", { delayMs: 24 * 3600_000, text: "tomorrow" });
      await hull.advance({ hours: 10 });
      assert.deepEqual(await read("texts"), []);
      assert.equal(await read("ticks") - before, 10);
      await hull.runScheduled();
      assert.deepEqual(await read("texts"), ["tomorrow"]);
    });

    await t.step("clear: documents, jobs and files of each component are gone", async () => {
      const urls: string[] = [];
      for (const box of ["one", "two"]) {
        await write("put", { text: "kept" }, box);
        await write("schedule", { delayMs: 3600_000, text: "later" }, box);
        const stored = await http.action(api.main.act, { box, name: "store", args: { text: "x" } });
        urls.push(stored[1]);
      }
      await hull.clear();
      for (const box of ["one", "two"]) {
        for (const name of ["texts", "jobs", "files"]) assert.deepEqual(await read(name, box), []);
      }
      for (const url of urls) assert.equal((await fetch(url)).status, 404);
      await hull.advance({ minutes: 150 });
      assert.deepEqual(await read("texts"), [], "nothing that was scheduled before runs");
      for (const box of ["one", "two"]) assert.equal(await read("ticks", box), 3, "begun anew");
    });

    await t.step("tokens end when the time has passed that they are good for", async () => {
      await hull.clear();
      const client = clients.http();
      client.setAuth(await provider.token("ada", "app"));
      assert.equal(await client.query(api.main.ownIdentity, {}), "ada");
      await hull.advance({ minutes: 50 });
      assert.equal(await client.query(api.main.ownIdentity, {}), "ada");
      await hull.advance({ minutes: 20 });
      await assert.rejects(client.query(api.main.ownIdentity, {}), /expired/);
      const exp = Math.floor(await hull.now() / 1000) + 600;
      client.setAuth(await provider.token("bob", "app", { iat: exp - 700, exp }));
      assert.equal(await client.query(api.main.ownIdentity, {}), "bob", "signed by then");
      await hull.clear();
      client.setAuth(await provider.token("ada", "app"));
      assert.equal(await client.query(api.main.ownIdentity, {}), "ada");
    });

    await clients.close();
    await hull.stop();
    await Deno.remove(app, { recursive: true });
  },
});

Deno.test({
  name: "no other server has the endpoints of a test server",
  ...options,
  async fn() {
    await using server = await ServerProcess.start();
    await assert.rejects(
      new TestHull({ ...server, siteUrl: "", url: server.url, adminKey: server.adminKey }).clear(),
      /404/,
    );
  },
});

Deno.test({
  name: "a test server whose app cannot be pushed says why, and leaves nothing behind",
  ...options,
  async fn() {
    const app = await makeApp({ files: { "convex/a.ts": "export const a = missing;" } });
    await assert.rejects(startHull({ command, app }), /missing is not defined/);
    await Deno.remove(app, { recursive: true });
  },
});

Deno.test({
  name:
    "examples/testing: its tests and that of docs/testing.md pass in Vitest, with the module that the program writes",
  ...options,
  async fn() {
    const app = await copyApp("examples/testing");
    const written = await runCommand(["test-server", "--write-client", `${app}/written.ts`]);
    assert.equal(written.code, 0, written.output);
    assert.equal(
      await Deno.readTextFile(`${app}/written.ts`),
      await Deno.readTextFile(`${app}/tests/hull_testing.ts`),
      "copy templates/testing/hull_testing.ts into the example",
    );
    const page = await Deno.readTextFile(`${repository}docs/testing.md`);
    const documented = blocksOf("docs/testing.md", page).find(({ language }) => language === "ts")!;
    await Deno.writeTextFile(`${app}/tests/documented.test.ts`, documented.text);
    await generateCode(await loadAppFolder(app));
    await Deno.symlink(await installedPackages("examples/testing"), `${app}/node_modules`);
    const { code, stdout, stderr } = await new Deno.Command("npm", {
      args: ["test"],
      cwd: app,
      env: { HULL: command.join(" "), NO_COLOR: "1", CI: "1" },
    }).output();
    const decoder = new TextDecoder();
    const output = decoder.decode(stdout) + decoder.decode(stderr);
    assert.equal(code, 0, output);
    assert.match(output, /Tests\s+5 passed/);
    await Deno.remove(app, { recursive: true });
  },
});
