/** The function endpoints through `ConvexHttpClient` and by hand. */
import assert from "node:assert/strict";
import { ConvexError } from "convex/values";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { postJson } from "../support/http.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });

test("http-api 22, semantics 81: a thrown error reaches the caller with request id, text and frames", async ({ clients }) => {
  await assert.rejects(clients.http().query(api.errors.throwError), (error: Error) => {
    assert.ok(!(error instanceof ConvexError));
    assert.match(
      error.message,
      /^\[Request ID: [0-9a-f]{16}\] Server Error\nUncaught Error: plain error\n {4}at .*\(\.\.\/convex\/errors\.ts:\d+:\d+\)\n/,
    );
    return true;
  });
});

test("http-api 23, 24, semantics 83: a ConvexError's data reaches the caller, also null", async ({ clients }) => {
  for (const data of ["text", null, { code: 1, detail: [2n] }]) {
    await assert.rejects(
      clients.http().mutation(api.errors.throwData, { data }),
      (error: Error) => {
        assert.ok(error instanceof ConvexError);
        assert.deepEqual(error.data, data);
        if (data === "text") {
          assert.match(error.message, /Server Error\nUncaught ConvexError: text\n/);
        }
        return true;
      },
    );
  }
});

test("http-api 22: an action's error keeps its name", async ({ clients }) => {
  await assert.rejects(
    clients.http().action(api.errors.throwFromAction),
    /Uncaught TypeError: from an action/,
  );
});

test("semantics 54: a wrong return value is a ReturnsValidationError", async ({ clients }) => {
  await assert.rejects(
    clients.http().query(api.errors.wrongReturn),
    /ReturnsValidationError: Value does not match validator\./,
  );
});

test("http-api 52: queued mutations of one client run in order", async ({ clients }) => {
  const client = clients.http();
  const results = await Promise.all(
    [0, 1, 2, 3, 4].map((number) =>
      client.mutation(api.entries.addSlowly, { client: "http", number })
    ),
  );
  assert.deepEqual(results, [0, 1, 2, 3, 4]);
  assert.deepEqual(
    await client.query(api.entries.listByClient, { client: "http" }),
    [0, 1, 2, 3, 4],
  );
});

test("a query sees what a mutation before it wrote, cached or not", async ({ clients }) => {
  const client = clients.http();
  for (let n = 1; n <= 20; n++) {
    await client.mutation(api.counters.increment, { name: "read your writes" });
    assert.equal(await client.query(api.counters.read, { name: "read your writes" }), n);
    assert.equal(await client.query(api.counters.read, { name: "read your writes" }), n);
  }
});

test("http-api 20, 21: the envelope has value and status, and log lines only if there are some", async ({ server }) => {
  const silent = await postJson(`${server.url}/api/query`, {
    path: "counters:read",
    args: { name: "nobody" },
  });
  assert.deepEqual(silent.body, { status: "success", value: 0 });
  const logged = await postJson(`${server.url}/api/query`, {
    path: "waiting:log",
    args: { word: "w" },
  });
  assert.deepEqual(logged.body, {
    status: "success",
    value: "w",
    logLines: ["[LOG] 'logged' 'w'"],
  });
});

test("http-api 35, 36: format chooses how values look; json is the default", async ({ server }) => {
  const call = async (format?: string) => {
    const { body } = await postJson(`${server.url}/api/query`, {
      path: "constructors:echo",
      args: { value: { $integer: "AQAAAAAAAAA=" } },
      ...(format === undefined ? {} : { format }),
    });
    return body.value;
  };
  assert.deepEqual(await call("convex_encoded_json"), { $integer: "AQAAAAAAAAA=" });
  assert.equal(await call("json"), "1");
  assert.equal(await call(), "1");
});

test("http-api 37: an unknown format is refused before a mutation runs", async ({ server, clients }) => {
  const { status, body } = await postJson(`${server.url}/api/mutation`, {
    path: "counters:increment",
    args: { name: "bad format" },
    format: "xml",
  });
  assert.equal(status, 400);
  assert.equal(body.code, "BadFormat");
  assert.equal(await clients.http().query(api.counters.read, { name: "bad format" }), 0);
});

test("http-api 13, 14: a request id may be supplied, and is made otherwise", async ({ server }) => {
  const call = async (headers: Record<string, string>) => {
    const { body } = await postJson(
      `${server.url}/api/query`,
      { path: "errors:throwError", args: {} },
      headers,
    );
    return /\[Request ID: (.+?)\]/.exec(body.errorMessage)?.[1];
  };
  assert.equal(await call({ "convex-request-id": "abc" }), "abc");
  const [first, second] = [await call({}), await call({})];
  assert.match(first ?? "", /^[0-9a-f]{16}$/);
  assert.notEqual(first, second);
});

test("http-api 15, 16: browsers of other origins may call the API", async ({ server }) => {
  const preflight = await fetch(`${server.url}/api/query`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type,convex-client",
    },
  });
  await preflight.body?.cancel();
  assert.equal(preflight.headers.get("access-control-allow-origin"), "https://app.example");
  assert.equal(preflight.headers.get("access-control-allow-headers"), "content-type,convex-client");
  assert.equal(preflight.headers.get("access-control-allow-credentials"), "true");
  assert.equal(preflight.headers.get("access-control-max-age"), "86400");
  const call = await postJson(
    `${server.url}/api/query`,
    { path: "counters:read", args: { name: "cors" } },
    { origin: "https://app.example" },
  );
  assert.equal(call.headers.get("access-control-allow-origin"), "https://app.example");
});

test("http-api 44: /api/run/a/b/f calls a/b:f", async ({ server }) => {
  const { body } = await postJson(`${server.url}/api/run/nested/deeper/functions/deep`, {
    args: {},
  });
  assert.deepEqual(body, { status: "success", value: "deep" });
});

test("http-api 39: consistent queries of the npm client see one moment", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(api.accounts.open, { owners: ["a", "b"], balance: 10 });
  const balances: number[] = await client.consistentQuery(api.accounts.balances);
  const total: number = await client.consistentQuery(api.accounts.total);
  assert.equal(balances.reduce((a, b) => a + b, 0), total);
});
