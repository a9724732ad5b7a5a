import assert from "node:assert/strict";
import { type ApiListener, asAdmin, listenWith } from "../../tests/support/api_listener.ts";
import { adminApi } from "./admin_api.ts";

type Change = { readonly name: string; readonly value: string | null };

/** Settings that keep what they are told. */
function serving(): { server: ApiListener; changes: Change[]; urls: (string | null)[] } {
  const changes: Change[] = [];
  const urls: (string | null)[] = [];
  const server = listenWith({
    ...adminApi({
      urls: { cloud: "http://cloud", site: "http://site" },
      environmentVariables: { A: "1" },
      changeEnvironmentVariables: async (added) => void changes.push(...added),
      changeUrl: async (which, url) => void urls.push(which, url),
    }),
  });
  return { server, changes, urls };
}

const post = (server: ApiListener, path: string, body: unknown, headers = asAdmin) =>
  fetch(`${server.url}/api/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...headers },
  });

Deno.test("deploy-protocol 3.2: canonical URLs are told and changed", async () => {
  const { server, urls } = serving();
  await using _ = server;
  const response = await fetch(`${server.url}/api/v1/get_canonical_urls`, { headers: asAdmin });
  assert.deepEqual(await response.json(), {
    convexCloudUrl: "http://cloud",
    convexSiteUrl: "http://site",
  });
  const change = (requestDestination: string, url: string | null) =>
    post(server, "v1/update_canonical_url", { requestDestination, url });
  assert.equal((await change("convexCloud", "https://x.example")).status, 200);
  assert.equal((await change("convexSite", null)).status, 200);
  assert.deepEqual(urls, ["cloud", "https://x.example", "site", null]);
  assert.equal((await change("convexSite", "ftp://x")).status, 400);
  assert.equal((await change("elsewhere", null)).status, 400);
});

Deno.test("deploy-protocol §5: environment variables are listed and changed; the answer has no body", async () => {
  const { server, changes } = serving();
  await using _ = server;
  const listed = await fetch(`${server.url}/api/v1/list_environment_variables`, {
    headers: asAdmin,
  });
  assert.deepEqual(await listed.json(), { environmentVariables: { A: "1" } });
  for (const path of ["update_environment_variables", "v1/update_environment_variables"]) {
    const response = await post(server, path, { changes: [{ name: "B", value: null }] });
    assert.deepEqual([response.status, await response.text()], [200, ""]);
  }
  assert.equal(changes.length, 2);
  const bad = await post(server, "update_environment_variables", { changes: [{ name: "B" }] });
  assert.deepEqual([bad.status, (await bad.json()).code], [400, "BadJsonBody"]);
});

Deno.test("deploy-protocol 2.4: check_admin_key tells what a key allows; nothing here is for others", async () => {
  const { server, changes } = serving();
  await using _ = server;
  const checked = await fetch(`${server.url}/api/check_admin_key`, { headers: asAdmin });
  const { success, isReadOnly, allowedOps } = await checked.json();
  assert.deepEqual([success, isReadOnly, allowedOps.includes("Deploy")], [true, false, true]);
  const paths = ["check_admin_key", "v1/get_canonical_urls", "v1/list_environment_variables"];
  for (const path of paths) {
    const response = await fetch(`${server.url}/api/${path}`);
    assert.equal(response.status, 403, path);
    assert.match((await response.json()).message, /invalid for deployment 'test-instance'/);
  }
  const headers = { authorization: "Convex wrong" };
  assert.equal((await post(server, "update_environment_variables", {}, headers)).status, 401);
  assert.deepEqual(changes, []);
});
