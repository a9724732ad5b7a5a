/** Taking data out and bringing it in with the official command line, on one server. */
import assert from "node:assert/strict";
import { TextWriter, Uint8ArrayReader, ZipReader } from "@zip.js/zip.js";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { runOfficialCli } from "../support/official_cli.ts";
import { ServerProcess } from "../support/server_process.ts";

/** The texts of the files in a ZIP. */
async function readZip(path: string): Promise<Map<string, string>> {
  const zip = new ZipReader(new Uint8ArrayReader(await Deno.readFile(path)));
  const files = new Map<string, string>();
  for (const entry of await zip.getEntries()) {
    if (!entry.directory) files.set(entry.filename, await entry.getData(new TextWriter()));
  }
  return files;
}

const things = `
import { v } from "convex/values";
import { action, mutation, query } from "./_generated/server";

export const add = mutation({
  args: { document: v.any() },
  handler: (ctx, { document }) => ctx.db.insert("things", document),
});
export const list = query({ args: {}, handler: (ctx) => ctx.db.query("things").collect() });
export const files = query({
  args: {},
  handler: async (ctx) => await Promise.all(
    (await ctx.db.system.query("_storage").collect()).map(async (file) => ({
      ...file, url: await ctx.storage.getUrl(file._id),
    })),
  ),
});
export const store = action({
  args: { text: v.string() },
  handler: (ctx, { text }) => ctx.storage.store(new Blob([text], { type: "text/plain" })),
});
`;

Deno.test("data leaves and comes in by the official command line", async (t) => {
  const app = await makeApp({
    packages: ["convex"],
    files: {
      "package.json": JSON.stringify({ dependencies: { convex: "*" } }),
      "convex/things.ts": things,
    },
  });
  await using server = await ServerProcess.start();
  const convex = (...args: string[]) => runOfficialCli(server, app, args);
  const mustConvex = async (...args: string[]) => {
    const result = await convex(...args);
    assert.equal(result.code, 0, `convex ${args.join(" ")}:\n${result.output}\n${server.log}`);
    return result;
  };
  await mustConvex("codegen", "--typecheck", "disable");
  await mustConvex("deploy", "--typecheck", "disable");
  const http = new Clients(server).http();
  const special = {
    big: 2n ** 62n,
    bytes: new Uint8Array([1, 2, 3]).buffer,
    nan: NaN,
    zero: -0,
    nested: [{ one: 1, half: 0.5 }],
  };
  await http.mutation(api.things.add, { document: special });
  await http.action(api.things.store, { text: "stored text" });

  await t.step("deploy-protocol §9: export writes a ZIP with everything", async () => {
    const { output } = await mustConvex(
      "export",
      "--path",
      `${app}/all.zip`,
      "--include-file-storage",
    );
    assert.match(output, /Created snapshot export at timestamp \d+/);
    const files = await readZip(`${app}/all.zip`);
    const [table] = files.get("_tables/documents.jsonl")!.split("\n");
    assert.deepEqual(JSON.parse(table!), { name: "things", id: 10001 });
    assert.equal(files.get("things/generated_schema.jsonl"), '"uniform"\n');
    const things = files.get("things/documents.jsonl")!;
    assert.match(things, /"big":4611686018427387904,"bytes":{"\$bytes":"AQID"}/);
    assert.match(things, /"nested":\[{"half":0\.5,"one":1\.0}\]/);
    const stored = JSON.parse(files.get("_storage/documents.jsonl")!);
    assert.equal(files.get(`_storage/${stored._id}.txt`), "stored text");
    assert.match(stored.internalId, /^[0-9a-f-]{36}$/);
  });

  await Deno.remove(app, { recursive: true });
});
