import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  orders: defineTable({
    /** What the sender calls this delivery: the same one when it sends again. */
    deliveryId: v.string(),
    item: v.string(),
    quantity: v.number(),
  }).index("by_delivery", ["deliveryId"]),
});
