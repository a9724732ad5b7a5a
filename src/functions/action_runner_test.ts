/** Actions, what they ask their host for, and HTTP actions. */
import assert from "node:assert/strict";
import {
  action,
  fail,
  type FakeContext,
  mutation,
  query,
} from "../../tests/support/fake_backend.ts";
import { admin, context, startFunctions, user } from "../../tests/support/function_harness.ts";
import { appComponent } from "../database/component.ts";
import { DeveloperError, FunctionError, RequestError } from "../errors.ts";
import type { HostOperation } from "../isolate/protocol.ts";
import type { FunctionResult } from "./functions.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What the library of an action does with an operation: its value, or a throw. */
async function perform(
  { host }: FakeContext,
  operation: HostOperation,
  fields: Record<string, unknown>,
  body: string | Uint8Array = "",
) {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const answer = await host.operation(operation, fields, bytes);
  if ("failure" in answer) throw new FunctionError(answer.failure);
  return { text: decoder.decode(answer.body), fields: answer.fields };
}

async function call(
  context: FakeContext,
  operation: "runQuery" | "runMutation" | "runAction",
  name: string,
): Promise<string> {
  return (await perform(context, operation, { name }, "{}")).text;
}

function value(result: FunctionResult): string {
  assert.ok(result.ok, result.ok ? "" : result.failure.message);
  return result.value;
}

const functions = {
  "m:counter": query(({ read }) => read("counter")),
  "m:increment": mutation(({ read, write }) => {
    const next = String(Number(JSON.parse(read("counter"))) + 1);
    write("counter", next);
    return next;
  }),
  "m:who": {
    ...query(({ identity }) => JSON.stringify(identity()?.name ?? null)),
    isInternal: true,
  },
  "m:bad": mutation(() => fail("Uncaught ConvexError: boom", '{"why":1}')),
};

import { filePieceBytesMax } from "../isolate/protocol.ts";

Deno.test("semantics 11.4: an action's query sees the mutation before it", async () => {
  const { runner } = startFunctions({
    ...functions,
    "m:run": action(async (context) => {
      await call(context, "runQuery", "m:counter");
      const written = await call(context, "runMutation", "m:increment");
      return JSON.stringify([written, await call(context, "runQuery", "m:counter")]);
    }),
  });
  assert.equal(value(await runner.action("m:run", "[{}]", context())), '["1","1"]');
});

Deno.test("no query result reaches an action before what it tells is durable", async () => {
  const order: string[] = [];
  const { runner, backend } = startFunctions({
    ...functions,
    "m:run": action(async (context) => {
      const result = await call(context, "runQuery", "m:counter");
      order.push("answered");
      return result;
    }),
  });
  backend.isDiskStuck = true;
  backend.write({ counter: "7" });
  const answer = runner.action("m:run", "[{}]", context());
  await new Promise((resolve) => setTimeout(resolve, 5));
  order.push("synced");
  backend.syncDisk();
  assert.equal(value(await answer), "7");
  assert.deepEqual(order, ["synced", "answered"]);
});

Deno.test("function-abi §13: callees keep the identity, may be internal, and fail with their whole text", async () => {
  const { runner } = startFunctions({
    ...functions,
    "m:nested": { ...action((context) => call(context, "runQuery", "m:who")), isInternal: true },
    "m:run": action((context) => call(context, "runAction", "m:nested")),
    "m:fails": action(async (context) => {
      try {
        return await call(context, "runMutation", "m:bad");
      } catch (error) {
        assert.ok(error instanceof FunctionError);
        return JSON.stringify(error.failure);
      }
    }),
    "m:wrong": action((context) => call(context, "runQuery", "m:increment")),
  });
  assert.equal(value(await runner.action("m:run", "[{}]", context(user("ada")))), '"ada"');
  assert.equal(value(await runner.action("m:run", "[{}]", context(admin))), "null");
  assert.deepEqual(JSON.parse(value(await runner.action("m:fails", "[{}]", context()))), {
    message: "Uncaught ConvexError: boom\n    at handler (../convex/a.ts:1:2)\n",
    frames: [],
    data: '{"why":1}',
  });
  const wrong = await runner.action("m:wrong", "[{}]", context());
  assert.ok(!wrong.ok);
  assert.equal(
    wrong.failure.message,
    "Trying to execute m.js:increment as Query, but it is defined as Mutation.\n",
  );
});

Deno.test("function-abi §7, §8, §9: jobs, vectors and files are the services' business", async () => {
  const asked: unknown[] = [];
  const remember = (answer: unknown) => (...args: unknown[]) => {
    asked.push(args);
    return Promise.resolve(answer as never);
  };
  const { runner } = startFunctions({
    "m:run": action(async (context) => {
      const ids = { storageId: "file1" };
      const answers = [
        await perform(context, "schedule", { name: "m:job", ts: 12.5 }, '{"a":1}'),
        await perform(context, "cancelJob", { id: "job1" }),
        await perform(context, "vectorSearch", {}, '{"indexName":"a.b"}'),
        await perform(context, "storageStore", { contentType: "text/plain" }, Uint8Array.of(1, 2)),
        await perform(context, "storageGet", ids),
        await perform(context, "storageDelete", ids),
        await perform(context, "storageGetUrl", ids),
        await perform(context, "storageGetMetadata", ids),
        await perform(context, "storageGenerateUploadUrl", {}),
      ];
      return JSON.stringify(answers);
    }),
  }, {
    services: {
      schedule: remember("job1"),
      cancelJob: remember(undefined),
      searchVectors: remember({ matches: [{ id: "d1", score: 0.5 }], timestamp: 1 }),
      storeFile: remember("file1"),
      readFile: remember({ bytes: encoder.encode("hi"), size: 2, contentType: "text/plain" }),
      deleteFile: remember(undefined),
      getFileUrl: remember(null),
      getFileMetadata: remember('{"size":2}'),
      generateUploadUrl: remember("http://x"),
    },
  });
  const scheduled = { ...context(), scheduledFunctionId: "job0" };
  const answers = JSON.parse(value(await runner.action("m:run", "[{}]", scheduled)));
  assert.deepEqual(
    answers.map(({ text }: { text: string }) => text),
    [
      '"job1"',
      "null",
      '{"results":[{"_id":"d1","_score":0.5}]}',
      '"file1"',
      "hi",
      "null",
      "null",
      '{"size":2}',
      '"http://x"',
    ],
  );
  assert.deepEqual(answers[4].fields, { found: true, contentType: "text/plain", size: 2 });
  const component = appComponent;
  const caller = { component, requestId: scheduled.requestId, scheduledFunctionId: "job0" };
  assert.deepEqual(asked, [
    [{ path: "m:job", component, args: '[{"a":1}]', timeS: 12.5 }, caller],
    ["job1", caller],
    [{ indexName: "a.b" }, caller],
    [{ chunks: [Uint8Array.of(1, 2)], contentType: "text/plain", sha256: null }, caller],
    [{ storageId: "file1", start: 0, bytesMax: filePieceBytesMax }, caller],
    ["file1", caller],
    ["file1", caller],
    ["file1", caller],
    [caller],
  ]);
});

Deno.test("function-abi 1.3: an action may catch what a rule of ours forbids, and sees no more of our faults than that", async () => {
  const errors = [
    new DeveloperError("InvalidStorageId", "Invalid storage ID"),
    new RequestError("rateLimited", "TooManyConcurrentRequests", "Too many"),
    new RequestError("internal", "InternalServerError", "disk on fire"),
    new TypeError("a bug"),
  ];
  const { runner } = startFunctions({
    "m:run": action(async (context) => {
      const messages: string[] = [];
      for (const _ of errors.slice()) {
        await perform(context, "storageDelete", { storageId: "x" }).catch((error) => {
          messages.push(error.message);
        });
      }
      return JSON.stringify(messages);
    }),
  }, { services: { deleteFile: () => Promise.reject(errors.shift()) } });
  const printed: unknown[] = [];
  const { error: original } = console;
  console.error = (text: unknown) => printed.push(text);
  try {
    assert.deepEqual(JSON.parse(value(await runner.action("m:run", "[{}]", context()))), [
      "Invalid storage ID",
      "Too many",
      "Your request couldn't be completed. Try again later.",
      "Your request couldn't be completed. Try again later.",
    ]);
  } finally {
    console.error = original;
  }
  assert.equal(printed.length, 2, "our faults are logged");
});

Deno.test("an action's lines are logged as they are printed, and returned with its result", async () => {
  const line = (text: string) => ({
    level: "LOG" as const,
    messages: [text],
    isTruncated: false,
    timestamp: 0,
  });
  const { runner, logs } = startFunctions({
    ...functions,
    "m:run": action(async (context) => {
      context.host.log([line("'one'")]);
      await call(context, "runMutation", "m:increment");
      context.print("'two'");
      return "null";
    }),
  });
  const result = await runner.action("m:run", "[{}]", context());
  assert.deepEqual(result.logLines, ["[LOG] 'one'", "[LOG] 'two'"]);
  const entries = (await logs.after(0)).entries.map((entry) => [
    entry.kind,
    entry.identifier,
    entry.logLines.map(({ messages }) => messages[0]),
  ]);
  assert.deepEqual(entries, [
    ["progress", "m:run", ["'one'"]],
    ["completion", "m:increment", []],
    ["progress", "m:run", ["'two'"]],
    ["completion", "m:run", []],
  ]);
  const [first, nested] = (await logs.after(0)).entries;
  assert.ok(nested?.kind === "completion");
  assert.equal(nested.parentExecutionId, first?.executionId);
  assert.equal(nested.origin, "Action");
});

Deno.test("any() runs what it finds under a path, as an admin", async () => {
  const { runner } = startFunctions({
    ...functions,
    "m:act": action(() => '"acted"'),
  });
  assert.equal(value(await runner.any("m:increment", "[{}]", context(admin))), "1");
  assert.equal(value(await runner.any("m:counter", "[{}]", context(admin))), "1");
  assert.equal(value(await runner.any("m:act", "[{}]", context(admin))), '"acted"');
  assert.equal(value(await runner.any("m:who", "[{}]", context(admin))), "null");
  const missing = await runner.any("m:none", "[{}]", context(admin));
  assert.ok(!missing.ok && missing.failure.message.startsWith("Could not find function for"));
});

Deno.test("http-api rule 68: what cannot be routed is answered without running anything", async () => {
  const request = {
    method: "GET",
    url: "http://x/b",
    headers: [],
    body: new Uint8Array(0),
    gone: new AbortController().signal,
  };
  const without = startFunctions(functions);
  assert.deepEqual(await without.runner.httpAction(request, context()), {
    ok: false,
    notFound: "This Convex deployment does not have HTTP actions enabled.",
  });
  const { runner, backend } = startFunctions(functions, {
    httpRoutes: [{ path: "/a", method: "GET" }],
  });
  assert.deepEqual(await runner.httpAction(request, context()), {
    ok: false,
    notFound: "No matching routes found",
  });
  assert.deepEqual(backend.calls, []);
});

Deno.test("an HTTP action gets its request and is logged by its route", async () => {
  const { runner, logs } = startFunctions({
    "http:default": action((context) =>
      JSON.stringify([context.call.kind, context.call.request, context.call.identityError])
    ),
  }, { httpRoutes: [{ path: "/a/*", method: "POST" }] });
  const result = await runner.httpAction({
    method: "POST",
    url: "http://x/a/b?c",
    headers: [["h", "1"]],
    body: encoder.encode("body"),
    gone: new AbortController().signal,
    identityError: "bad token",
  }, context());
  assert.ok(result.ok && result.body instanceof Uint8Array);
  assert.deepEqual(JSON.parse(decoder.decode(result.body)), [
    "httpAction",
    { method: "POST", url: "http://x/a/b?c", headers: [["h", "1"]] },
    "bad token",
  ]);
  const [entry] = (await logs.after(0)).entries;
  assert.ok(entry?.kind === "completion");
  assert.equal(entry.identifier, "POST /a/*");
  assert.equal(entry.status, 200);
});
