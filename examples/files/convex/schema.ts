import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  /** What people call a stored file. Its size and type are in the system table `_storage`. */
  files: defineTable({
    storageId: v.id("_storage"),
    name: v.string(),
  }).index("by_storageId", ["storageId"]),
});
