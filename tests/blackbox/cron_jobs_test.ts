/** Cron jobs on a real server, pushed again and again. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { makeApp, writeAppFile } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";

const functions = `
import { v } from "convex/values";
import { internal } from "./_generated/api";
import { internalAction, internalMutation, internalQuery, query } from "./_generated/server";

export const note = internalMutation({
  args: { text: v.string() },
  handler: async (ctx, { text }) => {
    await ctx.db.insert("notes", { text, identity: await ctx.auth.getUserIdentity() });
  },
});
export const act = internalAction(async (ctx) => {
  await ctx.runMutation(internal.jobs.note, { text: "action" });
});
export const fails = internalMutation(async (ctx) => {
  await ctx.db.insert("notes", { text: "must not stay" });
  throw new Error("on purpose");
});
export const look = internalQuery(async () => null);
export const notes = query(async (ctx) => await ctx.db.query("notes").collect());
`;

const crons = (...jobs: string[]) => `
import { cronJobs } from "convex/server";
import { internal } from "./_generated/api";
const crons = cronJobs();
${jobs.map((job) => `crons.${job};`).join("\n")}
export default crons;
`;
const everySecond = (text: string) =>
  `interval("tick", { seconds: 1 }, internal.jobs.note, { text: "${text}" })`;

interface Note {
  readonly text: string;
  readonly identity: unknown;
  readonly _creationTime: number;
}

Deno.test({
  name: "semantics 18, 105-109, deploy-protocol 3.8.1: cron jobs run, change and go with pushes",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn(t) {
    const jobs = crons(
      everySecond("tick"),
      `interval("act", { hours: 1 }, internal.jobs.act)`,
      `interval("fails", { seconds: 1 }, internal.jobs.fails)`,
      `hourly("each hour", internal.jobs.act)`,
      `weekly("sundays", { dayOfWeek: "sunday", hourUTC: 1 }, internal.jobs.act)`,
      `monthly("months", { day: 31, hourUTC: 1 }, internal.jobs.act)`,
      `cron("working days", "0 9 * * mon-fri", internal.jobs.act)`,
    );
    const files = { "convex/jobs.ts": functions, "convex/crons.ts": jobs };
    const app = await makeApp({ files });
    await using server = await ServerProcess.start();
    const clients = new Clients(server);
    const notesOf = (text: string) => (notes: Note[]) => notes.filter((note) => note.text === text);

    await t.step("semantics 105, 108: they run at the push, and failing ones go on", async () => {
      await server.deploy(app);
      const notes = watch(clients.live(), api.jobs.notes, {});
      const all = await notes.until((all) => notesOf("tick")(all).length >= 3, "three ticks");
      assert.equal(notesOf("action")(all).length, 1, "the action ran at the push");
      const ticks = notesOf("tick")(all);
      assert.deepEqual(ticks.map(({ identity }) => identity), [null, null, null]);
      assert.ok(!all.some(({ text }: Note) => text === "must not stay"));
    });

    await t.step(
      "semantics 106: another push leaves the schedule, with other arguments",
      async () => {
        await writeAppFile(app, "convex/crons.ts", jobs.replace(`"tick" }`, `"tock" }`));
        await server.deploy(app);
        const notes = watch(clients.live(), api.jobs.notes, {});
        const all = await notes.until((all) => notesOf("tock")(all).length >= 2, "two tocks");
        assert.equal(notesOf("action")(all).length, 1, "the hourly interval was not begun anew");
      },
    );

    await t.step("function-abi 93: a push with a wrong cron job changes nothing", async () => {
      const wrong = [
        [`interval("x", { seconds: 1 }, internal.jobs.look)`, /schedules a query function/],
        [`cron("x", "0 0 30 2 *", internal.jobs.act)`, /will never match any time/],
        [`cron("x", "whenever", internal.jobs.act)`, /The cron spec "whenever" .* is invalid/],
        [`interval("x", { seconds: 1.5 }, internal.jobs.act)`, /must be an integer/],
      ] as const;
      for (const [job, message] of wrong) {
        await writeAppFile(app, "convex/crons.ts", crons(job));
        await assert.rejects(server.deploy(app), (error: Error) => message.test(error.message));
      }
      const http = clients.http();
      const before = notesOf("tock")(await http.query(api.jobs.notes)).length;
      const notes = watch(clients.live(), api.jobs.notes, {});
      await notes.until((all) => notesOf("tock")(all).length > before, "one more tock");
    });

    await t.step("semantics 107: what is missing from a push ends", async () => {
      await writeAppFile(
        app,
        "convex/crons.ts",
        crons(everySecond("other").replace("tick", "new")),
      );
      await server.deploy(app);
      const notes = watch(clients.live(), api.jobs.notes, {});
      const tocks = async () => notesOf("tock")(await clients.http().query(api.jobs.notes)).length;
      const before = await tocks();
      await notes.until((all) => notesOf("other")(all).length >= 3, "three runs of the new job");
      assert.equal(await tocks(), before);
    });

    await clients.close();
    await Deno.remove(app, { recursive: true });
  },
});
