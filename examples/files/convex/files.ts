import { ConvexError, v } from "convex/values";
import { mutation, query } from "./_generated/server";

/** The newest files, newest first, each with what is stored: size in bytes, type and a URL to read it. */
export const list = query({
  args: {},
  handler: async (ctx) => {
    const files = await ctx.db.query("files").order("desc").take(100);
    return await Promise.all(files.map(async (file) => {
      const stored = await ctx.db.system.get(file.storageId);
      return {
        ...file,
        size: stored?.size ?? 0,
        contentType: stored?.contentType ?? null,
        url: await ctx.storage.getUrl(file.storageId),
      };
    }));
  },
});

/** Where to POST one file; the answer has the `storageId` for `add`. */
export const generateUploadUrl = mutation({
  args: {},
  handler: async (ctx) => await ctx.storage.generateUploadUrl(),
});

/** Lists an uploaded file, once. */
export const add = mutation({
  args: { storageId: v.id("_storage"), name: v.string() },
  handler: async (ctx, { storageId, name }) => {
    if (name.trim() === "") throw new ConvexError("A file needs a name");
    if (await ctx.db.system.get(storageId) === null) {
      throw new ConvexError("This file is not stored; upload it again");
    }
    const listed = await ctx.db
      .query("files")
      .withIndex("by_storageId", (q) => q.eq("storageId", storageId))
      .first();
    if (listed !== null) throw new ConvexError("This file is listed already");
    return await ctx.db.insert("files", { storageId, name });
  },
});

/** The document and the stored file go together, or neither; what is gone already is not missed. */
export const remove = mutation({
  args: { id: v.id("files") },
  handler: async (ctx, { id }) => {
    const file = await ctx.db.get(id);
    if (file === null) return;
    await ctx.db.delete(id);
    const stored = await ctx.db.system.get(file.storageId);
    if (stored !== null) await ctx.storage.delete(file.storageId);
  },
});
