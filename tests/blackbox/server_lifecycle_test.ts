/** Starting, stopping and starting again: what a server keeps, how it says that it cannot start, how it ends. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { runCommand, ServerProcess } from "../support/server_process.ts";

const app = {
  "convex/http.ts": `
import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";
const http = httpRouter();
http.route({ path: "/where", method: "GET", handler: httpAction(async (_ctx, request) => new Response(request.url)) });
http.route({ path: "/api/query", method: "GET", handler: httpAction(async () => new Response("the app's")) });
export default http;
`,
  "convex/keep.ts": `
import { v } from "convex/values";
import { internal } from "./_generated/api";
import { action, internalMutation, mutation, query } from "./_generated/server";

export const later = internalMutation(async (ctx) => void await ctx.db.insert("ran", {}));
export const schedule = mutation({
  args: { afterMs: v.number() },
  handler: async (ctx, { afterMs }) => await ctx.scheduler.runAfter(afterMs, internal.keep.later, {}),
});
export const ran = query(async (ctx) => (await ctx.db.query("ran").collect()).length);
export const variables = query(async () => [process.env.GREETING ?? null, process.env.CONVEX_SITE_URL]);
export const store = action(async (ctx) => {
  const id = await ctx.storage.store(new Blob(["kept"]));
  return await ctx.storage.getUrl(id);
});
`,
};

async function withApp(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await makeApp({ files: app });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function withClients(
  server: ServerProcess,
  test: (clients: Clients) => Promise<void>,
): Promise<void> {
  const clients = new Clients(server);
  try {
    await test(clients);
  } finally {
    await clients.close();
  }
}

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test(
  "a restarted server has the code, variables, files and jobs of the one before",
  options,
  () =>
    withApp(async (folder) => {
      const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
      const first = await ServerProcess.start({ dataFolder });
      await first.deploy(folder);
      await first.command("env", "set", "GREETING", "hello");
      const { adminKey } = first;
      let path = "";
      await withClients(first, async (clients) => {
        const http = clients.http();
        path = new URL(await http.action(api.keep.store)).pathname;
        await http.mutation(api.keep.schedule, { afterMs: 1 });
        await watch(clients.live(), api.keep.ran, {}).until(
          (count) => count === 1,
          "the first job",
        );
        await http.mutation(api.keep.schedule, { afterMs: 2000 });
      });
      await first.stop();

      const second = await ServerProcess.start({ dataFolder });
      assert.equal(second.adminKey, adminKey);
      await withClients(second, async (clients) => {
        const variables = await clients.http().query(api.keep.variables);
        assert.deepEqual(variables, ["hello", second.url]);
        assert.equal(await (await fetch(second.url + path)).text(), "kept");
        await watch(clients.live(), api.keep.ran, {}).until(
          (count) => count === 2,
          "the second job",
        );
      });
      await second.stop();
      await Deno.remove(dataFolder, { recursive: true });
    }),
);

Deno.test(
  "http-api 1, 56: a second port serves HTTP actions alone",
  options,
  () =>
    withApp(async (folder) => {
      await using server = await ServerProcess.start({ arguments: ["--site-port", "0"] });
      await server.deploy(folder);
      const siteUrl = (await server.firstLine(/HTTP actions on (\S+)/)).replace(/.* /, "");
      assert.notEqual(siteUrl, server.url);
      const text = async (url: string) => await (await fetch(url)).text();
      assert.equal(await text(`${siteUrl}/where?x=1`), `${siteUrl}/where?x=1`);
      assert.equal(await text(`${server.url}/http/where`), `${server.url}/where`);
      assert.equal(await text(`${siteUrl}/api/query`), "the app's");
      assert.equal((await fetch(`${siteUrl}/version`)).status, 404);
      await withClients(server, async (clients) => {
        const [, site] = await clients.http().query(api.keep.variables);
        assert.equal(site, siteUrl);
      });
    }),
);

Deno.test(
  "a server stops at once although sockets and polls are open, and its port is free again",
  options,
  async () => {
    const server = await ServerProcess.start({ environment: { HULL_SHUTDOWN_TIMEOUT_S: "60" } });
    const clients = new Clients(server);
    await clients.socket();
    const poll = fetch(`${server.url}/api/stream_function_logs?cursor=1`, {
      headers: { authorization: `Convex ${server.adminKey}` },
    });
    const answered = poll.then((response) => response.json());
    await fetch(`${server.url}/version`).then((response) => response.text());
    // Its own time-out is longer than the time that `stop` gives it.
    await server.stop();
    await answered.catch(() => {});
    await clients.close();
    const port = Number(new URL(server.url).port);
    const again = await ServerProcess.start({ port });
    assert.equal(again.url, server.url);
    await again.stop();
  },
);

Deno.test("a server that cannot start says why, and leaves nothing locked", options, async () => {
  await using server = await ServerProcess.start();
  const other = await Deno.makeTempDir({ prefix: "hull-data-" });
  const port = new URL(server.url).port;
  const busy = await runCommand(["serve", "--data", other, "--port", port]);
  assert.equal(busy.code, 1);
  assert.match(busy.output, new RegExp(`Port ${port} is in use .*--port`));
  const locked = await runCommand(["serve", "--data", server.dataFolder, "--port", "0"]);
  assert.equal(locked.code, 1);
  assert.match(locked.output, /in use by another Hull server \(process \d+\)/);
  const afterwards = await ServerProcess.start({ dataFolder: other });
  await afterwards.stop();
  await Deno.remove(other, { recursive: true });
});
