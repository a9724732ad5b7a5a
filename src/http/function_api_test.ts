import assert from "node:assert/strict";
import { adminKey, asAdmin, listenWith } from "../../tests/support/api_listener.ts";
import {
  action,
  fail,
  FakeBackend,
  type FakeFunction,
  mutation,
  query,
} from "../../tests/support/fake_backend.ts";
import { type JsonAnswer, postJson } from "../../tests/support/http.ts";
import { defaultConfig } from "../config.ts";
import { systemEnvironment } from "../environment.ts";
import type { HostServices } from "../functions/host_services.ts";
import { createFunctions } from "../functions/runner.ts";
import { LogStore } from "../logs/log_store.ts";
import { ServerMetrics } from "../metrics/server_metrics.ts";
import { functionApi } from "./function_api.ts";

const int64 = '{"$integer":"AQAAAAAAAAA="}';

const functions: Record<string, FakeFunction> = {
  "m:echo": query(({ args }) => args),
  "m:int": query(() => int64),
  "m:read": query(({ read }) => read("a")),
  "m:other": query(({ read }) => read("b")),
  "m:logs": query(({ print }) => {
    print("'hi'");
    return "null";
  }),
  "m:default": query(() => '"default"'),
  "m:throws": query(({ print }) => {
    print("1");
    return fail("Uncaught Error: boom");
  }),
  "m:throwsData": query(() => fail("Uncaught ConvexError: x", int64)),
  "m:throwsNull": query(() => fail("Uncaught ConvexError: null", "null")),
  "m:whoami": query(({ identity }) => JSON.stringify(identity())),
  "m:hidden": { ...query(() => '"internal"'), isInternal: true },
  "m:write": mutation(({ write, args }) => {
    write("a", args);
    return "null";
  }),
  "a/b:act": action(({ args }) => args),
};

async function serving(
  test: (server: {
    readonly backend: FakeBackend;
    post(path: string, body: unknown, headers?: Record<string, string>): Promise<JsonAnswer>;
    readonly url: string;
  }) => Promise<void>,
  options: { readonly redact?: boolean } = {},
): Promise<void> {
  const backend = new FakeBackend();
  const runner = createFunctions({
    environment: systemEnvironment,
    config: defaultConfig,
    isolates: backend,
    committer: backend,
    sessions: backend,
    services: {} as HostServices,
    logs: new LogStore(systemEnvironment),
    metrics: new ServerMetrics(),
  });
  runner.setDeployment(...backend.deployment(functions));
  await using server = listenWith({
    ...functionApi(runner, { redact: options.redact ?? false }),
  });
  await test({
    backend,
    url: server.url,
    post: (path, body, headers) => postJson(`${server.url}/api/${path}`, body, headers),
  });
}

/** Waits for something that another party does without being asked again. */
async function until(condition: () => boolean): Promise<void> {
  for (let turn = 0; !condition(); turn++) {
    assert.ok(turn < 100_000, "it never happened");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const call = (path: string, args: unknown = {}, format?: string) => ({ path, args, format });

Deno.test("http-api rule 33: the envelope has a value, and log lines if there are any", () =>
  serving(async ({ post }) => {
    const plain = await post("query", call("m:echo"));
    assert.deepEqual([plain.status, plain.body], [200, { status: "success", value: [{}] }]);
    const { body } = await post("query", call("m:logs"));
    assert.deepEqual(body, { status: "success", value: null, logLines: ["[LOG] 'hi'"] });
  }));

Deno.test("http-api rule 24: an object is the single argument, an array the list of them; -0 survives", () =>
  serving(async ({ post }) => {
    const value = async (args: string) =>
      (await post("query", `{"path":"m:echo","args":${args}}`)).body.value;
    assert.deepEqual(await value('{"a":1}'), [{ a: 1 }]);
    assert.deepEqual(await value('[{"a":1}]'), [{ a: 1 }]);
    assert.deepEqual(await value("[]"), []);
    assert.deepEqual(await value("5"), [5]);
    assert.ok(Object.is((await value('{"z":-0}'))[0].z, -0));
  }));

Deno.test("http-api 27: m, m:default and m.js:default are one function", () =>
  serving(async ({ post }) => {
    for (const path of ["m", "m:default", "m.js:default"]) {
      assert.equal((await post("query", call(path))).body.value, "default");
    }
  }));

Deno.test("http-api rule 33, 35: a function's failure is an answer with status 200", () =>
  serving(async ({ post }) => {
    const { status, body } = await post("query", call("m:throws"), { "convex-request-id": "abc" });
    assert.equal(status, 200);
    assert.deepEqual(body, {
      status: "error",
      errorMessage:
        "[Request ID: abc] Server Error\nUncaught Error: boom\n    at handler (../convex/a.ts:1:2)\n",
      logLines: ["[LOG] 1"],
    });
  }));

Deno.test("http-api rule 10: without a request id of the client's each failure gets one", () =>
  serving(async ({ post }) => {
    const id = async () =>
      /^\[Request ID: ([0-9a-f]{16})\]/
        .exec((await post("query", call("m:throws"))).body.errorMessage)?.[1];
    const [first, second] = [await id(), await id()];
    assert.ok(first !== undefined && second !== undefined && first !== second);
  }));

Deno.test("http-api 38, rule 29, 33: data of a ConvexError is delivered in the chosen format, null included", () =>
  serving(async ({ post }) => {
    assert.equal((await post("query", call("m:throwsData"))).body.errorData, "1");
    const encoded = await post("query", call("m:throwsData", {}, "convex_encoded_json"));
    assert.deepEqual(encoded.body.errorData, JSON.parse(int64));
    const { body } = await post("query", call("m:throwsNull"));
    assert.ok("errorData" in body && body.errorData === null);
  }));

Deno.test("http-api rule 36: redaction hides messages and log lines, keeps data, and spares admins", () =>
  serving(async ({ post }) => {
    const { body } = await post("query", call("m:throws"), { "convex-request-id": "abc" });
    assert.deepEqual(body, { status: "error", errorMessage: "[Request ID: abc] Server Error" });
    assert.equal((await post("query", call("m:throwsData"))).body.errorData, "1");
    assert.equal((await post("query", call("m:logs"))).body.logLines, undefined);
    const admin = await post("query", call("m:throws"), asAdmin);
    assert.match(admin.body.errorMessage, /boom/);
    assert.deepEqual(admin.body.logLines, ["[LOG] 1"]);
  }, { redact: true }));

Deno.test("http-api rule 29: formats; an unknown one is refused before the mutation runs", () =>
  serving(async ({ post, backend }) => {
    assert.equal((await post("query", call("m:int"))).body.value, "1");
    const encoded = await post("query", call("m:int", {}, "convex_encoded_json"));
    assert.deepEqual(encoded.body.value, JSON.parse(int64));
    const oldClient = await post("query", call("m:int"), { "convex-client": "npm-1.4.0" });
    assert.deepEqual(oldClient.body.value, JSON.parse(int64));
    const bad = await post("mutation", call("m:write", {}, "xml"));
    assert.deepEqual([bad.status, bad.body.code], [400, "BadFormat"]);
    assert.deepEqual(backend.calls.filter((path) => path === "m:write"), []);
  }));

Deno.test("http-api rule 5, 22, 23: what is no call is refused with its code", () =>
  serving(async ({ post }) => {
    const refused = async (body: unknown, code: string, headers?: Record<string, string>) => {
      const answer = await post("query", body, headers);
      assert.deepEqual([answer.status, answer.body.code], [400, code], JSON.stringify(body));
      assert.deepEqual(Object.keys(answer.body), ["code", "message"]);
    };
    await refused("{", "BadJsonBody");
    await refused("[]", "BadJsonBody");
    await refused({ args: {} }, "BadJsonBody");
    await refused({ path: 1, args: {} }, "BadJsonBody");
    await refused({ path: "m:echo" }, "BadJsonBody");
    await refused(call("../x"), "BadConvexFunctionIdentifier");
    await refused(call("a-b:f"), "BadConvexFunctionIdentifier");
    await refused(call("m:echo"), "BadJsonBody", { "content-type": "text/plain" });
    const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`;
    await refused(`{"path":"m:echo","args":${deep}}`, "BadJsonBody");
    await refused({ ...call("m:echo", "x".repeat(2 ** 24 + 2000)) }, "BadJsonBody");
    const answer = await post("query", call("m:echo"), { "content-type": "text/plain" });
    assert.equal(answer.body.message, "Expected request with `Content-Type: application/json`");
    const variant = await post("query", call("m"), { "content-type": "application/vnd.x+json" });
    assert.equal(variant.body.value, "default");
  }));

Deno.test("http-api 25, 26, 28, 46: visibility, kinds, and /api/function", () =>
  serving(async ({ post }) => {
    const error = async (path: string, target: string) =>
      (await post(path, call(target))).body.errorMessage;
    assert.match(await error("query", "m:none"), /Could not find public function for 'm:none'\./);
    assert.match(await error("query", "m:hidden"), /Could not find public function for 'm:hidden'/);
    assert.match(await error("mutation", "m:echo"), /as Mutation, but it is defined as Query/);
    const byAdmin = await post("query", call("m:hidden"), asAdmin);
    assert.equal(byAdmin.body.value, "internal");
    const anonymous = await post("function", call("m:echo"));
    assert.deepEqual([anonymous.status, anonymous.body.code], [403, "BadDeployKey"]);
    for (const [path, value] of [["m:hidden", "internal"], ["a/b:act", [{}]]] as const) {
      assert.deepEqual((await post("function", call(path), asAdmin)).body.value, value);
    }
    const missing = await post("function", call("m:none"), asAdmin);
    assert.equal(missing.status, 200);
    assert.match(missing.body.errorMessage, /Did you forget to run `npx convex dev`\?/);
    const inComponent = { ...call("m:echo"), componentPath: "a/b" };
    const component = await post("function", inComponent, asAdmin);
    assert.match(component.body.errorMessage, /Component path 'a\/b' not found/);
    const badPath = await post("function", { ...call("m:echo"), componentPath: "/" }, asAdmin);
    assert.equal(badPath.body.code, "InvalidComponentPath");
  }));

Deno.test("http-api rule 20, 21: an admin may act as a user; a bad token fails the request", () =>
  serving(async ({ post }) => {
    const user = btoa(JSON.stringify({ issuer: "i", subject: "s" }));
    const headers = { authorization: `Convex ${adminKey}:${user}` };
    const { body } = await post("query", call("m:whoami"), headers);
    assert.deepEqual(body.value, { issuer: "i", subject: "s", tokenIdentifier: "i|s" });
    assert.equal((await post("query", call("m:whoami"))).body.value, null);
    const bad = await post("query", call("m:echo"), { authorization: "Bearer x" });
    assert.deepEqual([bad.status, bad.body.code], [401, "InvalidAuthHeader"]);
  }));

Deno.test("http-api rule 26: /api/run/a/b/f calls a/b:f and answers in json", () =>
  serving(async ({ post }) => {
    const { body } = await post("run/a/b/act", { args: { x: 1 } }, {
      "convex-client": "npm-1.4.0",
    });
    assert.deepEqual(body, { status: "success", value: [{ x: 1 }] });
    const missing = await post("run/f", { args: {} });
    assert.deepEqual([missing.status, missing.body.code], [400, "MissingIdentifier"]);
  }));

Deno.test("GET /api/query takes its call from the query string", () =>
  serving(async ({ url }) => {
    const get = async (query: Record<string, string>) => {
      const response = await fetch(`${url}/api/query?${new URLSearchParams(query)}`);
      return await response.json();
    };
    assert.deepEqual((await get({ path: "m:echo", args: '{"a":1}' })).value, [{ a: 1 }]);
    const format = "convex_encoded_json";
    assert.deepEqual((await get({ path: "m:int", args: "{}", format })).value, JSON.parse(int64));
    assert.equal((await get({ path: "m:echo", args: "{" })).code, "BadQueryArgs");
    assert.equal((await get({ args: "{}" })).code, "BadJsonBody");
  }));

Deno.test("http-api 39, 40, 42: query_at_ts answers as of its timestamp while that state is kept", () =>
  serving(async ({ post, backend }) => {
    const { body: { ts } } = await post("query_ts", "");
    assert.match(ts, /^[A-Za-z0-9+/]{11}=$/);
    const at = (path: string, timestamp = ts) =>
      post("query_at_ts", { ...call(path), ts: timestamp });
    assert.equal((await at("m:read")).body.value, null);
    backend.write({ a: '"new"' });
    assert.equal((await at("m:read")).body.value, null);
    assert.equal((await post("query", call("m:read"))).body.value, "new");
    assert.equal((await at("m:read")).body.value, null);
    assert.match((await at("m:missing")).body.errorMessage, /Could not find public function/);
    backend.historyStart = backend.appliedTimestamp;
    const tooOld = await at("m:read");
    assert.deepEqual([tooOld.status, tooOld.body.code], [503, "InternalServerError"]);
    const future = await at("m:read", "//////////8=");
    assert.deepEqual([future.status, future.body.code], [500, "InternalServerError"]);
    assert.equal((await at("m:read", "?")).status, 500);
  }));

Deno.test("http-api rule 28: query_batch answers in order at one timestamp; a malformed element fails it all", () =>
  serving(async ({ post, backend }) => {
    backend.write({ a: "1", b: "1" });
    const queries = [call("m:read"), call("m:other"), call("m:throws"), call("m:int")];
    const { body } = await post("query_batch", { queries });
    assert.deepEqual(
      body.results.map((result: { value?: unknown; status: string }) =>
        result.value ?? result.status
      ),
      [1, 1, "error", "1"],
    );
    const bad = await post("query_batch", { queries: [call("m:read"), { path: "m:read" }] });
    assert.deepEqual([bad.status, bad.body.code], [400, "BadJsonBody"]);
  }));

Deno.test("a mutation's answer is not sent before its commit is on disk, nor a query's that saw it", () =>
  serving(async ({ post, backend }) => {
    backend.isDiskStuck = true;
    const written = post("mutation", call("m:write", { n: 1 }));
    await until(() => backend.commits === 1);
    const seen = post("query", call("m:read"));
    await until(() => backend.calls.includes("m:read"));
    // A request that needs no function is answered meanwhile, so the others had their chance.
    const unaffected = post("query", "{").then(() => "unaffected");
    assert.equal(await Promise.race([written, seen, unaffected]), "unaffected");
    backend.isDiskStuck = false;
    backend.syncDisk();
    assert.equal((await written).body.status, "success");
    assert.deepEqual((await seen).body.value, [{ n: 1 }]);
  }));
