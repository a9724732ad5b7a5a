import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  /** What cron jobs leave behind, one document a run. */
  beats: defineTable({ job: v.string() }).index("by_job", ["job"]),

  reminders: defineTable({
    text: v.string(),
    /** The job that will set `firedAt`. */
    jobId: v.optional(v.id("_scheduled_functions")),
    firedAt: v.optional(v.number()),
  }),
});
