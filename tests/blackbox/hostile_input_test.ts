/**
 * Bad input and bad functions: each gets its documented answer, the server's process stays the same one, and a
 * bystander with a live query and a mutation of its own notices nothing.
 */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import { postJson } from "../support/http.ts";
import { eventually } from "../support/waiting.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });
const MiB = 1024 * 1024;
let bystanders = 0;

/** Runs `attack` beside a well-behaved client and proves that this client and the process are unharmed. */
async function unharmed(context: AppContext, attack: () => Promise<void>): Promise<void> {
  const { server, clients } = context;
  const name = `bystander ${bystanders++}`;
  const client = clients.live();
  const counter = watch(client, api.counters.read, { name });
  await counter.until((value) => value === 0, "the bystander's first result");
  await attack();
  assert.equal(await client.mutation(api.counters.increment, { name }), 1);
  await counter.until((value) => value === 1, "the bystander's update");
  assert.equal(client.connectionState().connectionCount, 1, "the bystander had to reconnect");
  assert.ok(server.isRunning, "the server's process is gone");
}

interface RequestCase {
  readonly name: string;
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly status: number;
  readonly code?: string;
}

const call = (fields: Record<string, unknown>) =>
  JSON.stringify({ path: "counters:read", args: { name: "x" }, ...fields });

const requests: readonly RequestCase[] = [
  { name: "http-api 6: invalid JSON", body: "{", status: 400, code: "BadJsonBody" },
  { name: "http-api 6: an empty body", body: "", status: 400, code: "BadJsonBody" },
  { name: "http-api 6: JSON that is no object", body: "[1]", status: 400, code: "BadJsonBody" },
  { name: "http-api 7: no path", body: '{"args":{}}', status: 400, code: "BadJsonBody" },
  {
    name: "http-api 22: no args",
    body: '{"path":"counters:read"}',
    status: 400,
    code: "BadJsonBody",
  },
  {
    name: "http-api 22: a path that is no text",
    body: call({ path: 5 }),
    status: 400,
    code: "BadJsonBody",
  },
  {
    name: "http-api 4: another content type",
    headers: { "content-type": "text/plain" },
    body: call({}),
    status: 400,
    code: "BadJsonBody",
  },
  {
    name: "http-api 29: a path that leaves the folder",
    body: call({ path: "../x" }),
    status: 400,
    code: "BadConvexFunctionIdentifier",
  },
  {
    name: "http-api 30: a path with illegal characters",
    body: call({ path: "a-b:f" }),
    status: 400,
    code: "BadConvexFunctionIdentifier",
  },
  {
    name: "http-api 10: a client without version",
    headers: { "convex-client": "npm" },
    body: call({}),
    status: 400,
    code: "InvalidClientVersion",
  },
  {
    name: "http-api 11: a client that is too old",
    headers: { "convex-client": "npm-0.19.0" },
    body: call({}),
    status: 400,
    code: "ClientVersionUnsupported",
  },
  {
    name: "http-api 57: a short Authorization header",
    headers: { authorization: "abc" },
    body: call({}),
    status: 400,
    code: "InvalidHeaderFailure",
  },
  {
    name: "http-api 58: an unknown kind of credential",
    headers: { authorization: "Basic abcdef" },
    body: call({}),
    status: 400,
    code: "InvalidAdminKey",
  },
  {
    name: "http-api 59: a wrong admin key",
    headers: { authorization: "Convex wrong|key" },
    body: call({}),
    status: 401,
    code: "BadAdminKey",
  },
  { name: "http-api 45: /api/run without a module", path: "/api/run/f", body: "{}", status: 400 },
  {
    name: "http-api 46: /api/function without an admin key",
    path: "/api/function",
    body: call({}),
    status: 403,
    code: "BadDeployKey",
  },
  { name: "http-api 3: an unknown API path", path: "/api/nosuch", body: "{}", status: 404 },
  {
    name: "http-api 8: a body of 17 MiB",
    body: call({ args: { name: "x".repeat(17 * MiB) } }),
    status: 400,
    code: "BadJsonBody",
  },
];

for (const request of requests) {
  test(`${request.name} is answered with ${request.status}`, (context) =>
    unharmed(context, async () => {
      const response = await fetch(`${context.server.url}${request.path ?? "/api/query"}`, {
        method: "POST",
        headers: { "content-type": "application/json", ...request.headers },
        body: request.body ?? null,
      });
      const text = await response.text();
      assert.equal(response.status, request.status, text);
      if (request.code === undefined) return;
      const body = JSON.parse(text);
      assert.deepEqual(Object.keys(body).sort(), ["code", "message"]);
      assert.equal(body.code, request.code);
    }));
}

/** Arguments that no client of ours would send, by the text their refusal must contain. */
const wrongArguments: readonly (readonly [string, unknown, RegExp])[] = [
  ["http-api 32: no argument", [], /ArgumentValidationError: Expected to receive a single object/],
  [
    "http-api 33: an extra field",
    { name: "x", more: 1 },
    /ArgumentValidationError: Object contains extra/,
  ],
  ["http-api 24: a text", "text", /ArgumentValidationError: Expected to receive an object/],
  [
    "http-api 112: a commit timestamp",
    { name: { $commitTs: null } },
    /starts with '\$', which is reserved/,
  ],
  [
    "http-api 104: a short integer",
    { name: { $integer: "AA==" } },
    /Invalid arguments|8 bytes|ntegerr?/i,
  ],
  [
    "http-api 105: a float that is an ordinary number",
    { name: { $float: "AAAAAAAA8D8=" } },
    /Float64 1 should be encoded as a number/,
  ],
  [
    "http-api 108: an array of 8,193 elements",
    { name: Array(8193).fill(1) },
    /Array length is too long \(8193 > maximum length 8192\)/,
  ],
  [
    "http-api 108: an object of 1,025 fields",
    { name: Object.fromEntries(Array.from({ length: 1025 }, (_, n) => [`f${n}`, n])) },
    /Object has too many fields \(1025 > maximum number 1024\)/,
  ],
  [
    "http-api 108: 65 levels",
    { name: JSON.parse("[".repeat(64) + "]".repeat(64)) },
    /Value is too nested \(nested 65 levels deep > maximum nesting 64\)/,
  ],
  ["http-api 107: a control character in a name", { name: "x", "a\tb": 1 }, /invalid character/],
];

for (const [name, args, refusal] of wrongArguments) {
  test(`${name} as argument fails the call`, (context) =>
    unharmed(context, async () => {
      const { status, body } = await postJson(`${context.server.url}/api/query`, {
        path: "counters:read",
        args,
      });
      assert.equal(status, 200, JSON.stringify(body));
      assert.equal(body.status, "error");
      assert.match(body.errorMessage, refusal);
    }));
}

test("http-api 111: a lone surrogate is refused and nothing is stored", (context) =>
  unharmed(context, async () => {
    const response = await fetch(`${context.server.url}/api/mutation`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"path":"notes:insertCaught","args":{"document":{"n":1,"text":"\\ud800"}}}',
    });
    const body = await response.json();
    assert.ok(response.status === 400 || body.status === "error", JSON.stringify(body));
    assert.deepEqual(await context.clients.http().query(api.notes.all, {}), []);
  }));

const { hostile } = api;

/** Functions that misbehave, and the text their caller must see. */
const misbehaving: readonly (readonly [string, string, RegExp])[] = [
  ["semantics 63", "loopForever", /Function execution timed out \(maximum duration: 1s\)/],
  [
    "semantics 65",
    "exhaustHeap",
    /JavaScript execution ran out of memory \(maximum memory usage: 64 MB\)/,
  ],
  ["", "recurseForever", /Uncaught RangeError: Maximum call stack size exceeded/],
  ["function-abi 12", "throwString", /Server Error\nUncaught boom/],
  ["", "throwNull", /Server Error\nUncaught null/],
  ["", "throwObject", /Server Error\nUncaught /],
  ["", "throwHostileObject", /Server Error\n/],
  ["function-abi 11", "returnQuery", /Return value is a Query/],
  ["", "returnFunction", /is not a supported Convex type/],
  ["", "returnSymbol", /is not a supported Convex type/],
  ["", "returnClassInstance", /is not a supported Convex type/],
  ["function-abi 8", "neverSettles", /Returned promise will never resolve/],
  ["semantics A3", "rejectUnhandled", /nobody listens/],
  ["semantics 7", "fetchInQuery", /Can't use fetch\(\) in queries and mutations/],
  ["semantics 8", "sleepInQuery", /Can't use setTimeout in queries and mutations/],
];

for (const [rule, name, text] of misbehaving) {
  test(`${rule} hostile:${name} fails alone`.trim(), (context) =>
    unharmed(context, async () => {
      await assert.rejects(context.clients.http().query(hostile[name]), text);
    }));
}

test("hostile:returnCycle fails alone", (context) =>
  unharmed(context, async () => {
    await assert.rejects(context.clients.http().query(hostile.returnCycle), /Server Error\n/);
  }));

test("a mutation that loops is ended and leaves nothing behind", (context) =>
  unharmed(context, async () => {
    const client = context.clients.http();
    await assert.rejects(client.mutation(hostile.loopInMutation), /Function execution timed out/);
    const notes = await client.query(api.notes.all, {});
    assert.ok(notes.every((note: { n: number }) => note.n !== -1));
  }));

test("an action that exhausts its heap fails alone", (context) =>
  unharmed(context, async () => {
    await assert.rejects(
      context.clients.http().action(hostile.exhaustHeapInAction),
      /ran out of memory/,
    );
  }));

test("an action that exhausts the process's memory through array buffers fails alone", (context) =>
  unharmed(context, async () => {
    await assert.rejects(context.clients.http().action(hostile.exhaustArrayBuffers));
  }));

test("sixteen looping queries at once are all ended, and others are served meanwhile", (context) =>
  unharmed(context, async () => {
    const loops = Array.from(
      { length: 16 },
      () => assert.rejects(context.clients.http().query(hostile.loopForever)),
    );
    const { body } = await postJson(`${context.server.url}/api/query`, {
      path: "constructors:returnsUndefined",
      args: {},
    });
    assert.equal(body.status, "success");
    await Promise.all(loops);
  }));

test("semantics 12, 15: a call sees neither the host's globals nor what earlier calls left", (context) =>
  unharmed(context, async () => {
    const client = context.clients.http();
    for (let n = 0; n < 6; n++) {
      assert.deepEqual(await client.query(hostile.lookAround), {
        before: null,
        present: [],
        process: ["env"],
      });
      assert.equal(await client.query(hostile.countCalls), 1);
    }
  }));

test("a request that never ends does not keep others waiting", (context) =>
  unharmed(context, async () => {
    const { hostname, port } = new URL(context.server.url);
    const sockets = Array.from({ length: 50 }, () => connect(Number(port), hostname));
    await Promise.all(
      sockets.map((socket) =>
        new Promise<void>((resolve) =>
          socket.write(
            "POST /api/query HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
            () => resolve(),
          )
        )
      ),
    );
    const value = await context.clients.http().query(api.counters.read, { name: "meanwhile" });
    assert.equal(value, 0);
    for (const socket of sockets) socket.destroy();
  }));

test("a request line that is no HTTP ends its own connection alone", (context) =>
  unharmed(context, async () => {
    const { hostname, port } = new URL(context.server.url);
    const socket = connect(Number(port), hostname);
    const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
    socket.on("error", () => {});
    socket.on("data", () => {});
    socket.end("\0\x01\x02 garbage\r\n\r\n");
    await ended;
  }));

test("I7: after all this the server still runs its functions in few processes", async ({ server }) => {
  await eventually(async () => {
    const { body } = await postJson(`${server.url}/api/query`, {
      path: "constructors:returnsUndefined",
      args: {},
    });
    return body.status === "success" ? true : undefined;
  }, "a served query");
  assert.ok(server.isRunning);
});
