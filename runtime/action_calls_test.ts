import assert from "node:assert/strict";
import { bundleSources, IsolateHarness } from "../tests/support/isolate_harness.ts";

const bundle = await bundleSources({
  "actions.ts": `
import { actionGeneric as action, queryGeneric as query, makeFunctionReference } from "convex/server";
import { ConvexError, v } from "convex/values";
const fn = (name: string) => makeFunctionReference<any>(name) as any;

export const calls = action(async (ctx, args: any) => [
  await ctx.runQuery(fn("other:query"), { a: 1n }),
  await ctx.runMutation(fn("other:mutation"), args),
  await ctx.runAction(fn("other:action")),
]);
export const failing = action(async (ctx) => {
  try { await ctx.runQuery(fn("other:fails"), {}); } catch (error: any) {
    return [error.message, error instanceof Error, error instanceof ConvexError];
  }
});
export const time = action(async () => {
  const before = [Date.now(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, 20));
  return [Date.now() - before[0]! >= 15, performance.now() > before[1]!, before[0]! > 1_700_000_100_000];
});
export const schedule = action(async (ctx) => {
  const id = await ctx.scheduler.runAfter(1000, fn("other:mutation"), { a: 1 });
  await ctx.scheduler.cancel(id as any);
  return id;
});
export const files = action(async (ctx) => {
  const id = await ctx.storage.store(new Blob(["hello"], { type: "text/plain" }), { sha256: "abc" } as any);
  const blob = await ctx.storage.get(id);
  return [id, await blob!.text(), blob!.type, await ctx.storage.get("gone" as any), await ctx.storage.getUrl(id),
    await ctx.storage.generateUploadUrl(), await ctx.storage.getMetadata(id), (await ctx.storage.delete(id)) ?? null];
});
export const storesText = action(async (ctx) => await ctx.storage.store("text" as any));
export const logs = action(async () => {
  console.log("one");
  await new Promise((resolve) => setTimeout(resolve, 5));
  console.warn("two");
});
export const unawaited = action(async (ctx) => { ctx.runQuery(fn("other:slow"), {}); return 1; });
export const unhandled = action(async () => {
  Promise.reject(new Error("nobody cares"));
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
export const never = action(() => new Promise(() => {}));
export const interval = action(async () => { setInterval(() => { (globalThis as any).fired = true; }, 1); return 1; });
export const fired = action(async () => {
  await new Promise((resolve) => setTimeout(resolve, 10));
  return (globalThis as any).fired ?? null;
});
export const fetchFile = action(async () => await (await fetch("file:///etc/hosts")).text());
export const fetchText = action(async (_ctx, { url }: any) => {
  const response = await fetch(url, { method: "POST", body: "ping" });
  return [response.status, await response.text()];
});
export const imports = action(async () => (await import("./lazy")).value);
export const checked = action({ args: { id: v.id("docs") }, handler: (_ctx, { id }) => id });
export const identity = action(async (ctx) => await ctx.auth.getUserIdentity());
export const notAction = query(() => 1);
export const meta = action(async (ctx: any) => [(await ctx.meta.getFunctionMetadata()).type, (await ctx.meta.getRequestMetadata()).requestId]);
`,
  "lazy.ts": `export const value = "loaded late";`,
  "other.ts": `import { value } from "./lazy"; export const again = value;`,
  "http.ts": `
import { httpActionGeneric as httpAction, httpRouter, makeFunctionReference } from "convex/server";
const http = httpRouter();
http.route({ path: "/echo", method: "POST", handler: httpAction(async (ctx, request) => {
  const body = await request.text();
  const headers = new Headers({ "x-echo": request.headers.get("x-in")!, "set-cookie": "a=1" });
  headers.append("set-cookie", "b=2");
  return new Response(body + new URL(request.url).search, { status: 201, headers });
}) });
http.route({ pathPrefix: "/sub/", method: "GET", handler: httpAction(async (ctx, request) => {
  const name = await ctx.runQuery(makeFunctionReference<any>("other:name") as any, {});
  return Response.json({ name, path: new URL(request.url).pathname, method: request.method });
}) });
http.route({ path: "/text", method: "GET", handler: httpAction(async () => "text" as any) });
http.route({ path: "/throws", method: "GET", handler: httpAction(async () => { throw new Error("no"); }) });
http.route({ path: "/who", method: "GET", handler: httpAction(async (ctx) => Response.json(await ctx.auth.getUserIdentity())) });
http.route({ path: "/stream", method: "GET", handler: httpAction(async () => new Response(new ReadableStream({
  async start(controller) {
    for (const word of ["a", "b", "c"]) {
      controller.enqueue(new TextEncoder().encode(word));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    controller.close();
  },
}))) });
export default http;
`,
});

const operations: { operation: string; fields: unknown; body: string }[] = [];
const decoder = new TextDecoder();

Deno.test("actions", async (t) => {
  await using isolate = await IsolateHarness.start(bundle, {
    kind: "action",
    catalog: { createTables: ["docs", "others"] },
    operation(operation, fields, body) {
      operations.push({ operation, fields, body: decoder.decode(body) });
      if (fields.name === "other:fails") {
        return { error: "Uncaught Error: boom\n    at x (../convex/a.ts:3:4)\n" };
      }
      if (fields.name === "other:name") return { body: `"name"` };
      switch (operation) {
        case "runQuery":
          return { body: `{"$integer":"AQAAAAAAAAA="}` };
        case "schedule":
        case "storageStore":
          return { body: `"the-id"` };
        case "storageGet":
          return fields.storageId === "gone"
            ? { fields: { found: false } }
            : { body: "hello", fields: { found: true, contentType: "text/plain" } };
        case "storageGetUrl":
        case "storageGenerateUploadUrl":
          return { body: `"http://url"` };
        case "storageGetMetadata":
          return { body: `{"size":5}` };
        default:
          return {};
      }
    },
  });
  const valueOf = async (name: string, args = {}) => {
    const { value, error } = await isolate.action(`actions:${name}`, args);
    assert.equal(error, undefined);
    return value;
  };
  const errorOf = async (name: string, args = {}) =>
    (await isolate.action(`actions:${name}`, args)).error;

  await t.step("function-abi §13: calls go to the server", async () => {
    assert.deepEqual(await valueOf("calls", { b: 2 }), [{ $integer: "AQAAAAAAAAA=" }, null, null]);
    assert.deepEqual(operations.splice(0), [
      {
        operation: "runQuery",
        fields: { name: "other:query" },
        body: `{"a":{"$integer":"AQAAAAAAAAA="}}`,
      },
      { operation: "runMutation", fields: { name: "other:mutation" }, body: `{"b":2}` },
      { operation: "runAction", fields: { name: "other:action" }, body: "{}" },
    ]);
    assert.deepEqual(await valueOf("failing"), [
      "Uncaught Error: boom\n    at x (../convex/a.ts:3:4)\n",
      true,
      false,
    ]);
  });

  await t.step("semantics 1: time passes", async () => {
    assert.deepEqual(await valueOf("time"), [true, true, true]);
  });

  await t.step("scheduler and files are the server's", async () => {
    operations.length = 0;
    assert.equal(await valueOf("schedule"), "the-id");
    const [schedule, cancel] = operations.splice(0);
    assert.equal(schedule!.body, `{"a":1}`);
    assert.deepEqual(cancel!.fields, { id: "the-id" });
    assert.deepEqual(await valueOf("files"), [
      "the-id",
      "hello",
      "text/plain",
      null,
      "http://url",
      "http://url",
      { size: 5 },
      null,
    ]);
    assert.deepEqual(operations[0], {
      operation: "storageStore",
      fields: { contentType: "text/plain", sha256: "abc" },
      body: "hello",
    });
    assert.match((await errorOf("storesText"))!, /^Uncaught Error: store\(\) expects a Blob\./);
  });

  await t.step("lines are sent as they are printed", async () => {
    const { lines } = await isolate.action("actions:logs");
    assert.deepEqual(lines, ["[LOG] 'one'", "[WARN] 'two'"]);
  });

  await t.step("function-abi 2.4, 8: how an action ends", async () => {
    const { value, lines } = await isolate.action("actions:unawaited");
    assert.equal(value, 1);
    assert.match(
      lines[0]!,
      /^\[WARN\] 1 unawaited operation: \[runQuery\]\. Async operations should be/,
    );
    assert.match((await errorOf("unhandled"))!, /^Uncaught Error: nobody cares/);
    assert.equal(await errorOf("never"), "Returned promise will never resolve");
  });

  await t.step("timers end with their action", async () => {
    assert.equal(await valueOf("interval"), 1);
    assert.equal(await valueOf("fired"), null);
  });

  await t.step("semantics 1.5: only the web can be fetched", async () => {
    assert.match(
      (await errorOf("fetchFile"))!,
      /^Uncaught TypeError: Unsupported URL scheme -- http and https are supported \(scheme was file\)/,
    );
    const server = Deno.serve(
      { port: 0, onListen() {} },
      async (request) => new Response(`pong ${await request.text()}`),
    );
    const { port } = server.addr;
    assert.deepEqual(await valueOf("fetchText", { url: `http://127.0.0.1:${port}/` }), [
      200,
      "pong ping",
    ]);
    await server.shutdown();
  });

  await t.step("semantics 14: an action may import pushed modules", async () => {
    assert.equal(await valueOf("imports"), "loaded late");
  });

  await t.step("ids in arguments are checked against the tables there are", async () => {
    const args = JSON.stringify({
      type: "object",
      value: { id: { fieldType: { type: "id", tableName: "others" }, optional: false } },
    });
    const { error } = await isolate.action("actions:checked", { id: "nonsense" }, { args });
    assert.match(error!, /^ArgumentValidationError: Value does not match validator\./);
  });

  await t.step("identity, metadata, kind", async () => {
    assert.equal(await valueOf("identity"), null);
    assert.deepEqual(await valueOf("meta"), ["action", "0123456789abcdef"]);
    assert.equal(
      await errorOf("notAction"),
      "Trying to execute actions.js:notAction as Action, but it is defined as Query.",
    );
  });

  const request = (
    method: string,
    path: string,
    body = "",
    headers: [string, string][] = [],
    more = {},
  ) =>
    isolate.call("httpAction", "http", new TextEncoder().encode(body), {
      request: { method, url: `http://host${path}`, headers },
      ...more,
    });

  await t.step("function-abi 86-88: HTTP actions are routed and answer", async () => {
    const { outcome, body } = await request("POST", "/echo?x=1", "hi", [["x-in", "in"]]);
    assert.equal(decoder.decode(body), "hi?x=1");
    const { status, headers } = outcome.kind === "success" ? outcome.response! : undefined!;
    assert.equal(status, 201);
    assert.deepEqual(headers.filter(([name]) => /^(x-echo|set-cookie)$/.test(name)), [
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-echo", "in"],
    ]);
    const head = await request("HEAD", "/sub/deep/path");
    assert.equal(head.outcome.kind, "success");
    const sub = await request("GET", "/sub/deep/path");
    assert.deepEqual(JSON.parse(decoder.decode(sub.body)).path, "/sub/deep/path");
    const gone = await request("GET", "/gone");
    assert.equal(gone.outcome.kind === "success" && gone.outcome.response!.status, 404);
    assert.equal(decoder.decode(gone.body), "No matching routes found");
    assert.equal(decoder.decode((await request("GET", "/stream")).body), "abc");
  });

  await t.step("HTTP actions that fail", async () => {
    assert.match(
      (await request("GET", "/text")).error!,
      /^Uncaught Error: HTTP actions must return a Response/,
    );
    assert.match(
      (await request("GET", "/throws")).error!,
      /^Uncaught Error: no\n {4}at .*http\.ts/,
    );
    const refused = await request("GET", "/who", "", [], {
      identityError: "Could not verify token",
    });
    assert.match(refused.error!, /^Uncaught Error: Could not verify token/);
  });
});
