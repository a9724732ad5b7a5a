/** The data of components on its way: imported, exported, backed up, restored, read as it was. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { copyApp, writeAppFile } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { postJson } from "../support/http.ts";
import { type CommandResult, runCommand, ServerProcess } from "../support/server_process.ts";

const schema = `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  papers: defineTable({ text: v.string(), topic: v.string(), embedding: v.array(v.float64()) })
    .index("by_topic", ["topic"])
    .index("later", { fields: ["text"], staged: true })
    .searchIndex("search", { searchField: "text", filterFields: ["topic"] })
    .searchIndex("search_later", { searchField: "topic", staged: true })
    .vectorIndex("by_embedding", { vectorField: "embedding", dimensions: 2 })
    .vectorIndex("wide_later", { vectorField: "topic", dimensions: 3, staged: true }),
});
`;
const papers = `
import { v } from "convex/values";
import { action, query } from "./_generated/server";

export const search = query({
  args: { text: v.string(), topic: v.string() },
  handler: async (ctx, { text, topic }) =>
    (await ctx.db.query("papers")
      .withSearchIndex("search", (q) => q.search("text", text).eq("topic", topic)).collect())
      .map((paper) => paper.text),
});
export const nearest = action({
  args: { vector: v.array(v.float64()) },
  handler: async (ctx, { vector }) =>
    (await ctx.vectorSearch("papers", "by_embedding", { vector, limit: 1 })).length,
});
`;

function succeeded(result: CommandResult): CommandResult {
  assert.equal(result.code, 0, result.output);
  return result;
}

/** What the app and its components say, through functions. */
function look(server: ServerProcess, clients = new Clients(server)) {
  const client = clients.http();
  const read = (box: string, name: string, args = {}) =>
    client.query(api.main.read, { box, name, args });
  return { client, read, close: () => clients.close() };
}

// Each server's data is checked when it stops.
Deno.test("the data of components on its way", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "hull-component-data-" });
  const app = await copyApp("tests/fixtures/components");
  await writeAppFile(app, "convex/schema.ts", schema);
  await writeAppFile(app, "convex/papers.ts", papers);
  const write = async (name: string, ...rows: unknown[]) => {
    await Deno.writeTextFile(
      `${folder}/${name}`,
      rows.map((row) => JSON.stringify(row)).join("\n"),
    );
    return `${folder}/${name}`;
  };
  let files: string[] = [];
  {
    await using server = await ServerProcess.start();
    await server.deploy(app);
    const { client, read, close } = look(server);
    const bring = async (file: string, table: string, ...options: string[]) =>
      succeeded(await server.command("import", file, "--table", table, ...options));

    await t.step(
      "semantics 11.1: imported documents are in the indexes of every kind, of the app and of components",
      async () => {
        const file = await write(
          "papers.jsonl",
          { text: "red apple", topic: "fruit", embedding: [1, 0] },
          { text: "red brick", topic: "building", embedding: [0, 1] },
        );
        await bring(file, "papers");
        const search = () => client.query(api.papers.search, { text: "red", topic: "fruit" });
        assert.deepEqual(await search(), ["red apple"]);
        await bring(file, "papers", "--append");
        assert.deepEqual(await search(), ["red apple", "red apple"]);
        await bring(file, "papers", "--replace", "--yes");
        assert.deepEqual(await search(), ["red apple"]);
        assert.equal(await client.action(api.papers.nearest, { vector: [0, 1] }), 1);
      },
    );

    await t.step("deploy-protocol 41: an import goes into the component it names", async () => {
      const one = await write("one.jsonl", { text: "kept in one" }, { text: "kept, too" });
      await bring(one, "items", "--component", "one");
      await bring(
        await write("vectors.jsonl", { embedding: [1, 0] }),
        "vectors",
        "--component",
        "one",
      );
      assert.deepEqual((await read("one", "search", { text: "kept" })).sort(), [
        "kept in one",
        "kept, too",
      ]);
      assert.deepEqual(await read("two", "texts"), []);
      const nearest = await client.action(api.main.act, {
        box: "one",
        name: "nearest",
        args: { vector: [1, 0] },
      });
      assert.equal(nearest.length, 1);
      const unknown = await server.command("import", one, "--table", "t", "--component", "three");
      assert.match(
        unknown.output,
        /There is no component three\. Deploy the app that uses it first/,
      );
    });

    await t.step("http-api §5: components are read as they were, too", async () => {
      const { ts } = (await postJson(`${server.url}/api/query_ts`, "")).body;
      await client.mutation(api.main.write, { box: "one", name: "put", args: { text: "later" } });
      const at = async () =>
        (await postJson(`${server.url}/api/query_at_ts`, {
          ...{ path: "main:read", ts, format: "json" },
          args: { box: "one", name: "texts", args: {} },
        })).body.value;
      assert.deepEqual(await at(), ["kept in one", "kept, too"]);
      assert.deepEqual(await read("one", "texts"), ["kept in one", "kept, too", "later"]);
    });

    const act = (box: string, text: string) =>
      client.action(api.main.act, { box, name: "store", args: { text } });
    await act("one", "of one");
    await act("two", "of two");
    files = [...await read("one", "files"), ...await read("two", "files")];
    succeeded(await server.command("export", `${folder}/all.zip`));
    succeeded(await server.command("backup", `${folder}/backup.tar`));
    await close();
  }

  const checkAll = async (server: ServerProcess) => {
    const { client, read, close } = look(server);
    assert.deepEqual(
      await client.query(api.papers.search, { text: "red", topic: "fruit" }),
      ["red apple"],
    );
    assert.deepEqual(await read("one", "texts"), ["kept in one", "kept, too", "later"]);
    assert.deepEqual(await read("one", "search", { text: "later" }), ["later"]);
    const urls: string[] = [...await read("one", "files"), ...await read("two", "files")];
    const texts = await Promise.all(urls.map(async (url) => (await fetch(url)).text()));
    assert.deepEqual(texts, ["of one", "of two"]);
    await client.mutation(api.main.write, { box: "one", name: "put", args: { text: "newest" } });
    assert.deepEqual(await read("one", "search", { text: "newest" }), ["newest"]);
    await close();
    return urls;
  };

  await t.step(
    "components §14: an import into a deployment without the app keeps the data of its components until it is there",
    async () => {
      await using server = await ServerProcess.start();
      const all = ["import", `${folder}/all.zip`, "--replace-all", "--yes"];
      const { output } = succeeded(await server.command(...all));
      assert.match(output, /Component one\n +items +\| 3 +\| 0/);
      const clients = new Clients(server);
      const list = (): Promise<{ path: string; state: string }[]> =>
        clients.http({ adminKey: server.adminKey }).query(
          api._system.frontend.components.list,
          {},
        );
      const states = async () => (await list()).map(({ path, state }) => `${path}:${state}`).sort();
      assert.deepEqual(await states(), [
        ":active",
        "one/inner:unmounted",
        "one:unmounted",
        "two/inner:unmounted",
        "two:unmounted",
      ]);
      const data = await server.command("data", "items", "--component", "one");
      assert.match(data.output, /kept in one/);
      // Once more, over what is there now.
      succeeded(await server.command(...all));
      await server.deploy(app);
      assert.deepEqual(await states(), [
        ":active",
        "one/inner:active",
        "one:active",
        "two/inner:active",
        "two:active",
      ]);
      await checkAll(server);
      await clients.close();
    },
  );

  await t.step("I12: a backup holds the components of its moment, files included", async () => {
    const restored = `${folder}/restored`;
    succeeded(await runCommand(["restore", `${folder}/backup.tar`, "--data", restored]));
    assert.match((await runCommand(["check", "--data", restored])).output, /is sound/);
    await using server = await ServerProcess.start({ dataFolder: restored });
    const paths = (urls: string[]) =>
      urls.map((url) => new URL(url)).map(({ pathname, search }) => pathname + search);
    assert.deepEqual(paths(await checkAll(server)), paths(files));
  });

  await Deno.remove(app, { recursive: true });
  await Deno.remove(folder, { recursive: true });
});
