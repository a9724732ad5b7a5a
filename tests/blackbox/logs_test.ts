/** Who sees log lines and error texts: everybody in development, admins alone in production. */
import assert from "node:assert/strict";
import type { ConvexClient } from "convex/browser";
import { api } from "../support/api.ts";
import { copyApp } from "../support/apps.ts";
import { Clients } from "../support/clients.ts";
import { postJson } from "../support/http.ts";
import { ServerProcess } from "../support/server_process.ts";

const options = { sanitizeOps: false, sanitizeResources: false };
const workshop = "tests/fixtures/workshop";

/** What a client's logger would print in a browser's console. */
function recordingLogger() {
  const lines: string[] = [];
  const add = (...args: unknown[]) => lines.push(args.map(String).join(" "));
  return { lines, logger: { logVerbose() {}, log: add, warn: add, error: add } };
}

async function runEverything(client: ConvexClient): Promise<string> {
  await client.query(api.waiting.log, { word: "to the client" });
  return await client.query(api.errors.logsThenThrows, {}).then(
    () => assert.fail("the query must fail"),
    (error: Error) => error.message,
  );
}

Deno.test(
  "in development log lines and errors reach clients and the terminal",
  options,
  async () => {
    const app = await copyApp(workshop);
    await using server = await ServerProcess.start({ command: "dev", app });
    await server.firstLine(/Functions ready/);
    const clients = new Clients(server);
    const { lines, logger } = recordingLogger();
    const printed = server.nextLine(/'logged' 'to the client'/);
    const message = await runEverything(clients.live({ logger }));
    assert.match(message, /Server Error\nUncaught Error: after the log line\n {4}at /);
    assert.ok(lines.some((line) => line.includes("'logged' 'to the client'")), lines.join("\n"));
    assert.ok(lines.some((line) => line.includes("'before the error'")), lines.join("\n"));
    await printed;
    await clients.close();
    await Deno.remove(app, { recursive: true });
  },
);

Deno.test(
  "http-api 49: in production clients get neither, admins both, and a ConvexError keeps its data",
  options,
  async () => {
    const app = await copyApp(workshop);
    await using server = await ServerProcess.start();
    await server.deploy(app);
    const clients = new Clients(server);
    const { lines, logger } = recordingLogger();
    const message = await runEverything(clients.live({ logger }));
    assert.match(message, /\[Request ID: [0-9a-f]{16}\] Server Error\n {2}Called by client$/);
    assert.ok(!lines.join("\n").includes("to the client"), lines.join("\n"));

    const call = (path: string, headers: Record<string, string> = {}) =>
      postJson(`${server.url}/api/query`, { path, args: {} }, headers);
    const hidden = (await call("errors:logsThenThrows")).body;
    assert.match(hidden.errorMessage, /^\[Request ID: [0-9a-f]{16}\] Server Error$/);
    assert.ok(!("logLines" in hidden));
    const shown = (await call("errors:logsThenThrows", {
      authorization: `Convex ${server.adminKey}`,
    })).body;
    assert.match(shown.errorMessage, /Uncaught Error: after the log line/);
    assert.deepEqual(shown.logLines, ["[LOG] 'before the error'"]);
    await assert.rejects(
      clients.http().mutation(api.errors.throwData, { data: "for users" }),
      (error: Error & { data?: unknown }) => error.data === "for users",
    );
    await clients.close();
    await Deno.remove(app, { recursive: true });
  },
);
