import { v } from "convex/values";
import { internal } from "./_generated/api";
import { internalAction, internalMutation, internalQuery, query } from "./_generated/server";

const keptMax = 100;

export const beat = internalMutation({
  args: { job: v.string() },
  handler: async (ctx, { job }) => {
    await ctx.db.insert("beats", { job });
  },
});

/** The newest runs, newest first. */
export const list = query({
  args: {},
  handler: async (ctx) => await ctx.db.query("beats").order("desc").take(10),
});

/** Leaves the newest. */
export const tidyUp = internalMutation({
  args: {},
  handler: async (ctx) => {
    const beats = await ctx.db.query("beats").order("desc").take(keptMax + 2000);
    for (const { _id } of beats.slice(keptMax)) await ctx.db.delete(_id);
  },
});

export const count = internalQuery({
  args: { job: v.string() },
  handler: async (ctx, { job }) =>
    (await ctx.db.query("beats").withIndex("by_job", (q) => q.eq("job", job)).collect()).length,
});

/** Cron jobs run actions, too. */
export const report = internalAction({
  args: {},
  handler: async (ctx): Promise<void> => {
    const beats: number = await ctx.runQuery(internal.beats.count, { job: "heartbeat" });
    console.log(`The heart has beaten ${beats} times of late.`);
    await ctx.runMutation(internal.beats.beat, { job: "sunday report" });
  },
});
