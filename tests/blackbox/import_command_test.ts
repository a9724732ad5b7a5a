/** `hull import`, `export` and `data`: documents from files into tables and back, also of components. */
import assert from "node:assert/strict";
import { copyApp, writeAppFile } from "../support/apps.ts";
import { type CommandResult, ServerProcess } from "../support/server_process.ts";

function expect(result: CommandResult, code: number, pattern: RegExp): void {
  assert.equal(result.code, code, result.output);
  assert.match(result.output, pattern);
}

Deno.test("deploy-protocol §9, §10: import asks before it deletes, takes all or nothing, and takes back what data and export print", async () => {
  const folder = await copyApp("tests/fixtures/components");
  await using server = await ServerProcess.start();
  const hull = (...args: string[]) => server.command(...args);
  const count = async (...args: string[]) =>
    JSON.parse((await hull("data", "--json", ...args)).stdout)
      .map(({ table, documents }: { table: string; documents: number }) => `${table}:${documents}`)
      .join();
  expect(await hull("deploy", "--app", folder), 0, /\+ component one\n.*\+ component one\/inner/s);

  const csv = `${folder}/people.csv`;
  // Some editors begin UTF-8 with a mark.
  await writeAppFile(folder, "people.csv", "\ufeffname,age\nAda,36\nGrace,85\n");
  expect(await hull("import", csv), 2, /Name the table .*--table NAME/);
  expect(await hull("import", csv, "--table", "people"), 0, /✔ Imported 2 documents/);
  assert.match((await hull("data", "people")).stdout, /^_id +age +name +_creationTime$/m);
  expect(
    await hull("import", csv, "--table", "people"),
    1,
    /Nothing was imported[^]*already exists/,
  );
  const refused = await hull("import", csv, "--table", "people", "--replace");
  expect(refused, 1, /2 of 2[^]*`hull import`[^]*Nothing was imported\. --yes imports/);
  expect(await hull("import", csv, "--table", "people", "--replace", "-y"), 0, /Imported 2/);
  expect(await hull("import", csv, "--table", "people", "--append"), 0, /Imported 2/);
  assert.match(await count(), /people:4/);
  expect(await hull("import", csv, "--table", "p", "--append", "--replace"), 2, /Give only one/);
  expect(
    await hull("import", `${folder}/none.csv`, "--table", "p"),
    1,
    /none\.csv cannot be used: No such file/,
  );
  expect(await hull("import", `${folder}/people.txt`), 2, /--format csv\|jsonLines/);

  const lines = await hull("data", "people", "--order", "asc", "--format", "jsonl");
  await writeAppFile(folder, "people.jsonl", lines.stdout);
  const back = ["import", `${folder}/people.jsonl`, "--table", "people", "--replace", "-y"];
  expect(await hull(...back), 0, /Imported 4/);
  const again = await hull("data", "people", "--order", "asc", "--format", "jsonl");
  assert.equal(again.stdout, lines.stdout);

  await writeAppFile(folder, "items.jsonl", '{"text": "in the component"}\n');
  const items = ["import", `${folder}/items.jsonl`, "--table", "items", "--component", "one"];
  expect(await hull(...items), 0, /Imported 1 document\./);
  assert.match(await count("--component", "one"), /items:1/);
  assert.match(await count("--component", "two"), /items:0/);
  const search = ["run", "items:search", '{"text": "component"}', "--component", "one"];
  expect(await hull(...search), 0, /"in the component"/);
  expect(await hull("data", "--component", "three"), 1, /'three' not found/);

  const zip = `${folder}/all.zip`;
  expect(await hull("export", zip), 0, /Wrote .*all\.zip/);
  await using other = await ServerProcess.start();
  await other.deploy(folder);
  expect(
    await other.command("import", zip, "--replace-all", "--yes"),
    0,
    /✔ Imported \d+ documents/,
  );
  const copied = await other.command("data", "people", "--order", "asc", "--format", "jsonl");
  assert.equal(copied.stdout, lines.stdout);
  expect(await other.command("data", "items", "--component", "one"), 0, /"in the component"/);
  await Deno.remove(folder, { recursive: true });
});
