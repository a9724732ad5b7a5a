import { ConvexError, v } from "convex/values";
import { internal } from "./_generated/api";
import { internalMutation, mutation, query } from "./_generated/server";

/** The newest reminders, newest first, each with the state of its job: `pending`, `success`, `canceled`, … */
export const list = query({
  args: {},
  handler: async (ctx) => {
    const reminders = await ctx.db.query("reminders").order("desc").take(20);
    return await Promise.all(reminders.map(async (reminder) => {
      const job = reminder.jobId && await ctx.db.system.get(reminder.jobId);
      return { ...reminder, state: job?.state.kind ?? "over", dueAt: job?.scheduledTime ?? null };
    }));
  },
});

/** The reminder and its job come about together, or neither. */
export const create = mutation({
  args: { text: v.string(), afterMs: v.number() },
  handler: async (ctx, { text, afterMs }) => {
    if (text.trim() === "") throw new ConvexError("A reminder needs a text");
    const id = await ctx.db.insert("reminders", { text });
    const jobId = await ctx.scheduler.runAfter(afterMs, internal.reminders.fire, { id });
    await ctx.db.patch(id, { jobId });
    return id;
  },
});

export const fire = internalMutation({
  args: { id: v.id("reminders") },
  handler: async (ctx, { id }) => {
    await ctx.db.patch(id, { firedAt: Date.now() });
  },
});

export const cancel = mutation({
  args: { id: v.id("reminders") },
  handler: async (ctx, { id }) => {
    const reminder = await ctx.db.get(id);
    if (reminder?.jobId !== undefined) await ctx.scheduler.cancel(reminder.jobId);
  },
});
