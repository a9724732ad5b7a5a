/** The examples of the chapters "Queries" and "Mutations", deployed as written and called by the npm client. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { dump, insert, seedApp } from "../support/seed_app.ts";

const { test } = appServer(seedApp);

test("getTaskList returns the last 100 tasks of one list, newest first", async ({ clients }) => {
  const client = clients.http();
  const taskListId = await insert(client, "taskLists", { name: "home" });
  const other = await insert(client, "taskLists", { name: "work" });
  await insert(client, "tasks", { taskListId: other, text: "elsewhere" });
  for (let n = 0; n < 102; n++) await insert(client, "tasks", { taskListId, text: `task ${n}` });
  const tasks = await client.query(api.myFunctions.getTaskList, { taskListId });
  assert.deepEqual(
    tasks.map((task: { text: string }) => task.text),
    Array.from({ length: 100 }, (_, n) => `task ${101 - n}`),
  );
});

test("a query without arguments returns its constant", async ({ clients }) => {
  const value = await clients.http().query(api.myFunctions.myConstantString);
  assert.equal(value, "My never changing string");
});

test("sum adds named arguments without validators", async ({ clients }) => {
  assert.equal(await clients.http().query(api.sumWithoutValidators.sum, { a: 1, b: 2 }), 3);
});

test("sum adds named arguments with validators, and refuses others", async ({ clients }) => {
  const client = clients.http();
  assert.equal(await client.query(api.myFunctions.sum, { a: 1, b: 2 }), 3);
  await assert.rejects(client.query(api.myFunctions.sum, { a: 1, b: "2" }), (error: Error) => {
    assert.match(error.message, /ArgumentValidationError: Value does not match validator\./);
    assert.match(error.message, /Path: \.b/);
    return true;
  });
});

test("a query that returns nothing gives null to the client", async ({ clients }) => {
  assert.equal(await clients.http().query(api.myFunctions.myQuery, { a: 1, b: 2 }), null);
});

test("getTask loads one document with its system fields", async ({ clients }) => {
  const client = clients.http();
  const id = await insert(client, "tasks", { text: "read the seed" });
  const task = await client.query(api.myFunctions.getTask, { id });
  assert.equal(task._id, id);
  assert.equal(task.text, "read the seed");
  assert.equal(typeof task._creationTime, "number");
});

test("getTaskAndAuthor uses a helper, with and without an author", async ({ clients }) => {
  const client = clients.http();
  const authorId = await insert(client, "users", { name: "Ada" });
  const owned = await insert(client, "tasks", { text: "a", authorId });
  const orphan = await insert(client, "tasks", { text: "b" });
  const get = (id: string) => client.query(api.myFunctions.getTaskAndAuthor, { id });
  assert.equal((await get(owned)).author, "Ada");
  assert.equal((await get(orphan)).author, null);
});

test("an exported helper cannot be called from outside", async ({ clients }) => {
  await assert.rejects(
    clients.http().query(api.myFunctions.getUserName, {}),
    /Could not find public function for 'myFunctions:getUserName'\./,
  );
});

test("functions are found by path: nested folders, default exports, with or without .js", async ({ server, clients }) => {
  const client = clients.http();
  assert.deepEqual(await client.query(api.foo.myQueries.listMessages), []);
  const call = async (path: string) => {
    const response = await fetch(`${server.url}/api/query`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ path, args: {} }),
    });
    return await response.json();
  };
  const expected = { status: "success", value: "the default export" };
  for (const path of ["myFunctions", "myFunctions:default", "myFunctions.js:default"]) {
    assert.deepEqual(await call(path), expected, path);
  }
  assert.deepEqual(await call("foo/myQueries:listMessages"), { status: "success", value: [] });
});

test("an npm package works in a query", async ({ clients }) => {
  const name = await clients.http().query(api.names.randomName);
  assert.match(name, /\S+ \S+/);
});

test("an npm package works in a mutation", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(api.names.greetRandomName);
  const texts = (await dump(client, "tasks")).map(({ text }) => text as string);
  assert.equal(texts.filter((text) => /^Greet \S+ \S+/.test(text)).length, 1);
});

test("createTask inserts a task and returns its id", async ({ clients }) => {
  const client = clients.http();
  const id = await client.mutation(api.myMutations.createTask, { text: "buy milk" });
  assert.equal((await client.query(api.myFunctions.getTask, { id })).text, "buy milk");
});

test("mutateSomething returns null, or what the handler returns", async ({ clients }) => {
  const client = clients.http();
  const { bare, typed, validated } = api.mutateSomething;
  assert.equal(await client.mutation(bare.mutateSomething), null);
  assert.equal(await client.mutation(typed.mutateSomething, { a: 1, b: 2 }), "success");
  assert.equal(await client.mutation(validated.mutateSomething, { a: 1, b: 2 }), null);
  await assert.rejects(
    client.mutation(validated.mutateSomething, { a: 1 }),
    /ArgumentValidationError: Object is missing the required field `b`/,
  );
});

test("addItem writes through a helper, in the same transaction", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(api.myMutations.addItem, { text: "helped" });
  assert.deepEqual((await dump(client, "changes")).map(({ type }) => type), ["addItem"]);
  assert.ok((await dump(client, "tasks")).some(({ text }) => text === "helped"));
});
