/** What becomes of files that are saved while the version before them is being pushed. */
import assert from "node:assert/strict";
import { ApiClient } from "../../cli/api_client.ts";
import { DevLoop } from "../../cli/dev_loop.ts";
import { systemEnvironment } from "../../src/environment.ts";
import { api } from "../support/api.ts";
import { makeConvexApp, writeAppFile } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { type DeploymentAddress, followOfficialCli } from "../support/official_cli.ts";
import { startPushGate } from "../support/push_gate.ts";
import { ServerProcess } from "../support/server_process.ts";

const functions = (text: string) => `
import { query } from "./_generated/server";
export const text = query({ args: {}, handler: () => ${JSON.stringify(text)} });
`;

/** Starts a loop that pushes the app in a folder whenever it changes, until it is disposed of. */
type StartLoop = (deployment: DeploymentAddress, app: string) => AsyncDisposable;

const officialLoop: StartLoop = (deployment, app) =>
  followOfficialCli(deployment, app, ["dev", "--tail-logs", "disable", "--typecheck", "disable"]);

const ownLoop: StartLoop = ({ url, adminKey }, appPath) => {
  const stop = new AbortController();
  const client = new ApiClient(url, adminKey);
  const loop = new DevLoop({ appPath, client, environment: systemEnvironment, print() {} });
  const ended = loop.run(stop.signal);
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
};

async function savesDuringPush(server: ServerProcess, startLoop: StartLoop): Promise<void> {
  const app = await makeConvexApp({
    "convex/app.ts": functions("one"),
  });
  const save = (text: string) => writeAppFile(app, "convex/app.ts", functions(text));
  const client = new Clients(server).http();
  {
    await using gate = startPushGate(server.url);
    await using _loop = startLoop({ url: gate.url, adminKey: server.adminKey }, app);
    await gate.finished(1);
    gate.close();
    await save("two");
    await gate.started(2);
    for (const text of ["three", "four", "five"]) await save(text);
    gate.open();
    await gate.finished(3);
    assert.equal(await client.query(api.app.text), "five");
    // A push too many would have come before the one of this.
    await save("six");
    await gate.finished(4);
    assert.equal(await client.query(api.app.text), "six");
    assert.equal(gate.startCount, 4);
  }
  await Deno.remove(app, { recursive: true });
}

Deno.test("files saved during a push are pushed by one more", async (t) => {
  await using server = await ServerProcess.start();
  await t.step(
    "deploy-protocol 24: by the official dev command",
    () => savesDuringPush(server, officialLoop),
  );
  await t.step("deploy-protocol 24: by hull dev", () => savesDuringPush(server, ownLoop));
});
