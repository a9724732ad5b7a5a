import { ConvexError, v } from "convex/values";
import { mutation, query } from "./_generated/server";

/** The newest tasks. Pages that subscribe get the new result whenever it changes. */
export const list = query({
  args: {},
  handler: async (ctx) => await ctx.db.query("tasks").order("desc").take(100),
});

export const create = mutation({
  args: { text: v.string() },
  handler: async (ctx, { text }) => {
    // A ConvexError reaches the page as it is; of other errors clients of a production server learn nothing.
    if (text.trim() === "") throw new ConvexError("A task needs some words");
    return await ctx.db.insert("tasks", { text: text.trim(), isDone: false });
  },
});

export const setDone = mutation({
  args: { id: v.id("tasks"), isDone: v.boolean() },
  handler: async (ctx, { id, isDone }) => await ctx.db.patch(id, { isDone }),
});

/** Removes what is done. */
export const clear = mutation({
  args: {},
  handler: async (ctx) => {
    const done = await ctx.db
      .query("tasks")
      .withIndex("by_isDone", (q) => q.eq("isDone", true))
      .collect();
    for (const task of done) await ctx.db.delete(task._id);
  },
});
