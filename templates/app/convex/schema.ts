import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

/** What the database holds. Every document has an `_id` and a `_creationTime`, too. */
export default defineSchema({
  tasks: defineTable({
    text: v.string(),
    isDone: v.boolean(),
  }).index("by_isDone", ["isDone"]),
});
