/** `hull init` and `hull` alone: what a person gets who has nothing but the program. */
import assert from "node:assert/strict";
import { runCommand, ServerProcess } from "../support/server_process.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hull-init-" });
  await test(folder);
  await Deno.remove(folder, { recursive: true });
}

Deno.test("init makes an app, names the next command, and overwrites nothing", () =>
  inFolder(async (folder) => {
    const made = await runCommand(["init", "My App"], { cwd: folder });
    assert.equal(made.code, 0, made.output);
    assert.match(made.stdout, /✔ Made an app in/);
    assert.match(made.stdout, /Next:\n {2}cd 'My App' && \S*hull dev/);
    const app = `${folder}/My App`;
    const manifest = JSON.parse(await Deno.readTextFile(`${app}/package.json`));
    assert.equal(manifest.name, "my-app");
    assert.match(manifest.dependencies.convex, /^\d+\.\d+\.\d+$/);
    assert.match(await Deno.readTextFile(`${app}/.gitignore`), /^\.hull\/$/m);

    await Deno.writeTextFile(`${app}/convex/tasks.ts`, "export {};\n");
    await Deno.remove(`${app}/public/tasks.css`);
    const again = await runCommand(["init"], { cwd: app });
    assert.equal(again.code, 0, again.output);
    assert.match(again.stdout, /= convex\/tasks\.ts was there and stays/);
    assert.match(again.stdout, /\+ public\/tasks\.css/);
    assert.match(again.stdout, /✔ Completed/);
    assert.equal(await Deno.readTextFile(`${app}/convex/tasks.ts`), "export {};\n");
    const third = await runCommand(["init"], { cwd: app });
    assert.match(third.stdout, /Everything is in .* already/);
  }));

Deno.test("hull alone serves an empty folder, shows the key once, and takes the app that init makes", () =>
  inFolder(async (folder) => {
    const options = { command: null, cwd: folder, dataFolder: `${folder}/.hull` } as const;
    const server = await ServerProcess.start(options);
    await server.firstLine(/hull init/);
    assert.match(server.log, new RegExp(`Admin key: ${RegExp.escape(server.adminKey)}`));
    assert.match(await (await fetch(server.url)).text(), /There is no app here yet/);

    const ready = server.nextLine(/Functions ready/);
    assert.equal((await runCommand(["init"], { cwd: folder })).code, 0);
    await ready;
    await server.firstLine(/\+ tasks:create \(mutation\)/);
    const created = await fetch(`${server.url}/tasks`, {
      method: "POST",
      body: "Water the plants",
    });
    assert.equal(created.status, 201);
    await created.body?.cancel();
    assert.match(await (await fetch(server.url)).text(), /<title>Tasks<\/title>/);
    const listed = await runCommand(["run", "tasks:list"], { cwd: folder });
    assert.equal(JSON.parse(listed.stdout)[0].text, "Water the plants");
    await server.stop();

    const second = await ServerProcess.start(options);
    await second.firstLine(/Functions ready/);
    assert.doesNotMatch(second.log, /Admin key/);
    await second.stop();
  }));

Deno.test("dev names a folder that is not there", async () => {
  const result = await runCommand(["dev", "--app", "/no/such/folder", "--port", "0"]);
  assert.equal(result.code, 1);
  assert.match(result.output, /There is no folder \/no\/such\/folder\. Name the app's with --app/);
});
