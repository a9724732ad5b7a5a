/** Taking data out and bringing it in with the official command line, on one server. */
import assert from "node:assert/strict";
import { TextWriter, Uint8ArrayReader, ZipReader } from "@zip.js/zip.js";
import { api } from "../support/api.ts";
import { makeConvexApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { mustRunOfficialCli, runOfficialCli } from "../support/official_cli.ts";
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
  const app = await makeConvexApp({
    "convex/things.ts": things,
  });
  await using server = await ServerProcess.start();
  const convex = (...args: string[]) => runOfficialCli(server, app, args);
  const mustConvex = mustRunOfficialCli(server, app);
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

  await t.step(
    "deploy-protocol 36, 37: import --replace-all into an empty deployment gives the same data",
    async () => {
      await using other = await ServerProcess.start();
      const elsewhere = (...args: string[]) => runOfficialCli(other, app, args);
      assert.equal((await elsewhere("deploy", "--typecheck", "disable")).code, 0);
      const result = await elsewhere("import", "--replace-all", `${app}/all.zip`);
      assert.equal(result.code, 0, result.output + other.log);
      assert.match(result.output, /Added 2 documents/);
      const there = new Clients(other).http();
      const before = await http.query(api.things.list, {});
      const after = await there.query(api.things.list, {});
      assert.deepEqual(after, before);
      assert.ok(Object.is(after[0].zero, -0) && Object.is(after[0].nan, NaN));
      const [file] = await there.query(api.things.files, {});
      const [original] = await http.query(api.things.files, {});
      assert.deepEqual({ ...file, url: 0 }, { ...original, url: 0 });
      assert.equal(await (await fetch(file.url)).text(), "stored text");

      const again = await elsewhere(
        "export",
        "--path",
        `${app}/again.zip`,
        "--include-file-storage",
      );
      assert.equal(again.code, 0, again.output);
      const [first, second] = [await readZip(`${app}/all.zip`), await readZip(`${app}/again.zip`)];
      // Each server serves a file under a URL of its own.
      const internalId = /"internalId":"[^"]*"/g;
      const comparable = (files: Map<string, string>) =>
        [...files].map(([name, text]) => [name, text.replaceAll(internalId, "")]);
      assert.deepEqual(comparable(second), comparable(first));
    },
  );

  await t.step(
    "deploy-protocol 40: of exports that are asked for at once one begins, and the others are told so",
    async () => {
      const request = () =>
        fetch(`${server.url}/api/export/request/zip`, {
          method: "POST",
          headers: { authorization: `Convex ${server.adminKey}` },
        });
      // The command line gets the answer of a request that met another one.
      await using proxy = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        async () => {
          const answers = await Promise.all(Array.from({ length: 5 }, request));
          assert.equal(answers.filter(({ ok }) => ok).length, 1);
          const refused = answers.filter(({ status }) => status === 400);
          assert.equal(refused.length, 4);
          for (const answer of answers) if (answer !== refused[0]) await answer.body?.cancel();
          return refused[0]!;
        },
      );
      const url = `http://127.0.0.1:${proxy.addr.port}`;
      const behind = { url, adminKey: server.adminKey };
      const { code, output } = await runOfficialCli(behind, app, [
        "export",
        "--path",
        `${app}/2.zip`,
      ]);
      assert.equal(code, 1, output);
      assert.match(output, /A snapshot export is already requested or in progress/);
    },
  );

  await t.step("deploy-protocol 38: JSONL, JSON and CSV come in, in every mode", async () => {
    const write = (name: string, text: string) => Deno.writeTextFile(`${app}/${name}`, text);
    const rows = async (table: string) =>
      (await convex("data", table, "--format", "jsonl", "--order", "asc")).stdout.trim().split("\n")
        .map((line) => JSON.parse(line)).map(({ _id, _creationTime, ...fields }) => fields);
    await write("a.jsonl", '{"n":1}\n\n{"n":2,"t":"two"}');
    const added = await mustConvex("import", "--table", "plain", "a.jsonl");
    assert.match(added.output, /Added 2 documents to table "plain"/);
    assert.deepEqual(await rows("plain"), [{ n: 1 }, { n: 2, t: "two" }]);
    const refused = await convex("import", "--table", "plain", "a.jsonl");
    assert.equal(refused.code, 1);
    assert.match(refused.output, /Table plain already exists\. Please choose a new table name/);

    await write("b.json", '[\n  {"n": 3, "s": "],[{\\""},\n  {"n": [4]}\n]\n');
    await mustConvex("import", "--append", "--table", "plain", "b.json");
    assert.deepEqual((await rows("plain")).slice(2), [{ n: 3, s: '],[{"' }, { n: [4] }]);

    await write("c.csv", '\ufeffname,age,note\n"Ada, Countess",36,\nBob,1e1,"two\nlines"\n');
    const replaced = await mustConvex("import", "-y", "--replace", "--table", "plain", "c.csv");
    assert.match(replaced.output, /Import change summary:[^]*plain \| 2 +\| 4 of 4/);
    assert.deepEqual(await rows("plain"), [
      { name: "Ada, Countess", age: 36, note: "" },
      { name: "Bob", age: 10, note: "two\nlines" },
    ]);
  });

  await t.step(
    "deploy-protocol §10: what is wrong in a file is said with its line, and changes nothing",
    async () => {
      const before = (await mustConvex("data", "plain")).stdout;
      const importText = (
        format: string,
        body: string | Uint8Array<ArrayBuffer>,
        tableName?: string,
      ) => {
        const parameters = { format, mode: "replace", ...tableName !== undefined && { tableName } };
        return fetch(`${server.url}/api/import?${new URLSearchParams(parameters)}`, {
          method: "POST",
          headers: { authorization: `Convex ${server.adminKey}` },
          body,
        });
      };
      const failure = async (...request: Parameters<typeof importText>) => {
        const response = await importText(...request);
        assert.equal(response.status, 400);
        const { message } = await response.json();
        assert.match(message, /^Hit an error while importing:\n/);
        return message.slice(message.indexOf("\n") + 1);
      };
      const lines = (text: string | Uint8Array<ArrayBuffer>) => failure("jsonLines", text, "plain");
      const array = (text: string) => failure("jsonArray", text, "plain");
      const csv = (text: string) => failure("csv", text, "plain");
      assert.match(await lines('{"n":1}\n{"n":'), /^JSONL file:2: .*JSON/);
      assert.match(await lines("[1]"), /^JSONL file:1: expected an object/);
      assert.match(await lines('{"_id":"nonsense"}'), /^JSONL file:1: .* is no id/);
      assert.match(await lines('{"_x":1}'), /starts with an underscore/);
      assert.match(await lines(new Uint8Array([0xff, 10])), /not encoded as UTF-8/);
      assert.match(await array('[{"n":1}'), /the array has no end/);
      assert.match(await array('{"n":1}'), /^JSON file:1: expected \[/);
      assert.match(await array('[{"n":1},\n,{"n":2}]'), /^JSON file:2: expected an object/);
      assert.match(await csv("a,b\n1\n"), /^CSV file:2: the row has 1 cells/);
      assert.match(await csv(""), /first row must name/);
      assert.match(await failure("zip", "no ZIP"), /cannot be read as a ZIP/);
      assert.match(await failure("jsonLines", '{"n":1}', "_x"), /no name of a table/);
      const thrice = Array(3).fill((await mustConvex("data", "plain", "--format", "jsonl")).stdout);
      assert.match(
        await lines(thrice.join("")),
        /^JSONL file:3: there is another document with this/,
      );
      assert.equal((await mustConvex("data", "plain")).stdout, before);
    },
  );

  await t.step(
    "deploy-protocol 39: an import that violates the schema leaves the old data",
    async () => {
      const schema = `
      import { defineSchema, defineTable } from "convex/server";
      import { v } from "convex/values";
      export default defineSchema({
        plain: defineTable({
          name: v.string(), age: v.number(), note: v.optional(v.string()),
        }).index("by_age", ["age"]),
      }, { strictTableNameTypes: false });`;
      await Deno.writeTextFile(`${app}/convex/schema.ts`, schema);
      await mustConvex("deploy", "--typecheck", "disable");
      const before = (await mustConvex("data", "plain")).stdout;
      await Deno.writeTextFile(`${app}/bad.csv`, "name,age\nEve,old\n");
      const refused = await convex("import", "--replace", "-y", "--table", "plain", "bad.csv");
      assert.equal(refused.code, 1);
      assert.match(
        refused.output,
        /CSV file:2: the document does not match the schema of table "plain"/,
      );
      assert.equal((await mustConvex("data", "plain")).stdout, before);
      await Deno.writeTextFile(`${app}/good.csv`, "name,age,note\nEve,7,\n");
      await mustConvex("import", "--append", "--table", "plain", "good.csv");
      const found = await mustConvex("data", "plain", "--limit", "1", "--format", "jsonl");
      assert.equal(JSON.parse(found.stdout).note, undefined);
    },
  );

  await Deno.remove(app, { recursive: true });
});
