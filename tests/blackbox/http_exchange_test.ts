/** Requests and responses of HTTP actions: bodies in both directions, methods, headers, clients that leave. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { api } from "../support/api.ts";
import { sendRaw } from "../support/api_listener.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";

const { test } = appServer({
  app: "tests/fixtures/exchange",
  environment: { HULL_REQUEST_BODY_TIMEOUT_S: "2", HULL_RESPONSE_STALL_TIMEOUT_S: "1" },
});
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => i % 251);
const portOf = (url: string) => Number(new URL(url).port);

/** What comes back first for these bytes. */
async function firstAnswer(url: string, request: string): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: portOf(url) });
  await connection.write(encoder.encode(request));
  const buffer = new Uint8Array(10_000);
  const count = await connection.read(buffer);
  return decoder.decode(buffer.subarray(0, count ?? 0));
}

/** Resolves when an action has left this note. */
async function noted({ clients }: AppContext, text: string): Promise<void> {
  await watch(clients.live(), api.notes.texts, {})
    .until((texts) => texts.includes(text), `the note "${text}"`);
}

test("http-api 80, 82, 84: every method runs, and has a body to read unless it is GET, HEAD or OPTIONS", async ({ server }) => {
  const call = async (method: string, body?: string) =>
    await (await fetch(`${server.url}/body`, { method, ...body !== undefined && { body } })).json();
  for (const method of ["POST", "PUT", "PATCH", "DELETE"]) {
    assert.deepEqual(await call(method, "text"), { method, stream: "stream", text: "text" });
  }
  assert.deepEqual(await call("POST"), { method: "POST", stream: "stream", text: "" });
  for (const method of ["GET", "OPTIONS"]) {
    assert.deepEqual(await call(method), { method, stream: "null", text: "" });
  }
  const head = await fetch(`${server.url}/body`, { method: "HEAD" });
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  assert.ok(Number(head.headers.get("content-length")) > 0);
});

test("http-api 77, 80, 93: another method of a known path is not found; TRACE is not allowed", async ({ server }) => {
  for (const [method, path] of [["DELETE", "/mirror"], ["OPTIONS", "/mirror"], ["GET", "/none"]]) {
    const response = await fetch(server.url + path, { method: method! });
    assert.deepEqual([response.status, await response.text()], [404, "No matching routes found"]);
  }
  const head = "TRACE /body HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
  assert.match(await sendRaw(portOf(server.url), head), /^HTTP\/1\.1 405 /);
});

test("http-api 3: the app's routes lie beside those of the API, whose paths are exact", async ({ server }) => {
  assert.equal(await (await fetch(`${server.url}/api/auth/session`)).text(), "the app's own");
  const unknown = await fetch(`${server.url}/api/unknown`);
  assert.deepEqual([unknown.status, await unknown.text()], [404, "No matching routes found"]);
});

test("http-api rule 64: bodies are parsed in every way that a Request knows", async ({ server }) => {
  const parse = async (as: string, body: BodyInit, type?: string) => {
    const headers: HeadersInit = type === undefined ? {} : { "content-type": type };
    return await (await fetch(`${server.url}/parse?as=${as}`, { method: "POST", body, headers }))
      .json();
  };
  assert.equal(await parse("text", "päng"), "päng");
  assert.deepEqual(await parse("json", '{"a":[1]}'), { a: [1] });
  assert.deepEqual(await parse("blob", "four", "image/x"), [4, "image/x"]);
  assert.deepEqual(await parse("arrayBuffer", new Uint8Array([0, 255, 128])), [0, 255, 128]);
  const form = new FormData();
  form.set("text", "field");
  form.set("file", new File(["content"], "name.txt", { type: "text/plain" }));
  assert.deepEqual(await parse("formData", form), ["field", "name.txt", "text/plain", "content"]);
  const large = new FormData();
  large.set("text", "field");
  large.set("file", new File(["x".repeat(300_000)], "large.txt", { type: "text/plain" }));
  assert.equal((await parse("formData", large))[3].length, 300_000);
});

test("http-api 84, 86: request and response are streamed, also at the same time", async ({ server }) => {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  writer.write(encoder.encode("first"));
  const response = await fetch(`${server.url}/mirror`, { method: "POST", body: readable });
  const reader = response.body!.getReader();
  assert.equal(decoder.decode((await reader.read()).value), "first");
  writer.write(encoder.encode("second"));
  assert.equal(decoder.decode((await reader.read()).value), "second");
  await writer.close();
  assert.equal((await reader.read()).done, true);
});

test("bodies of megabytes arrive unchanged in both directions", async ({ server }) => {
  const body = bytes(5_000_000);
  const echoed = await fetch(`${server.url}/mirror`, { method: "POST", body });
  assert.deepEqual(Buffer.compare(await echoed.bytes(), body), 0);
  const digest = await fetch(`${server.url}/digest`, { method: "POST", body });
  const expected = new Uint8Array(await crypto.subtle.digest("SHA-256", body)).toHex();
  assert.equal(await digest.text(), expected);
});

test("an action may leave most of a body unread", async ({ server }) => {
  const response = await fetch(`${server.url}/first-piece`, {
    method: "POST",
    body: bytes(3_000_000),
  });
  assert.ok(await response.json() > 0);
});

test("http-api 87: a body whose length is known has a content-length, whatever its size", async ({ server }) => {
  for (const size of [0, 10, 100_000, 3_000_000]) {
    const response = await fetch(`${server.url}/bytes?size=${size}`);
    assert.equal(response.headers.get("content-length"), String(size));
    assert.equal(Buffer.compare(await response.bytes(), bytes(size)), 0);
    const head = await fetch(`${server.url}/bytes?size=${size}`, { method: "HEAD" });
    assert.equal(head.headers.get("content-length"), String(size));
  }
  const generated = await fetch(`${server.url}/generated?size=300000`);
  assert.equal(generated.headers.get("content-length"), null);
  assert.equal((await generated.bytes()).byteLength, 300_000);
});

test("http-api 86: server-sent events arrive one by one, as they are produced", async ({ server }) => {
  const response = await fetch(`${server.url}/words`);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.getReader();
  for (const word of ["one", "two", "three"]) {
    assert.equal(decoder.decode((await reader.read()).value), `data: ${word}\n\n`);
    await fetch(`${server.url}/next`, { method: "POST", body: `after ${word}` });
  }
  assert.equal((await reader.read()).done, true);
});

test("http-api rule 74: a request body over 20 MiB is refused with 413, with and without a length", async ({ server }) => {
  const body = bytes(20 * 1024 * 1024 + 1);
  const announced = await fetch(`${server.url}/digest`, { method: "POST", body });
  assert.deepEqual([announced.status, /maximum of 20971520/.test(await announced.text())], [
    413,
    true,
  ]);
  const unannounced = await fetch(`${server.url}/digest`, {
    method: "POST",
    body: new Blob([body]).stream(),
  });
  assert.equal(unannounced.status, 413);
  await unannounced.body?.cancel();
  const largest = await fetch(`${server.url}/digest`, { method: "POST", body: body.subarray(1) });
  assert.equal(largest.status, 200);
  await largest.body?.cancel();
});

test("http-api rule 70, function-abi 89: a response over 20 MiB is cut and logged", async ({ server }) => {
  const logged = server.nextLine(
    /HttpResponseTooLarge: HTTP actions support responses up to 20 MiB/,
  );
  const response = await fetch(`${server.url}/generated?size=30000000`);
  assert.equal(response.status, 200);
  assert.equal(
    (await response.bytes()).byteLength,
    Math.floor(20 * 1024 * 1024 / 100_000) * 100_000,
  );
  await logged;
});

test("http-api rule 73: an error after the head breaks the body off, and is logged", async ({ server }) => {
  const logged = server.nextLine(/broken in the middle/);
  const response = await fetch(`${server.url}/fails-in-the-middle`);
  assert.equal(response.status, 200);
  await assert.rejects(response.text());
  await logged;
});

test("http-api rule 4: a body that stops arriving is answered with 408, whoever waits for it", async ({ server }) => {
  const head = "POST /digest HTTP/1.1\r\nHost: a\r\n";
  const answers = await Promise.all([
    firstAnswer(server.url, `${head}Content-Length: 10\r\n\r\nfive!`),
    firstAnswer(server.url, `${head}Transfer-Encoding: chunked\r\n\r\n5\r\nfive!\r\n`),
  ]);
  for (const answer of answers) {
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.match(answer, /"code":"RequestTimeout"/);
  }
});

test("http-api 92, semantics A5: the signal fires when the client leaves, and the action runs to its end", async (context) => {
  const { server } = context;
  const leaving = new AbortController();
  const waiting = fetch(`${server.url}/until-gone`, { signal: leaving.signal });
  await noted(context, "waiting");
  leaving.abort();
  await assert.rejects(waiting);
  await noted(context, "gone before the head");

  const ticks = await fetch(`${server.url}/ticks`);
  const reader = ticks.body!.getReader();
  await reader.read();
  await reader.cancel();
  await noted(context, "gone after the head");
});

test("a client that takes nothing holds a bounded part of a response, and not for long", async ({ server }) => {
  const logged = server.nextLine(/made (\d+)/);
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: portOf(server.url) });
  await connection.write(
    encoder.encode("GET /generated?size=20000000 HTTP/1.1\r\nHost: a\r\n\r\n"),
  );
  const line = await logged;
  const made = Number(/made (\d+)/.exec(line)![1]);
  // What lies in between: the buffers of two sockets, and some pieces.
  assert.ok(made < 15_000_000, `${made} bytes were made for nobody`);
});

test("http-api 85: statuses, repeated headers and redirects", async ({ server }) => {
  for (const status of [200, 201, 202, 204, 205, 304, 400, 401, 404, 418, 500, 503]) {
    const response = await fetch(`${server.url}/status?status=${status}`);
    assert.equal(response.status, status);
    assert.equal(response.headers.get("x-case"), "Kept Value");
    assert.equal(await response.text(), [204, 205, 304].includes(status) ? "" : "text");
  }
  const redirect = await fetch(`${server.url}/redirect`, { redirect: "manual" });
  assert.deepEqual([redirect.status, redirect.headers.get("location")], [
    302,
    `${server.url}/body`,
  ]);
  const cookies = await fetch(`${server.url}/cookies`);
  assert.deepEqual(cookies.headers.getSetCookie(), ["a=1; Path=/", "b=2; HttpOnly"]);
  assert.equal(cookies.headers.get("vary"), "Origin, Accept");
  await cookies.body?.cancel();
});

test("http-api rule 61: request headers arrive, repeated ones too, whatever their case", async ({ server }) => {
  const head = [
    "GET /request-headers HTTP/1.1",
    "Host: a",
    "Connection: close",
    "X-MiXeD: One",
    "x-mixed: Two",
  ];
  const answer = await sendRaw(portOf(server.url), `${head.join("\r\n")}\r\n\r\n`);
  const headers: [string, string][] = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
  assert.deepEqual(
    headers.filter(([name]) => name === "x-mixed").map(([, value]) => value).join(", "),
    "One, Two",
  );
});

test("http-api 19: preflights are the app's to answer", async ({ server }) => {
  const response = await fetch(`${server.url}/shared`, {
    method: "OPTIONS",
    headers: { origin: "https://a.example", "access-control-request-method": "POST" },
  });
  assert.equal(response.headers.get("access-control-allow-origin"), "https://a.example");
  assert.equal(response.headers.get("access-control-allow-methods"), "POST");
  assert.equal(response.headers.get("access-control-max-age"), "60");
  await response.body?.cancel();
});

test("HTTP actions store files and schedule functions", async (context) => {
  const { server } = context;
  const response = await fetch(`${server.url}/store`, {
    method: "POST",
    body: bytes(200_000),
    headers: { "content-type": "image/x" },
  });
  assert.equal(Buffer.compare(await response.bytes(), bytes(200_000)), 0);
  const served = await fetch(response.headers.get("x-url")!);
  assert.equal(served.headers.get("content-type"), "image/x");
  assert.equal((await served.bytes()).byteLength, 200_000);
  await noted(context, "scheduled");
});

test("http-api 90, 91, function-abi 71: only asking who calls shows a bad credential", async ({ server }) => {
  const who = async (headers: HeadersInit = {}) =>
    await (await fetch(`${server.url}/who`, { headers })).json();
  assert.equal(await who(), null);
  for (const authorization of ["Bearer nonsense", "Basic eDp5", "x"]) {
    assert.equal(typeof (await who({ authorization })).threw, "string");
    const response = await fetch(`${server.url}/body`, { headers: { authorization } });
    assert.equal(response.status, 200);
    await response.body?.cancel();
  }
});
