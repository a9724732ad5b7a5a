import assert from "node:assert/strict";
import { adminKey, requestServices, sendRaw } from "../../tests/support/api_listener.ts";
import { systemEnvironment } from "../environment.ts";
import type {
  CallContext,
  Functions,
  HttpRequestData,
  HttpResult,
} from "../functions/functions.ts";
import { type Fallback, HttpActions } from "./http_actions.ts";
import { listen } from "./listener.ts";
import { appOnly } from "./request_handler.ts";

const text = (body: string) => new TextEncoder().encode(body);
const answer = (body: string, headers: [string, string][] = [], status = 200): HttpResult => ({
  ok: true,
  response: { status, headers },
  body: text(body),
});

interface Seen extends HttpRequestData {
  readonly context: CallContext;
}

/** Serves an app whose one HTTP action answers with `respond`; what it was given is in `seen`. */
async function serving(
  respond: (request: HttpRequestData) => HttpResult,
  test: (server: { url: string; port: number; seen: Seen[] }) => Promise<void>,
  options: { readonly redact?: boolean; readonly fallback?: Fallback } = {},
): Promise<void> {
  const seen: Seen[] = [];
  const functions = {
    httpAction: async (request: HttpRequestData, context: CallContext) => {
      seen.push({ ...request, context });
      return respond(request);
    },
  } as Functions;
  const app = new HttpActions(functions, {
    ...requestServices({ httpActionBodyBytesMax: 1000 }),
    environment: systemEnvironment,
    redact: options.redact ?? false,
    ...options.fallback && { fallback: options.fallback },
  });
  const handler = appOnly(app);
  const listener = listen("127.0.0.1", 0, (request) => handler(request, "client"));
  try {
    await test({ url: listener.url, port: listener.port, seen });
  } finally {
    listener.abort();
    await listener.drain().catch(() => {});
  }
}

const failure = {
  ok: false,
  failure: {
    message: "Uncaught ConvexError: no",
    frames: ["    at f (../convex/http.ts:1:2)"],
    data: '{"a":1}',
  },
} as const;

Deno.test("http-api rule 60, 61: the action sees URL, headers and body as the client sent them", () =>
  serving(() => answer("ok"), async ({ url, seen }) => {
    await fetch(`${url}/a%20b?x=1&x=2`, { method: "POST", body: "päng", headers: { "x-a": "1" } });
    const { method, body, headers } = seen[0]!;
    assert.equal(seen[0]!.url, `${url}/a%20b?x=1&x=2`);
    assert.deepEqual([method, new TextDecoder().decode(body as Uint8Array)], ["POST", "päng"]);
    assert.deepEqual(headers.find(([name]) => name === "x-a"), ["x-a", "1"]);
  }));

Deno.test("http-api rule 60, 83: a proxy tells scheme and host", () =>
  serving(() => answer("ok"), async ({ port, seen }) => {
    const get = async (...lines: string[]) => {
      const head = ["GET /p HTTP/1.1", "Connection: close", ...lines];
      const reply = await sendRaw(port, `${head.join("\r\n")}\r\n\r\n`);
      return seen.splice(0)[0]?.url ?? reply.slice(0, 12);
    };
    assert.equal(await get("Host: a.example"), "http://a.example/p");
    assert.equal(await get("Host: a", "X-Forwarded-Proto: https"), "https://a/p");
    assert.equal(
      await get("Host: a", "X-Forwarded-Host: b.example, c", "X-Forwarded-Proto: https, http"),
      "https://b.example/p",
    );
    assert.equal(
      await get("Host: a", 'Forwarded: for=1.2.3.4;proto=https;host="d.example", for=x'),
      "https://d.example/p",
    );
    assert.equal(await get("Host: a", "X-Forwarded-Proto: javascript"), "http://a/p");
    assert.equal(await get("Host: a b"), "HTTP/1.1 400");
  }));

Deno.test("http-api rule 69: status and repeated headers survive; what describes the connection is ours", () => {
  const headers: [string, string][] = [
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
    ["content-length", "99"],
    ["transfer-encoding", "chunked"],
    ["x-own", "yes"],
  ];
  return serving(() => answer("four", headers, 418), async ({ url }) => {
    const response = await fetch(url);
    assert.equal(response.status, 418);
    assert.deepEqual(response.headers.getSetCookie(), ["a=1", "b=2"]);
    assert.equal(response.headers.get("x-own"), "yes");
    assert.equal(response.headers.get("content-length"), "4");
    assert.equal(response.headers.get("content-type"), null);
    assert.equal(await response.text(), "four");
  });
});

Deno.test("responses without a body, by method or by status", () =>
  serving(({ method }) => answer("body", [], method === "DELETE" ? 204 : 200), async (server) => {
    const head = await sendRaw(
      server.port,
      "HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert.match(head, /content-length: 4\r\n[^]*\r\n\r\n$/);
    assert.equal(server.seen[0]!.method, "HEAD");
    const deleted = await fetch(server.url, { method: "DELETE" });
    assert.deepEqual([deleted.status, await deleted.text()], [204, ""]);
  }));

Deno.test("http-api rule 57: methods that HTTP actions do not have are answered with 405", () =>
  serving(() => answer("ok"), async ({ port, seen }) => {
    const reply = await sendRaw(
      port,
      "TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    assert.match(reply, /^HTTP\/1\.1 405 /);
    assert.equal(seen.length, 0);
  }));

Deno.test("http-api rule 74: a request body over the limit is answered with 413", () =>
  serving(() => answer("ok"), async ({ url, seen }) => {
    const post = (length: number) => fetch(url, { method: "POST", body: "x".repeat(length) });
    assert.equal((await post(1000)).status, 200);
    const refused = await post(1001);
    assert.equal(refused.status, 413);
    assert.match(await refused.text(), /maximum of 1000 bytes/);
    assert.equal(seen.length, 1);
  }));

Deno.test("http-api rule 68: the texts of 404, and a greeting where the app has nothing at /", () =>
  serving(() => ({ ok: false, notFound: "No matching routes found" }), async ({ url }) => {
    const missing = await fetch(`${url}/x`);
    assert.equal(missing.status, 404);
    assert.equal(missing.headers.get("content-type"), "text/plain; charset=utf-8");
    assert.equal(await missing.text(), "No matching routes found");
    const root = await fetch(url);
    assert.deepEqual([root.status, /Hull/.test(await root.text())], [200, true]);
    const options = await fetch(url, { method: "OPTIONS" });
    assert.deepEqual([options.status, await options.text()], [404, "No matching routes found"]);
  }));

Deno.test("a fallback answers what the app has no route for, unless it declines", () =>
  serving(
    ({ url }) => url.endsWith("/own") ? answer("own") : { ok: false, notFound: "none" },
    async ({ url }) => {
      const get = async (path: string) => await (await fetch(url + path)).text();
      assert.equal(await get("/own"), "own");
      assert.equal(await get("/page?x"), "file /page?x");
      assert.equal(await get("/declined"), "none");
    },
    {
      fallback: async (_request, target) =>
        target === "/declined" ? undefined : new Response(`file ${target}`),
    },
  ));

Deno.test("http-api rule 71: a failure is answered with 500, code, trace and data", () =>
  serving(() => failure, async ({ url }) => {
    const response = await fetch(url);
    assert.equal(response.status, 500);
    assert.match(response.headers.get("content-type")!, /application\/json/);
    const { code, trace, data, ...rest } = await response.json();
    assert.match(
      code,
      /^\[Request ID: [0-9a-f]{16}\] Server Error: Uncaught ConvexError: no$/,
    );
    assert.equal(trace, "Uncaught ConvexError: no\n    at f (../convex/http.ts:1:2)\n");
    assert.deepEqual([data, rest], [{ a: 1 }, {}]);
  }));

Deno.test("http-api rule 71: redaction leaves the request id and the data", () =>
  serving(() => failure, async ({ url }) => {
    const { code, ...rest } = await (await fetch(url)).json();
    assert.match(code, /^\[Request ID: [0-9a-f]{16}\] Server Error$/);
    assert.deepEqual(rest, { data: { a: 1 } });
  }, { redact: true }));

Deno.test("http-api rule 63: a bad credential does not stop the action", () =>
  serving(() => answer("ok"), async ({ url, seen }) => {
    const get = async (authorization?: string) => {
      await (await fetch(url, authorization === undefined ? {} : { headers: { authorization } }))
        .text();
      const { identityError, context } = seen.splice(0)[0]!;
      return [context.caller.kind, identityError];
    };
    assert.deepEqual(await get(), ["anonymous", undefined]);
    assert.deepEqual(await get(`Convex ${adminKey}`), ["admin", undefined]);
    assert.deepEqual(await get("Basic dXNlcg=="), ["anonymous", "Invalid admin key"]);
    const [kind, error] = await get("Bearer nonsense");
    assert.equal(kind, "anonymous");
    assert.match(error!, /Could not parse JWT payload/);
  }));
