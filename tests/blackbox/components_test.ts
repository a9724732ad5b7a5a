/** Components of an app, `one` and `two` of one definition: what the app, clients and administrators see of them. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { postJson } from "../support/http.ts";
import { eventually, within } from "../support/waiting.ts";

const { test } = appServer({ app: "tests/fixtures/components" });

type Box = "one" | "two";

/** Calls functions of components by way of the app's own. */
function throughApp({ clients }: AppContext) {
  const client = clients.http();
  return {
    read: (box: Box, name: string, args = {}) => client.query(api.main.read, { box, name, args }),
    write: (box: Box, name: string, args = {}) =>
      client.mutation(api.main.write, { box, name, args }),
    act: (box: Box, name: string, args = {}) => client.action(api.main.act, { box, name, args }),
    client,
  };
}

async function getJson(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers });
  return await response.json();
}

/** A header with which an administrator acts as a user. */
function actingAs(adminKey: string, subject: string): Record<string, string> {
  const identity = { subject, issuer: "https://issuer.example" };
  return { authorization: `Convex ${adminKey}:${btoa(JSON.stringify(identity))}` };
}

test("components 2: two uses of one definition have data of their own, searched apart", async (context) => {
  const { read, write } = throughApp(context);
  await write("one", "put", { text: "red apple" });
  await write("two", "put", { text: "red brick" });
  assert.deepEqual(await read("one", "texts"), ["red apple"]);
  assert.deepEqual(await read("two", "texts"), ["red brick"]);
  assert.deepEqual(await read("one", "search", { text: "red" }), ["red apple"]);
  assert.deepEqual(await read("two", "search", { text: "red" }), ["red brick"]);
});

test("components §9.7: an action of a component searches the component's vectors", async (context) => {
  const { write, act } = throughApp(context);
  const id = await write("one", "addVector", { embedding: [1, 0] });
  await write("two", "addVector", { embedding: [0, 1] });
  assert.deepEqual(await act("one", "nearest", { vector: [0, 1] }), [id]);
});

test("components 16: a subscription of the app follows a component's data", async (context) => {
  const { write } = throughApp(context);
  const live = context.clients.live();
  const seen: string[][] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  live.onUpdate(api.main.read, { box: "two", name: "texts", args: {} }, (texts) => {
    seen.push(texts);
    if (texts.includes("followed")) resolve();
    else write("two", "put", { text: "followed" });
  });
  await within(promise, 30_000, "the new document");
  assert.equal(seen.length, 2);
});

test("components 17: an action reaches public functions of children alone, handles reach all", async (context) => {
  const { read, act, client } = throughApp(context);
  assert.deepEqual(await act("one", "secret"), {
    error: "Child component one does not export [items, secret]",
  });
  const handle = await read("one", "secretHandle");
  assert.equal(await client.mutation(api.main.callHandle, { handle }), "told");
  const forged = handle.replace("function://", "function://A");
  assert.deepEqual(await client.mutation(api.main.callHandle, { handle: forged }), {
    error: "Function handle not found",
  });
});

test("components §8: a component's action calls the app back", async (context) => {
  const { client } = throughApp(context);
  const handle = await client.action(api.main.callBack, { text: "called back" });
  assert.match(handle, /^function:\/\/[\w-]+#main:note$/);
  assert.deepEqual(await client.query(api.main.notes, {}), ["called back"]);
});

test("components 8, 9, §9.5: bound variables reach a component and its children, and no others do", async (context) => {
  const { read } = throughApp(context);
  const { server, clients } = context;
  const live = clients.live();
  const seen: unknown[][] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  live.onUpdate(api.main.read, { box: "one", name: "environment", args: {} }, (values) => {
    seen.push(values);
    if (values[0] === "hush") resolve();
    else server.command("env", "set", "APP_SECRET", "hush");
  });
  await within(promise, 30_000, "the new value");
  const site = `${server.url}/one`;
  assert.deepEqual(seen[0], [null, "given", null, site, null, null]);
  assert.deepEqual(seen.at(-1), ["hush", "given", null, site, "hush", null]);
  assert.deepEqual(await read("two", "environment"), [null, null, null, server.url, null, null]);
});

test("components 23: only administrators call a component's functions from outside", async ({ server }) => {
  const call = (headers: Record<string, string>) =>
    postJson(
      `${server.url}/api/function`,
      { path: "items:declared", componentPath: "one", args: {} },
      headers,
    );
  const admin = { authorization: `Convex ${server.adminKey}` };
  assert.equal((await call(admin)).body.value, "given");
  assert.equal((await call({})).status, 403);
  const run = (...options: string[]) => server.command("run", "items:declared", ...options);
  assert.match((await run("--component", "one")).stdout, /"given"/);
  const unknown = await run("--component", "three");
  assert.notEqual(unknown.code, 0);
  assert.match(unknown.output, /Component path 'three' not found/);
  const missing = await server.command("run", "items:gone", "--component", "one/inner");
  assert.match(missing.output, /Could not find function for 'items:gone' in 'one\/inner'/);
});

test("components §7.3: a user is known within the app, and in no component that an action calls", async ({ server }) => {
  const headers = actingAs(server.adminKey, "ada");
  const call = async (kind: "query" | "action", path: string, args: unknown) =>
    (await postJson(`${server.url}/api/${kind}`, { path, args, format: "json" }, headers)).body
      .value;
  const box = { box: "one", args: {} };
  assert.equal(await call("query", "main:ownIdentity", {}), "ada");
  assert.equal(await call("query", "main:read", { ...box, name: "seenIdentity" }), "ada");
  assert.equal(
    await call("action", "main:readFromAction", { ...box, name: "seenIdentity" }),
    null,
  );
  const seen = await call("action", "main:act", { ...box, name: "seenIdentityOfAction" });
  assert.deepEqual(seen, [null, null]);
});

test("components 25: jobs run in the component that scheduled them, and are its own", async (context) => {
  const { read, write, act, client } = throughApp(context);
  await write("one", "schedule", { delayMs: 0, text: "by a mutation" });
  await act("one", "scheduleFromAction", { text: "by an action" });
  const late = await write("one", "schedule", { delayMs: 60_000, text: "never" });
  await eventually(async () => {
    const texts: string[] = await read("one", "texts");
    return texts.includes("by a mutation") && texts.includes("by an action") || undefined;
  }, "both jobs");
  assert.equal(await client.query(api.main.systemRows, { table: "_scheduled_functions" }), 0);
  assert.deepEqual(await read("two", "jobs"), []);
  assert.match((await write("two", "cancel", { id: late })).error, /Invalid scheduled function ID/);
  await write("one", "cancel", { id: late });
  assert.deepEqual(await read("one", "jobs"), [
    ["items.js:put", "success"],
    ["items.js:put", "success"],
    ["items.js:put", "canceled"],
  ]);
});

test("components 27: cron jobs of a component run in it", async (context) => {
  const { read } = throughApp(context);
  await eventually(async () => await read("one", "ticks") === 1 || undefined, "a run of its job");
  await eventually(async () => await read("two", "ticks") === 1 || undefined, "a run of its job");
});

test("components 28: files of a component are served with its id, and the app does not see them", async (context) => {
  const { read, write, act, client } = throughApp(context);
  const [, url] = await act("one", "store", { text: "inside" });
  assert.match(url, /\/api\/storage\/[0-9a-f-]{36}\?component=\w+$/);
  assert.equal(await (await fetch(url)).text(), "inside");
  const elsewhere = await fetch(url.split("?")[0]);
  assert.equal(elsewhere.status, 404);
  await elsewhere.body?.cancel();
  const uploadUrl = await write("two", "uploadUrl");
  const upload = await fetch(uploadUrl, { method: "POST", body: "uploaded" });
  assert.equal(upload.status, 200);
  await upload.body?.cancel();
  assert.deepEqual(await read("one", "files"), [url]);
  const [uploaded] = await read("two", "files");
  assert.equal(await (await fetch(uploaded)).text(), "uploaded");
  assert.equal(await client.query(api.main.systemRows, { table: "_storage" }), 0);
});

test("components 30, semantics A7: requests reach the routes of components through mounts, and no further", async ({ server }) => {
  const about = await getJson(`${server.url}/one/about`);
  assert.deepEqual({ ...about, texts: null }, {
    ...{ component: "box", path: "/one/about", user: null, texts: null },
    site: `${server.url}/one`,
  });
  assert.equal((await getJson(`${server.url}/one/under/any`)).component, "box");
  assert.equal((await getJson(`${server.url}/one/exact`)).component, "app");
  assert.equal((await getJson(`${server.url}/one/longer/x`)).component, "app");
  assert.deepEqual(await getJson(`${server.url}/one/deep/about`), {
    ...{ component: "inner", path: "/one/deep/about" },
  });
  assert.equal((await getJson(`${server.url}/two/about`)).component, "app");
  for (const path of ["/one/none", "/one/deep/none", "/one/"]) {
    const response = await fetch(`${server.url}${path}`);
    assert.equal(response.status, 404, path);
    await response.body?.cancel();
  }
});

test("components §14: log lines say which component they come from", async ({ server }) => {
  const { stdout } = await server.command("logs", "--since", "1h", "--json");
  const entries = stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.ok(entries.some(({ componentPath }) => componentPath === "one"));
});
