/** The types that a push generates: they accept the examples, and refuse what would fail at run time. */
import assert from "node:assert/strict";
import { copyApp, writeAppFile } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";

const page = `
  import { ConvexHttpClient } from "convex/browser";
  import { api } from "./convex/_generated/api";
  const client = new ConvexHttpClient("http://127.0.0.1:1");

  const messages = await client.query(api.messages.list, { limit: 5 });
  const bodies: string[] = messages.map((message) => message.body);
  const id: string = await client.mutation(api.messages.send, { author: "a", body: "b" });
  void [bodies, id];

  // @ts-expect-error: an argument of another type
  await client.query(api.messages.list, { limit: "5" });
  // @ts-expect-error: a missing argument
  await client.mutation(api.messages.send, { author: "a" });
  // @ts-expect-error: a mutation called as a query
  await client.query(api.messages.send, { author: "a", body: "b" });
  // @ts-expect-error: no such function
  await client.query(api.messages.nosuch, {});
  // @ts-expect-error: an internal function
  await client.query(api.messages.byAuthor, { author: "internal" });
  // @ts-expect-error: a document has no such field
  messages[0].subject;
`;

Deno.test({
  name: "generated types accept right calls and refuse wrong ones",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const app = await copyApp("examples/chat");
    await using server = await ServerProcess.start();
    await server.deploy(app);
    const { code, output } = await checkTypes(app, page);
    assert.equal(code, 0, output);
    await Deno.remove(app, { recursive: true });
  },
});

/** Runs the type checker on a page beside the app's functions, which the generated code imports. */
async function checkTypes(app: string, text: string): Promise<{ code: number; output: string }> {
  await writeAppFile(app, "page.ts", text);
  await writeAppFile(
    app,
    "deno.json",
    JSON.stringify({
      imports: { convex: "npm:convex@1.48.0" },
      unstable: ["sloppy-imports"],
      compilerOptions: { strict: true, lib: ["deno.window", "dom"] },
    }),
  );
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["check", "--no-lock", "--node-modules-dir=none", "page.ts"],
    cwd: app,
    env: { NO_COLOR: "1" },
  }).output();
  return { code, output: new TextDecoder().decode(stderr) };
}
