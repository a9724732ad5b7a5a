"use node";

import { createHash } from "node:crypto";
import { internal } from "./_generated/api";
import { action } from "./_generated/server";

/** The SHA-256 of the whole conversation, computed in Node.js; two people can compare what they see. */
export const sha256 = action({
  args: {},
  handler: async (ctx): Promise<{ digest: string; node: string }> => {
    const transcript: string = await ctx.runQuery(internal.messages.transcript, {});
    const digest = createHash("sha256").update(transcript).digest("hex");
    return { digest, node: process.version };
  },
});
