/** Where HTTP actions are reachable: the listener of the API, and one of their own. */
import assert from "node:assert/strict";
import { copyApp, makeApp } from "../support/apps.ts";
import { ServerProcess } from "../support/server_process.ts";

const get = async (url: string, headers: HeadersInit = {}) => {
  const response = await fetch(url, { headers });
  return [response.status, await response.text()] as const;
};

Deno.test("HTTP actions on both listeners", async (t) => {
  await using server = await ServerProcess.start({ arguments: ["--site-port", "0"] });
  const site = (await server.firstLine(/HTTP actions on http\S+/)).replace(/.*(?=http:)/, "");

  await t.step(
    "http-api 2, 78: an app without http.js has no HTTP actions, and the server greets",
    async () => {
      const app = await makeApp({
        files: { "convex/functions.ts": "export {};", "package.json": "{}" },
      });
      await server.deploy(app);
      await Deno.remove(app, { recursive: true });
      const text = "This Convex deployment does not have HTTP actions enabled.";
      for (const url of [`${server.url}/x`, `${server.url}/http/x`, `${site}/x`]) {
        assert.deepEqual(await get(url), [404, text]);
      }
      const [status, greeting] = await get(`${server.url}/`);
      assert.deepEqual([status, /Hull/.test(greeting)], [200, true]);
    },
  );

  const app = await copyApp("tests/fixtures/exchange");
  await server.deploy(app);
  await Deno.remove(app, { recursive: true });

  await t.step(
    "http-api 81: the same routes on the site listener and under /http/ of the main one",
    async () => {
      const expected = [200, '{"method":"GET","stream":"null","text":""}'];
      for (const url of [`${site}/body`, `${server.url}/http/body`, `${server.url}/body`]) {
        assert.deepEqual(await get(url), expected);
      }
      assert.deepEqual(await get(`${site}/none`), [404, "No matching routes found"]);
    },
  );

  await t.step(
    "the site listener has the app's routes alone, those of the API's paths included",
    async () => {
      for (const path of ["/version", "/api/query", "/http/body"]) {
        assert.deepEqual(await get(site + path), [404, "No matching routes found"]);
      }
      assert.deepEqual(await get(`${site}/api/auth/x`), [200, "the app's own"]);
    },
  );

  await t.step("http-api 83: a proxy's word on the scheme is taken", async () => {
    const response = await fetch(`${site}/redirect`, {
      redirect: "manual",
      headers: { "x-forwarded-proto": "https" },
    });
    assert.match(response.headers.get("location")!, /^https:\/\/127\.0\.0\.1:\d+\/body$/);
    await response.body?.cancel();
  });
});
