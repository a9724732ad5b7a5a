import { ConvexError, v } from "convex/values";
import { internal } from "./_generated/api";
import {
  action,
  httpAction,
  internalMutation,
  internalQuery,
  mutation,
  query,
} from "./_generated/server";
import type { MutationCtx, QueryCtx } from "./_generated/server";

const message = { author: v.string(), body: v.string() };

/** The newest messages, newest first. */
export const list = query({
  args: { limit: v.optional(v.number()) },
  handler: async (ctx, args) => await ctx.db.query("messages").order("desc").take(args.limit ?? 50),
});

/** What one author wrote, oldest first. */
export const listByAuthor = query({
  args: { author: v.string() },
  handler: async (ctx, args) => await messagesBy(ctx, args.author),
});

export const send = mutation({
  args: message,
  returns: v.id("messages"),
  handler: async (ctx, args) => await insertMessage(ctx, args.author, args.body),
});

/** Counts an author's words, and says so in the chat. */
export const announceWordCount = action({
  args: { author: v.string() },
  returns: v.number(),
  handler: async (ctx, args): Promise<number> => {
    const bodies: string[] = await ctx.runQuery(internal.messages.bodiesByAuthor, args);
    const words = bodies.flatMap((body) => body.split(/\s+/).filter((word) => word !== "")).length;
    await ctx.runMutation(internal.messages.sendOne, {
      author: "Word counter",
      body: `${args.author} has written ${words} ${words === 1 ? "word" : "words"} so far.`,
    });
    return words;
  },
});

/** `POST /postMessage` with `{ "author": …, "body": … }`. */
export const postMessage = httpAction(async (ctx, request) => {
  const { author, body } = await request.json();
  await ctx.runMutation(internal.messages.sendOne, {
    body: `Sent via HTTP action: ${body}`,
    author,
  });
  return new Response(null, { status: 200 });
});

/** `GET /getMessagesByAuthor?author=…` */
export const getByAuthor = httpAction(async (ctx, request) => {
  const author = new URL(request.url).searchParams.get("author");
  if (author === null) return new Response("Add ?author=NAME to the address", { status: 400 });
  return Response.json(await ctx.runQuery(internal.messages.byAuthor, { author }));
});

/** `GET /getAuthorMessages/NAME` */
export const getByAuthorPathSuffix = httpAction(async (ctx, request) => {
  const suffix = new URL(request.url).pathname.slice("/getAuthorMessages/".length);
  const author = decodeURIComponent(suffix.replaceAll("+", " "));
  return Response.json(await ctx.runQuery(internal.messages.byAuthor, { author }));
});

export const sendOne = internalMutation({
  args: message,
  handler: async (ctx, args) => {
    await insertMessage(ctx, args.author, args.body);
  },
});

export const byAuthor = internalQuery({
  args: { author: v.string() },
  handler: async (ctx, args) => await messagesBy(ctx, args.author),
});

export const bodiesByAuthor = internalQuery({
  args: { author: v.string() },
  handler: async (ctx, args) => (await messagesBy(ctx, args.author)).map(({ body }) => body),
});

/** Everything that was said, as text, oldest first. */
export const transcript = internalQuery({
  args: {},
  handler: async (ctx) => {
    const messages = await ctx.db.query("messages").order("desc").take(1000);
    return messages.reverse().map(({ author, body }) => `${author}: ${body}`).join("\n");
  },
});

async function messagesBy(ctx: QueryCtx, author: string) {
  return await ctx.db
    .query("messages")
    .withIndex("by_author", (q) => q.eq("author", author))
    .take(100);
}

async function insertMessage(ctx: MutationCtx, author: string, body: string) {
  if (author.trim() === "" || body.trim() === "") {
    throw new ConvexError("A message needs an author and a text");
  }
  return await ctx.db.insert("messages", { author, body });
}
