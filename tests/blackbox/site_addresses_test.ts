/** Under which addresses an app's HTTP actions are reached, and what answers where there are none. */
import assert from "node:assert/strict";
import { writeAppFile } from "../support/apps.ts";
import { appServer } from "../support/app_server.ts";
import type { ServerProcess } from "../support/server_process.ts";

const { test } = appServer({
  files: {
    "convex/one.ts":
      `import { query } from "./_generated/server"; export const one = query(() => 1);`,
  },
  arguments: ["--site-port", "0"],
});

const router = `
import { httpRouter } from "convex/server";
import { httpAction } from "./_generated/server";

const http = httpRouter();
const handler = httpAction(async (_ctx, request) =>
  Response.json({ method: request.method, url: request.url }));
for (const method of ["GET", "POST"] as const) http.route({ path: "/seen", method, handler });
export default http;
`;

/** Where the same HTTP actions answer: under /http/, beside the API, and on a listener of their own. */
function addresses(server: ServerProcess): string[] {
  const site = /HTTP actions on (\S+)/.exec(server.log)?.[1];
  assert.ok(site, server.log);
  return [`${server.url}/http`, server.url, site];
}

async function get(url: string, init?: RequestInit): Promise<[status: number, text: string]> {
  const response = await fetch(url, init);
  return [response.status, await response.text()];
}

test("http-api 2, 78: without routes there is a greeting at / and 404 elsewhere", async ({ server }) => {
  for (const address of addresses(server)) {
    const [status, text] = await get(`${address}/`);
    assert.equal(status, 200);
    assert.match(text, /^This is a Hull server\./);
    assert.deepEqual(await get(`${address}/seen`), [
      404,
      "This Convex deployment does not have HTTP actions enabled.",
    ]);
  }
});

test("http-api 2, 81, 83: routes answer alike at every address, and see the one that was asked", async ({ server, app }) => {
  await writeAppFile(app, "convex/http.ts", router);
  await server.deploy(app);
  for (const address of addresses(server)) {
    const { origin, host } = new URL(address);
    assert.deepEqual(JSON.parse((await get(`${address}/seen?a=1`))[1]), {
      method: "GET",
      url: `${origin}/seen?a=1`,
    });
    const proxied = { method: "POST", headers: { "x-forwarded-proto": "https" } };
    assert.deepEqual(JSON.parse((await get(`${address}/seen`, proxied))[1]), {
      method: "POST",
      url: `https://${host}/seen`,
    });
    assert.deepEqual(await get(`${address}/unseen`), [404, "No matching routes found"]);
    assert.equal((await get(`${address}/`))[0], 200);
  }
});
