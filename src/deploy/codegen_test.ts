import assert from "node:assert/strict";
import { join } from "node:path";
import { loadAppFolder } from "./app_folder.ts";
import { type DeclaredVariable, generateAppCode } from "./codegen.ts";

const schema = `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  messages: defineTable({ author: v.string(), body: v.string() }).index("by_author", ["author"]),
});
`;

const messages = `import { v } from "convex/values";
import { api, internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.d.ts";
import { action, env, internalMutation, query } from "./_generated/server.js";

export const list = query({
  args: { author: v.string() },
  handler: async (ctx, args): Promise<Doc<"messages">[]> =>
    await ctx.db.query("messages").withIndex("by_author", (q) => q.eq("author", args.author))
      .collect(),
});

export const send = internalMutation({
  args: { body: v.string() },
  handler: async (ctx, args): Promise<Id<"messages">> =>
    await ctx.db.insert("messages", { author: env.AUTHOR ?? "nobody", body: args.body }),
});

export const announce = action({
  handler: async (ctx): Promise<number> => {
    const id: Id<"messages"> = await ctx.runMutation(internal.messages.send, { body: "hi" });
    const listed = await ctx.runQuery(api.messages.list, { author: env.CONVEX_SITE_URL });
    return listed.filter((message) => message._id === id).length;
  },
});
`;

const author: DeclaredVariable = ["AUTHOR", {
  value: JSON.stringify({
    type: "union",
    value: [{ type: "literal", value: "me" }, { type: "literal", value: "you" }],
  }),
  optional: true,
}];

/** Generates code for an app of these files and type-checks the file `messages.ts`. */
async function check(files: Record<string, string>): Promise<{ ok: boolean; output: string }> {
  const path = await Deno.makeTempDir({ prefix: "hull-codegen-" });
  try {
    await Deno.mkdir(join(path, "convex"));
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(join(path, "convex", name), text);
    }
    await Deno.writeTextFile(
      join(path, "deno.json"),
      JSON.stringify({
        imports: { "convex": "npm:convex@1.48.0" },
        compilerOptions: { strict: true },
      }),
    );
    await generateAppCode(await loadAppFolder(path), { variables: [author], components: [] });
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["check", "--quiet", "--no-lock", "convex/messages.ts"],
      cwd: path,
      env: { NO_COLOR: "1" },
    }).output();
    return { ok: success, output: new TextDecoder().decode(stderr) };
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("generateAppCode gives an app with a schema types that check", async () => {
  const { ok, output } = await check({ "schema.ts": schema, "messages.ts": messages });
  assert.ok(ok, output);
});

Deno.test("generateAppCode types documents, arguments and variables narrowly", async () => {
  const mistakes: [right: string, wrong: string, error: RegExp][] = [
    ["args.body }", "args.nothing }", /'nothing' does not exist/],
    [`"by_author"`, `"by_nobody"`, /'"by_nobody"' is not assignable/],
    ["internal.messages.send", "api.messages.send", /'send' does not exist/],
    ["env.AUTHOR ??", "env.UNKNOWN ??", /'UNKNOWN' does not exist/],
  ];
  const wrong = mistakes.reduce((text, [right, mistake]) => text.replace(right, mistake), messages);
  const { ok, output } = await check({ "schema.ts": schema, "messages.ts": wrong });
  assert.equal(ok, false);
  for (const [, , error] of mistakes) assert.match(output, error);
});

Deno.test("generateAppCode gives an app without a schema permissive types", async () => {
  const { ok, output } = await check({
    "messages.ts": `import { query } from "./_generated/server.js";
import type { Doc, Id } from "./_generated/dataModel.d.ts";
export const list = query(async (ctx): Promise<Doc[]> => await ctx.db.query("anything").collect());
export const get = query({ handler: (ctx, args: { id: Id<"anything"> }) => ctx.db.get(args.id) });
`,
  });
  assert.ok(ok, output);
});

Deno.test("generateAppCode leaves files alone that are up to date, and keeps known variables", async () => {
  const path = await Deno.makeTempDir({ prefix: "hull-codegen-" });
  try {
    await Deno.mkdir(join(path, "convex"));
    await Deno.writeTextFile(join(path, "convex/a.ts"), "export const a = 1;");
    const app = await loadAppFolder(path);
    await generateAppCode(app, { variables: [author], components: [] });
    const generated = join(path, "convex/_generated");
    const longAgo = new Date(1_000_000_000_000);
    const names = (await Array.fromAsync(Deno.readDir(generated))).map((entry) => entry.name);
    assert.deepEqual(names.sort(), [
      "api.d.ts",
      "api.js",
      "dataModel.d.ts",
      "server.d.ts",
      "server.js",
    ]);
    for (const name of names) await Deno.utime(join(generated, name), longAgo, longAgo);
    await generateAppCode(app);
    await Deno.writeTextFile(join(path, "convex/b.ts"), "export const b = 1;");
    await generateAppCode(app);
    for (const name of names) {
      const { mtime } = await Deno.stat(join(generated, name));
      assert.equal(mtime?.getTime() === longAgo.getTime(), name !== "api.d.ts", name);
    }
    assert.match(await Deno.readTextFile(join(generated, "server.d.ts")), /readonly AUTHOR/);
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});
