/** HTTP actions: routing, requests and responses. */
import assert from "node:assert/strict";
import { appServer } from "../support/app_server.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });

test("http-api 75: the exact route wins over prefixes, and the longer prefix over the shorter", async ({ server }) => {
  const get = async (path: string) => await (await fetch(`${server.url}${path}`)).text();
  assert.equal(await get("/files/large/exact"), "exact");
  assert.equal(await get("/files/large/other"), "large files");
  assert.equal(await get("/files/small"), "files");
  assert.equal(await get("/http/files/small"), "files");
});

test("http-api 76: a prefix does not match without its last slash", async ({ server }) => {
  const response = await fetch(`${server.url}/http/files`);
  assert.equal(response.status, 404);
  assert.equal(await response.text(), "No matching routes found");
});

test("http-api 79, 85: HEAD runs the GET route without a body, and repeated headers survive", async ({ server }) => {
  const get = await fetch(`${server.url}/headers?a=1&b=2`, { headers: { "x-custom": "seen" } });
  assert.equal(await get.text(), "query: ?a=1&b=2");
  assert.deepEqual(get.headers.getSetCookie(), ["a=1", "b=2"]);
  assert.equal(get.headers.get("x-seen"), "seen");
  assert.equal(get.headers.get("content-length"), "15");
  const head = await fetch(`${server.url}/headers`, { method: "HEAD" });
  assert.equal(head.headers.get("x-method"), "HEAD");
  assert.equal(await head.text(), "");
});

test("a body made as a stream arrives whole", async ({ server }) => {
  assert.equal(await (await fetch(`${server.url}/stream`)).text(), "one two three");
});

test("http-api 71: an uncaught error is answered with 500, code and trace", async ({ server }) => {
  const response = await fetch(`${server.url}/throws`);
  assert.equal(response.status, 500);
  const { code, trace, ...rest } = await response.json();
  assert.match(
    code,
    /^\[Request ID: [0-9a-f]{16}\] Server Error: Uncaught Error: broken on purpose/,
  );
  assert.match(trace, /http\.ts/);
  assert.doesNotMatch(trace, /node_modules|convex\/src\/server/);
  assert.deepEqual(rest, {});
});

test("http-api 71: a ConvexError's data is part of the answer", async ({ server }) => {
  const response = await fetch(`${server.url}/throws-data`);
  assert.equal(response.status, 500);
  assert.deepEqual((await response.json()).data, { reason: "on purpose" });
});

test("http-api 72: a handler that returns no Response fails", async ({ server }) => {
  const response = await fetch(`${server.url}/not-a-response`);
  assert.equal(response.status, 500);
  assert.match((await response.json()).code, /HTTP actions must return a Response/);
});

test("http-api 19: HTTP actions get no CORS headers of the server", async ({ server }) => {
  const response = await fetch(`${server.url}/files/x`, {
    headers: { origin: "https://a.example" },
  });
  assert.equal(response.headers.get("access-control-allow-origin"), null);
  await response.body?.cancel();
});
