/** What keeps a server running: probes, metrics, logs for machines, and a stop that loses nobody's answer. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { Clients, watch } from "../support/clients.ts";
import { ServerProcess } from "../support/server_process.ts";

const app = {
  "convex/work.ts": `
import { v } from "convex/values";
import { action, internalMutation, mutation, query } from "./_generated/server";
import { internal } from "./_generated/api";
export const items = query(async (ctx) => (await ctx.db.query("items").collect()).length);
export const add = mutation(async (ctx) => void await ctx.db.insert("items", {}));
export const fail = mutation(async () => { throw new Error("no"); });
export const slow = action({
  args: { url: v.string() },
  handler: async (ctx, { url }) => {
    const text = await (await fetch(url)).text();
    await ctx.runMutation(internal.work.addInternally, {});
    return text;
  },
});
export const addInternally = internalMutation(async (ctx) => void await ctx.db.insert("items", {}));
`,
};

const options = { sanitizeOps: false, sanitizeResources: false };

async function withServer(
  environment: Readonly<Record<string, string>>,
  args: readonly string[],
  test: (server: ServerProcess, clients: Clients) => Promise<void>,
): Promise<void> {
  const folder = await makeApp({ files: app });
  await using server = await ServerProcess.start({ environment, arguments: args });
  await server.deploy(folder);
  await Deno.remove(folder, { recursive: true });
  const clients = new Clients(server);
  try {
    await test(server, clients);
  } finally {
    await clients.close();
  }
}

async function text(url: string, authorization?: string): Promise<[status: number, body: string]> {
  const response = await fetch(
    url,
    authorization === undefined ? {} : { headers: { authorization } },
  );
  return [response.status, await response.text()];
}

Deno.test(
  "probes and metrics tell how a server is",
  options,
  () =>
    withServer({ HULL_METRICS_TOKEN: "for prometheus" }, [], async (server, clients) => {
      assert.deepEqual(await text(`${server.url}/healthz`), [200, "ok\n"]);
      assert.deepEqual(await text(`${server.url}/readyz`), [200, "ready\n"]);

      const http = clients.http();
      for (let i = 0; i < 3; i++) await http.mutation(api.work.add, {});
      await assert.rejects(http.mutation(api.work.fail, {}));
      await http.query(api.work.items, {});
      await http.query(api.work.items, {});
      await watch(clients.live(), api.work.items, {}).until((count) => count === 3, "three");
      // Of mutations that read the same some meet a conflict, or wait in line; each commits in the end.
      const before = await metrics(server);
      assert.equal(before('hull_function_calls_total{type="mutation",outcome="success"}'), 3);
      assert.equal(before('hull_function_calls_total{type="mutation",outcome="error"}'), 1);
      assert.equal(before('hull_function_duration_seconds_count{type="mutation"}'), 4);
      assert.equal(before('hull_function_duration_seconds_bucket{type="mutation",le="+Inf"}'), 4);
      assert.equal(before('hull_function_calls_total{type="query",outcome="success"}'), 1);
      assert.ok(before("hull_query_cache_hits_total") >= 1);
      assert.equal(before("hull_websocket_connections"), 1);
      assert.equal(before('hull_calls_waiting{pool="transaction"}'), 0);
      assert.ok(before("hull_sync_duration_seconds_count") >= 3);
      assert.ok(before("hull_commit_duration_seconds_count") >= 3);
      assert.ok(before("hull_database_bytes") > 0);
      assert.ok(before("hull_write_ahead_log_bytes") > 0);
      assert.ok(before(`hull_process_resident_bytes{process="server",pid="${server.pid}"}`) > 1e6);

      const [status, body] = await text(`${server.url}/metrics`);
      assert.equal(status, 401);
      assert.match(body, /HULL_METRICS_TOKEN/);
      assert.equal((await text(`${server.url}/metrics`, "Bearer wrong"))[0], 401);
      assert.equal((await text(`${server.url}/metrics`, "Bearer for prometheus"))[0], 200);
    }),
);

/** Looks a sample up by the text in front of its value; every line must be one of the format's. */
async function metrics(server: ServerProcess): Promise<(name: string) => number> {
  const [status, body] = await text(`${server.url}/metrics`, `Convex ${server.adminKey}`);
  assert.equal(status, 200);
  const samples = new Map<string, number>();
  for (const line of body.trimEnd().split("\n")) {
    if (/^# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))$/.test(line)) continue;
    const match = /^([a-z_]+(?:\{(?:[a-z]+="[^"]*",?)+\})?) ([\d.e+-]+)$/.exec(line);
    assert.ok(match !== null, line);
    samples.set(match[1]!, Number(match[2]));
  }
  return (name) => samples.get(name) ?? assert.fail(`${name} is missing in\n${body}`);
}

Deno.test(
  "SIGTERM: what runs is answered, over HTTP and sockets, then the server ends",
  options,
  async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    let requests = 0;
    const slowService = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, async () => {
      if (++requests === 2) asked.resolve();
      await answer.promise;
      return new Response("late");
    });
    const url = `http://127.0.0.1:${slowService.addr.port}`;
    await withServer({ HULL_SHUTDOWN_TIMEOUT_S: "20" }, [], async (server, clients) => {
      const http = clients.http();
      const live = clients.live();
      const results = Promise.all([
        http.action(api.work.slow, { url }),
        live.action(api.work.slow, { url }),
      ]);
      await asked.promise;
      const stopped = server.stop();
      // It takes nothing new any more, and waits.
      while (await serves(server.url));
      answer.resolve();
      assert.deepEqual(await results, ["late", "late"]);
      await stopped;
    });
    await slowService.shutdown();
  },
);

async function serves(url: string): Promise<boolean> {
  const response = await fetch(`${url}/readyz`);
  await response.body?.cancel();
  return response.ok;
}
