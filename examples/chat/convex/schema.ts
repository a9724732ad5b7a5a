import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  messages: defineTable({
    author: v.string(),
    body: v.string(),
  })
    // The creation time is the last part of every index: this one also sorts an author's messages by time.
    .index("by_author", ["author"]),
});
