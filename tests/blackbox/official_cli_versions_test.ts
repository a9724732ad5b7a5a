/** Command lines of several years against one server: each speaks the protocol of its time. */
import assert from "node:assert/strict";
import { copyApp, writeAppFile } from "../support/apps.ts";
import { runOlderCli } from "../support/official_cli.ts";
import { ServerProcess } from "../support/server_process.ts";

const versions = ["1.28.2", "1.34.1", "1.41.0"];
/** They push in another way. */
const olderVersions = ["1.21.0", "1.25.4"];

Deno.test("deploy-protocol §12: command lines of earlier versions push, run, show, import and export", async (t) => {
  await using server = await ServerProcess.start();
  for (const version of versions) {
    await t.step(`convex ${version}`, async () => {
      const app = await copyApp("examples/chat", { packages: ["convex"] });
      const convex = async (...args: string[]) => {
        const result = await runOlderCli(version, server, app, args);
        const command = `convex ${version} ${args.join(" ")}`;
        assert.equal(result.code, 0, `${command}:\n${result.output}\n${server.log}`);
        return result;
      };
      await convex("dev", "--once", "--typecheck", "disable");
      await convex("deploy", "--typecheck", "disable");
      const message = JSON.stringify({ author: version, body: "Hello" });
      await convex("run", "messages:send", message);
      await convex("env", "set", "VERSION", version);
      assert.equal((await convex("env", "get", "VERSION")).stdout.trim(), version);
      assert.match((await convex("data", "messages")).stdout, new RegExp(version));
      const table = `notes_${version.replaceAll(".", "_")}`;
      await writeAppFile(app, "notes.jsonl", '{"n":1}\n{"n":2}');
      const { output } = await convex("import", "--table", table, "notes.jsonl");
      assert.match(output, /Added 2 documents/);
      await convex("export", "--path", `${app}/${version}.zip`);
      assert.ok((await Deno.stat(`${app}/${version}.zip`)).size > 0);
      await Deno.remove(app, { recursive: true });
    });
  }
  for (const version of olderVersions) {
    await t.step(`convex ${version} is told which version pushes`, async () => {
      const app = await copyApp("examples/chat", { packages: ["convex"] });
      const args = ["deploy", "--typecheck", "disable"];
      const { code, output } = await runOlderCli(version, server, app, args);
      assert.notEqual(code, 0, output);
      assert.match(
        output,
        /takes pushes of convex 1\.28 and later\. Run `npm install convex@latest`/,
      );
      await Deno.remove(app, { recursive: true });
    });
  }
});
