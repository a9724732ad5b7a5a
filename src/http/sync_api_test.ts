import assert from "node:assert/strict";
import { listenWith } from "../../tests/support/api_listener.ts";
import { requireUpgrade } from "../sync/upgrade_request.ts";
import { syncApi } from "./sync_api.ts";

Deno.test("sync-protocol rule 6, 7, 9: the header tells the client, else the path; both decide about chunks", async () => {
  const accept = (_request: Request, { chunks }: { chunks: boolean }) =>
    new Response(String(chunks));
  await using server = listenWith({ ...syncApi({ accept }) });
  const get = async (path: string, client?: string) => {
    const headers = client === undefined ? {} : { "convex-client": client };
    return await (await fetch(server.url + path, { headers })).text();
  };
  assert.equal(await get("/api/1.48.0/sync"), "true");
  assert.equal(await get("/api/1.27.9/sync"), "false");
  assert.equal(await get("/api/1.48.0/sync", "python-0.7.0"), "false");
  assert.equal(await get("/api/sync"), "false");
  assert.equal(await get("/api/sync", "npm-1.30.0"), "true");
  assert.match(await get("/api/0.19.0/sync"), /ClientVersionUnsupported/);
  assert.match(await get("/api/1.48.0.x/sync"), /InvalidClientVersion/);
});

Deno.test("sync-protocol rule 4: what is no request for a socket is answered with 400 and JSON", async () => {
  const accept = (request: Request) => {
    requireUpgrade(request);
    return new Response();
  };
  await using server = listenWith({ ...syncApi({ accept }) });
  const get = await fetch(`${server.url}/api/1.48.0/sync`);
  assert.deepEqual([get.status, (await get.json()).code], [400, "InvalidConnectionHeader"]);
  const post = await fetch(`${server.url}/api/sync`, { method: "POST" });
  assert.deepEqual([post.status, (await post.json()).code], [400, "MethodNotGet"]);
});
