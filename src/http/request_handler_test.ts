import assert from "node:assert/strict";
import { adminKey, listenWith, sendRaw } from "../../tests/support/api_listener.ts";
import { RequestError } from "../errors.ts";
import { listen } from "./listener.ts";
import { serviceApi } from "./service_api.ts";

const origin = "https://app.example";
const app = {
  handle: async (request: Request, target: string) =>
    new Response(`app ${request.method} ${target}`),
};
const answering = (text: string) => () => new Response(text);

Deno.test("the API's exact paths are ours, every other path is the app's", async () => {
  await using server = listenWith({
    query: answering("query"),
    downloadFile: answering("file"),
    runFunction: answering("run"),
    sync: answering("sync"),
  }, { app });
  const get = async (path: string, method = "GET") =>
    await (await fetch(server.url + path, { method })).text();
  assert.equal(await get("/api/query", "POST"), "query");
  assert.equal(await get("/api/storage/x"), "file");
  assert.equal(await get("/api/run/a/b/f", "POST"), "run");
  assert.equal(await get("/api/1.48.0/sync"), "sync");
  assert.equal(await get("/api/sync"), "sync");
  const ofTheApp = [
    "/",
    "/api",
    "/api/",
    "/api/auth/callback?code=1",
    "/api/calendar/sync",
    "/api/query/",
    "/api/storage/x/y",
    "/api/toString",
    "/a%20b?x=%2F",
  ];
  for (const path of ofTheApp) assert.equal(await get(path), `app GET ${path}`);
});

Deno.test("http-api rule 56, 60: under /http/ the app sees the path without that prefix", async () => {
  await using server = listenWith({ query: answering("query") }, { app });
  const get = async (path: string) => await (await fetch(server.url + path)).text();
  assert.equal(await get("/http/"), "app GET /");
  assert.equal(await get("/http/api/query?x=1"), "app GET /api/query?x=1");
  assert.equal(await get("/http"), "app GET /http");
});

Deno.test("http-api rule 12, 13: a preflight mirrors origin and headers", async () => {
  await using server = listenWith({});
  const response = await fetch(`${server.url}/api/query`, {
    method: "OPTIONS",
    headers: {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,convex-client",
    },
  });
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "");
  const headers = Object.fromEntries(response.headers);
  assert.equal(headers["access-control-allow-origin"], origin);
  assert.equal(headers["access-control-allow-headers"], "content-type,convex-client");
  assert.equal(headers["access-control-allow-credentials"], "true");
  assert.equal(headers["access-control-max-age"], "86400");
  for (const method of ["GET", "POST", "OPTIONS", "PATCH", "DELETE", "PUT"]) {
    assert.ok(headers["access-control-allow-methods"]!.includes(method), method);
  }
  assert.match(headers.vary!, /origin/);
});

Deno.test("http-api rule 12, 17: answers and errors of the API may be read by any origin, the app's are its own", async () => {
  await using server = listenWith({
    query: answering("ok"),
    mutation: () => {
      throw new RequestError("unauthenticated", "BadAdminKey", "no");
    },
  }, { app });
  const headers = { origin };
  for (const path of ["/api/query", "/api/mutation", "/api/query_ts"]) {
    const response = await fetch(server.url + path, { method: "POST", headers });
    await response.body?.cancel();
    assert.equal(response.headers.get("access-control-allow-origin"), origin, path);
    assert.equal(response.headers.get("access-control-allow-credentials"), "true", path);
  }
  const own = await fetch(`${server.url}/elsewhere`, { headers });
  await own.body?.cancel();
  assert.equal(own.headers.get("access-control-allow-origin"), null);
});

Deno.test("http-api rule 6: errors are an envelope of code and message; unclassified ones tell nothing", async () => {
  await using server = listenWith({
    query: () => {
      throw new RequestError("overloaded", "Busy", "try later");
    },
    mutation: () => {
      throw new Error("secret detail");
    },
  });
  const post = async (path: string) => {
    const response = await fetch(server.url + path, { method: "POST" });
    assert.match(response.headers.get("content-type")!, /^application\/json/);
    return [response.status, await response.json()];
  };
  assert.deepEqual(await post("/api/query"), [503, { code: "Busy", message: "try later" }]);
  assert.deepEqual(await post("/api/mutation"), [500, {
    code: "InternalServerError",
    message: "Your request couldn't be completed. Try again later.",
  }]);
});

Deno.test("a method that a path of the API does not have is answered with 405; HEAD is a GET without body", async () => {
  await using server = listenWith({ ...serviceApi("1.2.3") });
  const send = (method: string) =>
    sendRaw(server.port, `${method} /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
  for (const method of ["POST", "PUT", "toString", "constructor"]) {
    const answer = await send(method);
    assert.match(answer, /^HTTP\/1\.1 405 /, method);
    assert.match(answer, /allow: GET\r\n/i);
  }
  assert.match(await send("HEAD"), /^HTTP\/1\.1 200 OK\r\n[^]*content-length: 5\r\n[^]*\r\n\r\n$/);
});

Deno.test("http-api rule 3: service paths say which server this is", async () => {
  await using server = listenWith({ ...serviceApi("1.2.3") });
  const text = async (path: string, init?: RequestInit) =>
    await (await fetch(server.url + path, init)).text();
  assert.equal(await text("/version"), "1.2.3");
  assert.equal(await text("/instance_version"), "1.2.3");
  assert.equal(await text("/instance_name"), "test-instance");
  assert.equal(await text("/echo", { method: "POST", body: "päng" }), "päng");
});

Deno.test("http-api rule 8, 9: clients that are too old, or malformed, are refused on every path of the API", async () => {
  await using server = listenWith({ query: answering("ok") });
  const post = (client: string) =>
    fetch(`${server.url}/api/query`, { method: "POST", headers: { "convex-client": client } });
  const malformed = await post("npm");
  assert.equal((await malformed.json()).code, "InvalidClientVersion");
  const old = await post("npm-0.19.0");
  assert.equal(old.status, 400);
  assert.equal((await old.json()).code, "ClientVersionUnsupported");
  assert.equal(old.headers.get("x-convex-deprecation-state"), "Unsupported");
  assert.ok(old.headers.get("x-convex-deprecation-message"));
  assert.equal(await (await post("npm-1.48.0")).text(), "ok");
});

Deno.test("http-api rule 18: the query parameter adminKey authenticates", async () => {
  await using server = listenWith({
    checkAdminKey: async (request) => {
      await request.requireAdmin();
      return new Response("admin");
    },
  });
  const get = (query: string) => fetch(`${server.url}/api/check_admin_key${query}`);
  assert.equal(await (await get(`?adminKey=${encodeURIComponent(adminKey)}`)).text(), "admin");
  const wrong = await get("?adminKey=x");
  assert.deepEqual([wrong.status, (await wrong.json()).code], [401, "BadAdminKey"]);
  const anonymous = await get("");
  assert.deepEqual([anonymous.status, (await anonymous.json()).code], [403, "BadDeployKey"]);
});

Deno.test("listen() says which port is taken and what to do about it", async () => {
  await using server = listenWith({});
  assert.throws(
    () => listen("127.0.0.1", server.port, () => new Response()),
    new RegExp(`Port ${server.port} is in use .* --port`),
  );
});
