import { v } from "convex/values";
import { internal } from "./_generated/api";
import { internalAction, internalMutation, mutation, query } from "./_generated/server";

/** Reminds the signed-in user after some minutes. */
export const remindMe = mutation({
  args: { text: v.string(), inMinutes: v.number() },
  handler: async (ctx, { text, inMinutes }) => {
    const user = await ctx.auth.getUserIdentity();
    if (user === null) throw new Error("Sign in first");
    const id = await ctx.db.insert("reminders", { user: user.subject, text, sentAt: null });
    await ctx.scheduler.runAfter(inMinutes * 60_000, internal.reminders.send, { id });
    return id;
  },
});

/** A real one would send a mail. */
export const send = internalAction({
  args: { id: v.id("reminders") },
  handler: async (ctx, { id }) => {
    await ctx.runMutation(internal.reminders.markSent, { id, sentAt: Date.now() });
  },
});

export const markSent = internalMutation({
  args: { id: v.id("reminders"), sentAt: v.number() },
  handler: async (ctx, { id, sentAt }) => {
    await ctx.db.patch(id, { sentAt });
  },
});

/** The reminders of the signed-in user. */
export const mine = query({
  args: {},
  handler: async (ctx) => {
    const user = await ctx.auth.getUserIdentity();
    if (user === null) return [];
    return await ctx.db.query("reminders")
      .withIndex("by_user", (q) => q.eq("user", user.subject))
      .collect();
  },
});

/** Runs every morning. */
export const report = internalMutation({
  args: {},
  handler: async (ctx) => {
    const reminders = await ctx.db.query("reminders").collect();
    const sent = reminders.filter(({ sentAt }) => sentAt !== null).length;
    await ctx.db.insert("reports", { at: Date.now(), sent });
  },
});

export const reports = query({
  args: {},
  handler: async (ctx) => await ctx.db.query("reports").collect(),
});
