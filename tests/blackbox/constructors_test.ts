/** The seven constructors, how functions are named, and who may call them. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });
const { constructors } = api;

test("query, mutation and action receive the context of their kind", async ({ clients }) => {
  const client = clients.http();
  const query = await client.query(constructors.aQuery);
  const mutation = await client.mutation(constructors.aMutation);
  const action = await client.action(constructors.anAction);
  assert.deepEqual([query.kind, mutation.kind, action.kind], ["query", "mutation", "action"]);
  const has = (context: string[], ...names: string[]) =>
    names.filter((name) => context.includes(name));
  const all = ["auth", "db", "runAction", "runMutation", "runQuery", "scheduler", "storage"];
  assert.deepEqual(has(query.context, ...all), ["auth", "db", "runQuery", "storage"]);
  assert.deepEqual(
    has(mutation.context, ...all),
    ["auth", "db", "runMutation", "runQuery", "scheduler", "storage"],
  );
  assert.deepEqual(
    has(action.context, ...all, "vectorSearch"),
    ["auth", "runAction", "runMutation", "runQuery", "scheduler", "storage", "vectorSearch"],
  );
});

test("an httpAction answers on its route", async ({ server }) => {
  const response = await fetch(`${server.url}/echo-action`, { method: "POST", body: "hello" });
  assert.equal(response.status, 201);
  assert.equal(await response.text(), "POST hello");
});

test("semantics 55: the internal kinds cannot be reached by a client, but by an action and by an admin", async ({ server, clients }) => {
  const client = clients.http();
  const admin = clients.http({ adminKey: server.adminKey });
  const missing = (name: string) =>
    new RegExp(`Could not find public function for 'constructors:${name}'\\.`);
  await assert.rejects(client.query(constructors.anInternalQuery), missing("anInternalQuery"));
  await assert.rejects(
    client.mutation(constructors.anInternalMutation),
    missing("anInternalMutation"),
  );
  await assert.rejects(client.action(constructors.anInternalAction), missing("anInternalAction"));
  const expected = ["internal query", "internal mutation", "internal action"];
  assert.deepEqual(await client.action(constructors.callInternals), expected);
  assert.deepEqual([
    await admin.query(constructors.anInternalQuery),
    await admin.mutation(constructors.anInternalMutation),
    await admin.action(constructors.anInternalAction),
  ], expected);
});

test("semantics 56: missing modules and functions, helpers, constants and HTTP actions look alike", async ({ clients }) => {
  const client = clients.http();
  for (const path of ["constructors.nosuch", "nosuch.fn", "constructors.helper"]) {
    const [module, name] = path.split(".");
    await assert.rejects(
      client.query(api[module!][name!]),
      new RegExp(`Could not find public function for '${module}:${name}'\\.`),
      path,
    );
  }
  await assert.rejects(client.query(constructors.constant), /Could not find public function/);
  await assert.rejects(client.action(constructors.anHttpAction), /Could not find public function/);
});

test("http-api 28, function-abi 14: a function called as another kind is refused", async ({ clients }) => {
  await assert.rejects(
    clients.http().query(constructors.aMutation),
    /Trying to execute constructors\.js:aMutation as Query, but it is defined as Mutation\./,
  );
  await assert.rejects(
    clients.http().mutation(constructors.aQuery),
    /Trying to execute constructors\.js:aQuery as Mutation, but it is defined as Query\./,
  );
});

test("names follow folders and exports; the default export is called default", async ({ clients }) => {
  const client = clients.http();
  assert.equal(await client.query(api.nested.deeper.functions.deep), "deep");
  assert.equal(await client.query(api.nested.deeper.functions.default), "deep default");
  assert.equal(await client.mutation(constructors.default), "default mutation");
});

test("a function may be declared by its handler alone", async ({ clients }) => {
  assert.equal(await clients.http().query(constructors.shorthand, { word: "loud" }), "LOUD");
});

test("http-api 9: undefined becomes null at the top and disappears inside objects", async ({ clients }) => {
  const client = clients.http();
  assert.equal(await client.query(constructors.returnsUndefined), null);
  assert.deepEqual(await client.query(constructors.returnsNestedUndefined), { kept: 1 });
});

test("http-api 51: every type of value survives the way there and back", async ({ clients }) => {
  const client = clients.http();
  const values = [
    null,
    true,
    0,
    -0,
    1.5,
    Number.MAX_SAFE_INTEGER,
    Number.NaN,
    Number.NEGATIVE_INFINITY,
    -(2n ** 63n),
    2n ** 63n - 1n,
    "",
    "\uffff😀",
    new ArrayBuffer(0),
    Uint8Array.of(0, 255, 16).buffer,
    [],
    {},
    [[null], [1n, { "a b": [], "": 1 }]],
  ];
  for (const value of values) {
    const back = await client.query(constructors.echo, { value });
    assert.ok(sameValue(back, value), `${String(value)} came back as ${String(back)}`);
  }
});

function sameValue(a: unknown, b: unknown): boolean {
  try {
    assert.deepStrictEqual(a, b);
    return true;
  } catch {
    return false;
  }
}
