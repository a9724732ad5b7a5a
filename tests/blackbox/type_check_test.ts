/** The app's own TypeScript says what is wrong with types; the code that runs needs none. */
import assert from "node:assert/strict";
import { copyApp, writeAppFile } from "../support/apps.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

const wrong = `import { query } from "./_generated/server";
export const one = query({ args: {}, handler: (): Answer => 1 });\n`;
const types = (answer: string) => `type Answer = ${answer};\n`;

async function withApp(test: (app: string) => Promise<void>): Promise<void> {
  const app = await copyApp("templates/app", { packages: ["convex", "typescript"] });
  await test(app);
  await Deno.remove(app, { recursive: true });
}

Deno.test("dev pushes what has wrong types, shows them with the code, and says when they are right", () =>
  withApp(async (app) => {
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const told = server.nextLine(/Types are wrong; the code runs all the same/);
    const frame = server.nextLine(/handler: \(\): Answer => 1/);
    await writeAppFile(app, "convex/answer.d.ts", types("string"));
    await writeAppFile(app, "convex/wrong.ts", wrong);
    await Promise.all([told, frame]);
    assert.match(server.log, /convex\/wrong\.ts:2:\d+ - error TS2322/);
    assert.equal((await server.command("run", "wrong:one")).stdout, "1\n");
    const pushCount = () => server.log.match(/Functions ready/g)?.length;
    const before = pushCount();
    const right = server.nextLine(/Types are right again/);
    await writeAppFile(app, "convex/answer.d.ts", types("number"));
    await right;
    assert.equal(pushCount(), before, "types alone are no code");
  }));

Deno.test("deploy and dev --once push nothing that has wrong types, unless they are told to", () =>
  withApp(async (app) => {
    await using server = await ServerProcess.start();
    await writeAppFile(app, "convex/answer.d.ts", types("string"));
    await writeAppFile(app, "convex/wrong.ts", wrong);
    const refused = await server.command("deploy", "--app", app);
    assert.equal(refused.code, 1);
    assert.match(refused.output, /TS2322[^]*Types are wrong, so nothing was pushed/);
    assert.equal((await server.command("run", "wrong:one")).code, 1);
    const forced = await server.command("deploy", "--app", app, "--typecheck", "disable");
    assert.equal(forced.code, 0, forced.output);
    assert.match(forced.output, /\+ wrong:one \(query\)/);
    await Deno.remove(`${app}/node_modules/typescript`);
    const once = ["dev", "--once", "--app", app, "--port", "0", "--data", `${app}/data`];
    assert.equal((await runCommand(once)).code, 0);
    const insists = await runCommand([...once, "--typecheck", "enable"]);
    assert.equal(insists.code, 1);
    assert.match(insists.output, /TypeScript is not installed in the app/);
  }));
