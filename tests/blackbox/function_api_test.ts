/** The function endpoints by hand: who may ask in which form, several queries at once, clients that go away. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { postJson } from "../support/http.ts";
import { eventually } from "../support/waiting.ts";

const ledger = `
import { action, mutation, query } from "./_generated/server";
import { api } from "./_generated/api";

export const move = mutation(async (ctx) => {
  for (const side of ["left", "right"]) await ctx.db.insert(side, {});
});
export const left = query(async (ctx) => (await ctx.db.query("left").collect()).length);
export const right = query(async (ctx) => (await ctx.db.query("right").collect()).length);
export const echo = query((_ctx, args) => args);
export const slowly = action(async (ctx) => {
  await ctx.runMutation(api.ledger.note, { text: "begun" });
  await new Promise((resolve) => setTimeout(resolve, 300));
  await ctx.runMutation(api.ledger.note, { text: "done" });
});
export const note = mutation(async (ctx, { text }) => { await ctx.db.insert("notes", { text }); });
export const notes = query(async (ctx) => (await ctx.db.query("notes").collect()).map(({ text }) => text));
`;

const { test } = appServer({ files: { "convex/ledger.ts": ledger } });

test("http-api 5, 12: any JSON type is taken, and a client need not say who it is", async ({ server }) => {
  const body = { path: "ledger:echo", args: { a: 1 } };
  const headers = { "content-type": "application/vnd.x+json" };
  const answer = await postJson(`${server.url}/api/query`, body, headers);
  assert.deepEqual([answer.status, answer.body.value], [200, { a: 1 }]);
});

test("http-api 31: arguments as an object and as a list of one are the same", async ({ server }) => {
  const ask = async (args: unknown) =>
    (await postJson(`${server.url}/api/query`, { path: "ledger:echo", args })).body;
  assert.deepEqual(await ask({ a: [1] }), await ask([{ a: [1] }]));
});

test("http-api 17, 18: errors and files carry CORS headers, too", async ({ server }) => {
  const origin = "https://app.test";
  const requests: [path: string, init: RequestInit, status: number][] = [
    ["/api/query", { method: "POST", body: "{", headers: { "content-type": "text/plain" } }, 400],
    [
      "/api/query",
      {
        method: "POST",
        body: '{"path":"ledger:left","args":{}}',
        headers: { "content-type": "application/json", authorization: "Bearer none" },
      },
      401,
    ],
    ["/api/storage/00000000-0000-4000-8000-000000000000", {}, 404],
  ];
  for (const [path, init, status] of requests) {
    const response = await fetch(server.url + path, {
      ...init,
      headers: { ...init.headers as Record<string, string>, origin },
    });
    await response.body?.cancel();
    assert.equal(response.status, status, path);
    assert.equal(response.headers.get("access-control-allow-origin"), origin, path);
    assert.equal(response.headers.get("access-control-allow-credentials"), "true", path);
  }
});

test("dashboard-api 2: pages of any origin may use what administrators use", async ({ server }) => {
  const origin = "https://dashboard.test";
  const asked = "authorization, content-type, convex-client";
  for (const path of ["check_admin_key", "update_environment_variables", "delete_component"]) {
    const preflight = await fetch(`${server.url}/api/${path}`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": path === "check_admin_key" ? "GET" : "POST",
        "access-control-request-headers": asked,
      },
    });
    await preflight.body?.cancel();
    assert.ok(preflight.ok, path);
    const allowed = preflight.headers.get("access-control-allow-headers")!.toLowerCase();
    for (const header of asked.split(", ")) {
      assert.ok(allowed.includes(header), `${path} ${header}`);
    }
    const refused = await fetch(`${server.url}/api/${path}`, {
      method: path === "check_admin_key" ? "GET" : "POST",
      headers: { origin, authorization: "Convex wrong", "content-type": "application/json" },
      ...path !== "check_admin_key" && { body: "{}" },
    });
    assert.ok(refused.status >= 400 && refused.status < 500, path);
    assert.equal(refused.headers.get("access-control-allow-origin"), origin, path);
    assert.ok((await refused.json()).code, path);
  }
});

test("http-api 43: the queries of a batch see one moment, in order, while a writer writes", async ({ server, clients }) => {
  const http = clients.http();
  let isWriting = true;
  const writer = (async () => {
    while (isWriting) await http.mutation(api.ledger.move, {});
  })();
  try {
    const queries = ["ledger:left", "ledger:right", "ledger:echo", "ledger:left"]
      .map((path) => ({ path, args: { n: 1 } }));
    for (let round = 0; round < 30; round++) {
      const { body } = await postJson(`${server.url}/api/query_batch`, { queries });
      const [left, right, echo, again] = body.results.map(({ value }: { value: unknown }) => value);
      assert.deepEqual([right, echo, again], [left, { n: 1 }, left]);
    }
  } finally {
    isWriting = false;
    await writer;
  }
});

test("http-api 48: an action runs to its end although its caller has gone", async ({ server, clients }) => {
  const http = clients.http();
  const caller = new AbortController();
  const gone = fetch(`${server.url}/api/action`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ path: "ledger:slowly", args: {} }),
    signal: caller.signal,
  });
  const noted = (text: string) =>
    eventually(
      async () => (await http.query(api.ledger.notes, {})).includes(text) || undefined,
      text,
    );
  await noted("begun");
  caller.abort();
  await assert.rejects(gone);
  await noted("done");
});
