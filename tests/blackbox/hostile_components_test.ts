/**
 * What a component must not reach of the app, the app of a component, and a client of either. Functions attack with
 * the system calls themselves, as code does that leaves the library out.
 */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { postJson } from "../support/http.ts";

/** The same functions in the app and in the component. */
const attacks = `
import { v } from "convex/values";
import { action, mutation, query } from "./_generated/server";

const attempt = async (run) => {
  try { return await run(); } catch (error) { return { error: error.message.split("\\n")[0] }; }
};
const syscall = async (name, args) => JSON.parse(await Convex.asyncSyscall(name, JSON.stringify(args)));
const args = { name: v.string(), args: v.any() };
const handler = (_ctx, { name, args }) => attempt(() => syscall(name, args));
export const ask = query({ args, handler });
export const change = mutation({ args, handler });
export const act = action({ args, handler });

export const page = query({
  args: { cursor: v.union(v.string(), v.null()) },
  handler: (ctx, { cursor }) =>
    attempt(() => ctx.db.query("items").paginate({ cursor, numItems: 1 })),
});
export const fill = mutation({
  args: { owner: v.string() },
  handler: async (ctx, { owner }) => {
    const item = await ctx.db.insert("items", { text: owner + " 1" });
    await ctx.db.insert("items", { text: owner + " 2" });
    const job = await ctx.scheduler.runAfter(3_600_000, "attacks:ask", { name: "", args: {} });
    return { item, job };
  },
});
export const store = action({
  args: {},
  handler: async (ctx) => {
    const file = await ctx.storage.store(new Blob(["secret"]));
    return { file, url: await ctx.storage.getUrl(file) };
  },
});
`;

const through = `
import { v } from "convex/values";
import { createFunctionHandle } from "convex/server";
import { components } from "./_generated/api";
import { action, mutation, query } from "./_generated/server";

const box = v.union(v.literal("one"), v.literal("two"));
const args = { box, name: v.string(), args: v.any() };
const member = (box, name) => components[box].attacks[name];
export const read = query({ args, handler: (ctx, { box, name, args }) => ctx.runQuery(member(box, name), args) });
export const write = mutation({ args, handler: (ctx, { box, name, args }) => ctx.runMutation(member(box, name), args) });
export const act = action({ args, handler: (ctx, { box, name, args }) => ctx.runAction(member(box, name), args) });
`;

const { test } = appServer({
  app: "tests/fixtures/components",
  files: {
    "convex/attacks.ts": attacks,
    "convex/box/attacks.ts": attacks,
    "convex/through.ts": through,
  },
});

interface Owner {
  readonly item: string;
  readonly job: string;
  readonly file: string;
  readonly url: string;
}

/** Calls a function of `attacks.ts` in the app, or in a component by way of the app. */
function caller({ clients }: AppContext) {
  const client = clients.http();
  const call = (
    kind: "query" | "mutation" | "action",
    where: "app" | "one" | "two",
    name: string,
    args: Record<string, unknown>,
    // deno-lint-ignore no-explicit-any -- whatever the function returns
  ): Promise<any> => {
    const call = client[kind].bind(client) as (name: unknown, args: unknown) => Promise<unknown>;
    if (where === "app") return call(api.attacks[name], args);
    const by = { query: "read", mutation: "write", action: "act" }[kind];
    return call(api.through[by], { box: where, name, args });
  };
  const fill = async (where: "app" | "one"): Promise<Owner> => ({
    ...await call("mutation", where, "fill", { owner: where }),
    ...await call("action", where, "store", {}),
  });
  return { call, fill };
}

test("components 15, semantics 110: ids of one component lead nowhere in another", async (context) => {
  const { call, fill } = caller(context);
  const owners = { app: await fill("app"), one: await fill("one") };
  for (
    const [where, { item, job, file }] of [["one", owners.app], ["app", owners.one], [
      "two",
      owners.one,
    ]] as const
  ) {
    const ask = (name: string, args: unknown) => call("query", where, "ask", { name, args });
    const change = (name: string, args: unknown) =>
      call("mutation", where, "change", { name, args });
    const act = (name: string, args: unknown) => call("action", where, "act", { name, args });
    const nothing = (answer: unknown) =>
      answer === null || (answer as { error?: string }).error !== undefined;
    for (const table of [undefined, "items", "notes"]) {
      const found = await ask("1.0/get", { id: item, table, isSystem: false });
      assert.ok(nothing(found), `${where} 1.0/get ${table}: ${JSON.stringify(found)}`);
    }
    for (const id of [job, file]) {
      for (const table of [undefined, "_scheduled_functions", "_storage"]) {
        const found = await ask("1.0/get", { id, table, isSystem: true });
        assert.ok(nothing(found), `${where} system get ${table}: ${JSON.stringify(found)}`);
      }
    }
    const refused: readonly (readonly [string, unknown])[] = [
      ["1.0/remove", { id: item }],
      ["1.0/remove", { id: item, table: "items" }],
      ["1.0/replace", { id: item, value: { text: "taken" } }],
      ["1.0/shallowMerge", { id: item, value: { text: "taken" } }],
      ["1.0/cancel_job", { id: job }],
      ["1.0/storageDelete", { storageId: file }],
      ["1.0/remove", { id: job }],
      ["1.0/remove", { id: file }],
      ["1.0/insert", { table: "_storage", value: {} }],
      ["1.0/insert", { table: "_scheduled_functions", value: {} }],
    ];
    for (const [name, args] of refused) {
      const answer = await change(name, args);
      assert.ok(
        answer?.error,
        `${where} ${name} ${JSON.stringify(args)}: ${JSON.stringify(answer)}`,
      );
    }
    for (const name of ["1.0/storageGetUrl", "1.0/storageGetMetadata"]) {
      assert.ok(nothing(await ask(name, { storageId: file })), `${where} ${name}`);
      assert.ok(nothing(await act(name, { storageId: file })), `${where} ${name} in an action`);
    }
    assert.ok((await act("1.0/actions/cancel_job", { id: job })).error);
    assert.ok((await act("1.0/storageDelete", { storageId: file })).error);
  }
  for (
    const [where, { item, job, file, url }] of Object.entries(owners) as ["app" | "one", Owner][]
  ) {
    const get = (id: string, isSystem: boolean) =>
      call("query", where, "ask", { name: "1.0/get", args: { id, isSystem } });
    assert.equal((await get(item, false)).text, `${where} 1`);
    assert.equal((await get(job, true)).state.kind, "pending");
    assert.equal((await get(file, true))._id, file);
    assert.equal(await (await fetch(url)).text(), "secret");
    // The attacks fail for no other reason than who makes them.
    const own = (name: string, args: unknown) => call("mutation", where, "change", { name, args });
    assert.equal(
      (await own("1.0/shallowMerge", { id: item, value: { text: "mine" } })).text,
      "mine",
    );
    assert.equal((await own("1.0/remove", { id: item })).text, "mine");
    assert.equal(await own("1.0/cancel_job", { id: job }), null);
    assert.equal(await own("1.0/storageDelete", { storageId: file }), null);
  }
});

test("components 9.1, semantics 110: a component names its own tables alone, however it asks", async (context) => {
  const { call } = caller(context);
  const id: string = await componentId(context, "one");
  const names = [
    `${id}/items`,
    "one/items",
    "/items",
    "_cron_jobs",
    "_exports",
    "_snapshot_imports",
    "",
  ];
  for (const where of ["app", "two"] as const) {
    for (const tableName of names) {
      const query = { source: { type: "FullTableScan", tableName, order: "asc" }, operators: [] };
      const count = await call("query", where, "ask", {
        name: "1.0/count",
        args: { table: tableName },
      });
      assert.ok(
        count === 0 || count.error,
        `${where} counts ${tableName}: ${JSON.stringify(count)}`,
      );
      const page = await call("query", where, "ask", {
        name: "1.0/queryPage",
        args: { query, cursor: null, pageSize: 10 },
      });
      assert.ok(
        page.error || page.page.length === 0,
        `${where} reads ${tableName}: ${JSON.stringify(page)}`,
      );
    }
  }
});

test("function-abi 58: a page of one component is none of another, and its cursor is refused there", async (context) => {
  const { call } = caller(context);
  await call("mutation", "two", "fill", { owner: "two" });
  const first = await call("query", "two", "page", { cursor: null });
  assert.equal(first.page[0].text, "two 1");
  const second = await call("query", "two", "page", { cursor: first.continueCursor });
  assert.equal(second.page[0].text, "two 2");
  for (const where of ["app", "one"] as const) {
    const answer = await call("query", where, "page", { cursor: first.continueCursor });
    assert.match(String(answer.error), /InvalidCursor/, where);
  }
});

test("components 6, 17: references lead to public functions of children and nowhere else", async (context) => {
  const { call } = caller(context);
  const id = await componentId(context, "one");
  const references = [
    "_reference/childComponent/one/inner/about/environment",
    "_reference/childComponent/one/items/secret",
    "_reference/childComponent/../main/notes",
    "_reference/childComponent//main/notes",
    "_reference/parent/main/notes",
    `_reference/currentSystemUdfInComponent/${id}`,
    "_reference/function/..%2f..%2fmain:notes",
    "_reference/function/%",
    "_reference",
    "",
  ];
  const names = [
    "_system/frontend/components:list",
    "_system/cli/queryEnvironmentVariables:default",
    "_system/cli/tableData:default",
    "../main:notes",
    "main:notes",
  ];
  const handles = [
    "function://",
    "function://;main:notes",
    `function://${btoa(id)}`,
    "function://%",
  ];
  for (const where of ["one", "two"] as const) {
    const addresses = [
      ...references.map((reference) => ({ reference })),
      ...names.map((name) => ({ name })),
      ...handles.map((functionHandle) => ({ functionHandle })),
    ];
    for (const address of addresses) {
      const ask = await call("query", where, "ask", {
        name: "1.0/runUdf",
        args: { udfType: "query", args: {}, ...address },
      });
      assert.ok(ask?.error, `${where} ${JSON.stringify(address)}: ${JSON.stringify(ask)}`);
      for (const name of ["1.0/actions/query", "1.0/actions/mutation", "1.0/actions/action"]) {
        const act = await call("action", where, "act", {
          name,
          args: { args: {}, version: "1.48.0", requestId: "", ...address },
        });
        assert.ok(
          act?.error,
          `${where} ${name} ${JSON.stringify(address)}: ${JSON.stringify(act)}`,
        );
      }
      const made = await call("query", where, "ask", {
        name: "1.0/createFunctionHandle",
        args: { version: "1.48.0", ...address },
      });
      assert.ok(
        made?.error,
        `${where} handle of ${JSON.stringify(address)}: ${JSON.stringify(made)}`,
      );
    }
  }
});

test("components 23: no client reaches into a component, whichever way it asks", async (context) => {
  const { server } = context;
  const id = await componentId(context, "one");
  for (const route of ["query", "mutation", "action", "function", "query_at_ts"]) {
    for (const componentPath of ["one", "one/inner", "none"]) {
      const answer = await postJson(`${server.url}/api/${route}`, {
        ...{ path: "items:texts", componentPath, args: {}, format: "json", ts: "AAAAAAAAAAA=" },
      });
      assert.notEqual(answer.body.status, "success", `${route} ${componentPath}`);
    }
  }
  for (
    const path of ["one/items:texts", `${id}/items:texts`, "box/items:texts", "components:one"]
  ) {
    const answer = await postJson(`${server.url}/api/query`, { path, args: {}, format: "json" });
    assert.notEqual(answer.body.status, "success", path);
  }
  const operations: readonly (readonly [string, unknown])[] = [
    ["delete_component", { componentId: id }],
    ["cancel_job", { id, componentId: id }],
    ["cancel_all_jobs", { componentId: id }],
    ["run_test_function", {
      adminKey: "",
      componentId: id,
      args: {},
      bundle: { path: "", source: "" },
    }],
  ];
  for (const [route, body] of operations) {
    const { status } = await postJson(`${server.url}/api/${route}`, body);
    assert.ok(status === 401 || status === 403 || status === 400, `${route}: ${status}`);
  }
});

async function componentId({ server, clients }: AppContext, path: string): Promise<string> {
  const list: { id: string; path: string }[] = await clients.http({ adminKey: server.adminKey })
    .query(api._system.frontend.components.list, {});
  return list.find((each) => each.path === path)!.id;
}
