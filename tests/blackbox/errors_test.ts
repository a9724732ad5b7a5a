/** What becomes of errors: texts, stacks and the data of a ConvexError, on every way from a throw to a client. */
import assert from "node:assert/strict";
import { ConvexError } from "convex/values";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { writeAppFile } from "../support/apps.ts";
import { watch } from "../support/clients.ts";
import { postJson } from "../support/http.ts";
import { ServerProcess } from "../support/server_process.ts";

const app = {
  app: "tests/fixtures/failures",
  packages: ["convex"],
  files: {
    "node_modules/thrower/package.json":
      `{"name": "thrower", "version": "1.0.0", "type": "module", "main": "index.js"}`,
    "node_modules/thrower/index.js": [
      "export function failing(text) {",
      "  throw new RangeError(text);",
      "}",
      "export function calling(callback) {",
      "  return callback();",
      "}",
    ].join("\n"),
  },
};
const { test } = appServer(app);

const head = "\\[Request ID: [0-9a-f]{16}\\] Server Error";
const data = { code: 7, list: ["a", null] };

async function call({ server }: Pick<AppContext, "server">, path: string, args = {}) {
  const authorization = `Convex ${server.adminKey}`;
  const body = { path, args, format: "json" };
  return (await postJson(`${server.url}/api/function`, body, { authorization })).body;
}

/** `failing at ../node_modules/thrower/index.js` stands for a frame at any line and column of that file. */
function framePattern(frame: string): string {
  const [, name, file] = /^(.*) (\.\.\/.*)$/.exec(frame)!;
  const place = `${file!.replaceAll(".", "\\.")}:\\d+:\\d+`;
  return name === "at"
    ? ` {4}at ${place}\n`
    : ` {4}${name!.replaceAll(".", "\\.")} \\(${place}\\)\n`;
}

const handler = "at handler ../convex/throws.ts";
const nodeHandler = "at handler ../convex/node.ts";
const must = "at must ../convex/lib/rules.ts";
const stacks: Readonly<Record<string, readonly [text: string, ...frames: string[]]>> = {
  "throws:late": [
    "Error: deep",
    "at deeper ../convex/throws.ts",
    "at async handler ../convex/throws.ts",
  ],
  "throws:shared": ["Error: a rule was broken", must, handler],
  "throws:made": [
    "Error: a rule was broken",
    must,
    "at new Positive ../convex/lib/rules.ts",
    handler,
  ],
  "throws:library": [
    "RangeError: from a package",
    "at failing ../node_modules/thrower/index.js",
    handler,
  ],
  "throws:callback": [
    "Error: a rule was broken",
    must,
    "at ../convex/throws.ts",
    "at calling ../node_modules/thrower/index.js",
    handler,
  ],
  "throws:engine": [
    "Error: Invalid argument `id` for `db.get`: Unable to decode ID: Invalid ID length 8",
    handler,
  ],
  "node:shared": ["Error: a rule was broken", must, nodeHandler],
  "node:library": [
    "RangeError: from a package",
    "at failing ../node_modules/thrower/index.js",
    nodeHandler,
  ],
};

test("http-api 50, semantics 81, 84, 85: stacks name the author's files and those of packages, and nothing of the host", async (context) => {
  for (const [path, [text, ...frames]] of Object.entries(stacks)) {
    const pattern = `^${head}\nUncaught ${text}\n${frames.map(framePattern).join("")}$`;
    assert.match((await call(context, path)).errorMessage, new RegExp(pattern), path);
  }
});

/** How the caller calls, and where its callee threw. */
const nested: Readonly<Record<string, string>> = {
  "throws:queryInQuery": "throws",
  "throws:mutationInMutation": "throws",
  "throws:queryInAction": "throws",
  "throws:mutationInAction": "throws",
  "throws:actionInAction": "throws",
  "throws:nodeInAction": "node",
  "node:queryInNode": "throws",
};

test("function-abi 1.3: an error passes through calls with its data, its own stack, and the caller's", async (context) => {
  for (const [path, thrower] of Object.entries(nested)) {
    const { errorMessage, errorData } = await call(context, path);
    assert.deepEqual(errorData, data, path);
    const [module] = path.split(":");
    const pattern =
      `^${head}\nUncaught ConvexError: Uncaught ConvexError: {"code":7,"list":\\["a",null\\]}\n` +
      `${framePattern(`at handler ../convex/${thrower}.ts`)}\n` +
      `${framePattern(`at async handler ../convex/${module}.ts`)}$`;
    assert.match(errorMessage, new RegExp(pattern), path);
  }
  assert.deepEqual((await call(context, "throws:caught")).value, data);
});

test("semantics 83: a ConvexError's data reaches every client", async ({ clients }) => {
  const isIt = (error: unknown) => {
    assert.ok(error instanceof ConvexError);
    assert.deepEqual(error.data, data);
    return true;
  };
  const [http, live] = [clients.http(), clients.live()];
  for (const client of [http, live]) {
    await assert.rejects(client.query(api.throws.data, {}), isIt);
    await assert.rejects(client.mutation(api.throws.dataInMutation, {}), isIt);
    await assert.rejects(client.action(api.throws.dataInAction, {}), isIt);
    await assert.rejects(client.action(api.node.data, {}), isIt);
  }
  isIt(await watch(live, api.throws.queryInQuery, {}).untilError());
});

test("http-api 34: arguments and results that do not fit are refused alike on every way", async (context) => {
  const argument = "ArgumentValidationError: Value does not match validator.\n" +
    'Path: .n\nValue: "one"\nValidator: v.float64()';
  const result = "ReturnsValidationError: Value does not match validator.\n\n" +
    "Value: 1.0\nValidator: v.string()";
  for (const path of ["throws:typed", "throws:typedAction", "node:typed"]) {
    const wrongArgument = (await call(context, path, { n: "one" })).errorMessage;
    assert.match(wrongArgument, new RegExp(`^${head}\n`), path);
    assert.equal(wrongArgument.split("\n").slice(1).join("\n").trimEnd(), argument, path);
    const wrongResult = (await call(context, path, { n: 1 })).errorMessage;
    assert.equal(wrongResult.split("\n").slice(1).join("\n").trimEnd(), result, path);
  }
  const { errorMessage } = await call(context, "throws:wrongArguments");
  assert.ok(errorMessage.includes(`Uncaught Error: ${argument}\n`), errorMessage);
});

test("semantics §12: scheduled functions keep their error", async (context) => {
  const { clients } = context;
  const ids = await clients.http().mutation(api.throws.schedule, {});
  assert.equal(ids.length, 2);
  const jobs = watch(clients.live(), api.throws.jobs, {});
  const done = await jobs.until(
    (jobs) =>
      jobs.length === 2 &&
      jobs.every(({ state }: { state: { kind: string } }) => state.kind === "failed"),
    "both jobs to fail",
  );
  for (const { state } of done) {
    assert.match(state.error, /Uncaught ConvexError: {"code":7,"list":\["a",null\]}/);
  }
});

test("semantics A6, http-api 88, 89: HTTP actions that fail answer JSON with code, trace and data", async ({ server }) => {
  const get = async (path: string) => {
    const response = await fetch(`${server.url}${path}`);
    assert.equal(response.status, 500);
    assert.equal(response.headers.get("content-type"), "application/json");
    return await response.json();
  };
  const plain = await get("/throws");
  assert.match(plain.code, new RegExp(`^${head}: Uncaught Error: in an HTTP action$`));
  assert.match(
    plain.trace,
    /^Uncaught Error: in an HTTP action\n {4}at \.\.\/convex\/http\.ts:\d+:\d+\n$/,
  );
  assert.deepEqual((await get("/data")).data, { code: { $integer: "BwAAAAAAAAA=" } });
  assert.match((await get("/text")).code, /HTTP actions must return a Response$/);
});

test("a module that throws while it is loaded is named with its stack when it is pushed", async ({ server, app }) => {
  await writeAppFile(
    app,
    "convex/broken.ts",
    `import { must } from "./lib/rules";\nfunction load() {\n  must(false);\n}\nload();\n`,
  );
  try {
    const { code, output } = await server.command("deploy", "--app", app);
    assert.equal(code, 1);
    assert.match(
      output,
      /Uncaught Error: a rule was broken\n {4}at must \(\.\.\/convex\/lib\/rules\.ts:2:\d+\)\n {4}at load \(\.\.\/convex\/broken\.ts:3:3\)\n {4}at \.\.\/convex\/broken\.ts:5:1\n/,
    );
  } finally {
    await Deno.remove(`${app}/convex/broken.ts`);
  }
});

test("semantics 82: in production a failure says its request id and its data, and nothing else", async ({ app }) => {
  await using server = await ServerProcess.start();
  await server.deploy(app);
  const only = new RegExp(`^${head}$`);
  const body = (kind: string, path: string, args = {}) =>
    postJson(`${server.url}/api/${kind}`, { path, args }).then(({ body }) => body);
  for (const path of ["throws:late", "throws:typed", "throws:missing"]) {
    assert.match((await body("query", path)).errorMessage, only, path);
  }
  for (const path of ["throws:actionInAction", "node:queryInNode"]) {
    const { errorMessage, errorData, logLines } = await body("action", path);
    assert.match(errorMessage, only, path);
    assert.deepEqual([errorData, logLines], [data, undefined]);
  }
  const response = await (await fetch(`${server.url}/data`)).json();
  assert.match(response.code, only);
  assert.deepEqual(Object.keys(response), ["code", "data"]);
});
