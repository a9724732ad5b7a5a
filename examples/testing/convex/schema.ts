import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  reminders: defineTable({
    user: v.string(),
    text: v.string(),
    sentAt: v.union(v.number(), v.null()),
  }).index("by_user", ["user"]),
  reports: defineTable({ at: v.number(), sent: v.number() }),
});
