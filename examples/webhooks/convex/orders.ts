import { paginationOptsValidator } from "convex/server";
import { v } from "convex/values";
import { internalMutation, internalQuery } from "./_generated/server";

/**
 * Records an order once. Senders of webhooks send again when they have not heard an answer in time, so the same
 * delivery may come twice, or twice at the same moment: one of two mutations runs again and finds the other's order.
 */
export const receive = internalMutation({
  args: { deliveryId: v.string(), item: v.string(), quantity: v.number() },
  returns: v.union(v.literal("new"), v.literal("seen before")),
  handler: async (ctx, order) => {
    const seen = await ctx.db
      .query("orders")
      .withIndex("by_delivery", (q) => q.eq("deliveryId", order.deliveryId))
      .unique();
    if (seen !== null) return "seen before";
    await ctx.db.insert("orders", order);
    return "new";
  },
});

/** Orders from the oldest on. */
export const page = internalQuery({
  args: { paginationOpts: paginationOptsValidator },
  handler: async (ctx, { paginationOpts }) => await ctx.db.query("orders").paginate(paginationOpts),
});

/** Orders that came after one. */
export const after = internalQuery({
  args: { creationTime: v.number() },
  handler: async (ctx, { creationTime }) =>
    await ctx.db
      .query("orders")
      .withIndex("by_creation_time", (q) => q.gt("_creationTime", creationTime))
      .take(100),
});
