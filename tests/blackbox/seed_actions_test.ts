/** The examples of the chapters "Actions", "HTTP Actions" and "Internal Functions". */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { dump, insert, seedApp } from "../support/seed_app.ts";
import { startThirdParty, type ThirdParty } from "../support/third_party.ts";
import { watch } from "../support/clients.ts";

let outside: ThirdParty;
Deno.test.beforeAll(() => {
  outside = startThirdParty();
});

const { test } = appServer({
  ...seedApp,
  variables: () => ({ THIRD_PARTY_URL: outside.url, CLIENT_ORIGIN: "https://mywebsite.com" }),
});

Deno.test.afterAll(() => outside.close());

test("an action returns a value, with and without validated arguments", async ({ clients }) => {
  const client = clients.http();
  assert.equal(await client.action(api.doSomething.bare.doSomething), "success");
  assert.equal(
    await client.action(api.doSomething.validated.doSomething, { a: 1, b: 2 }),
    "success",
  );
});

test("an action writes through an internal mutation and reads through an internal query", async ({ clients }) => {
  const client = clients.http();
  const id = await client.action(api.doSomething.writes.doSomething, { a: 7 });
  const [document] = await dump(client, "data");
  assert.equal(document?._id, id);
  assert.equal(await client.action(api.doSomething.reads.doSomething, { a: 7 }), 1);
  assert.equal(await client.action(api.doSomething.reads.doSomething, { a: 8 }), 0);
});

test("an action fetches from outside", async ({ clients }) => {
  assert.equal(
    await clients.http().action(api.doSomething.fetches.doSomething),
    "hello from outside",
  );
});

test('a "use node" action uses Node and an npm package', async ({ clients }) => {
  const value = await clients.http().action(api.myAction.doSomething);
  assert.equal(value.package, "HELLO/");
  assert.equal(value.digest, "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
  assert.match(value.node, /^\d+\.\d+\.\d+$/);
});

test("a mutation schedules an action, which calls an API and stores the result", async ({ clients }) => {
  const client = clients.live();
  const taskId = await client.mutation(api.scheduling.mutationThatSchedulesAction, {
    text: "quiet",
  });
  const task = watch(client, api.myFunctions.getTask, { id: taskId });
  const done = await task.until(({ result }) => result !== undefined, "the action's result");
  assert.equal(done.result, "QUIET");
});

test("an internal function cannot be called by clients, and looks like a missing one", async ({ server, clients }) => {
  const client = clients.http();
  const planId = await client.mutation(api.plans.create);
  const call = (who: typeof client) => who.mutation(api.plans.markPlanAsProfessional, { planId });
  await assert.rejects(
    call(client),
    /Could not find public function for 'plans:markPlanAsProfessional'\./,
  );
  assert.equal((await client.query(api.plans.get, { planId })).planType, "free");
  await call(clients.http({ adminKey: server.adminKey }));
  assert.equal((await client.query(api.plans.get, { planId })).planType, "professional");
});

test("upgrade marks a plan as professional after payment only", async ({ clients }) => {
  const client = clients.http();
  const planId = await client.mutation(api.plans.create);
  const planType = async () => (await client.query(api.plans.get, { planId })).planType;
  outside.acceptsPayments = false;
  await client.action(api.changes.upgrade, { planId });
  assert.equal(await planType(), "free");
  outside.acceptsPayments = true;
  await client.action(api.changes.upgrade, { planId });
  assert.equal(await planType(), "professional");
  const charges = outside.requests.filter(({ path }) => path === "/charge");
  assert.deepEqual(charges.map(({ body }) => body), [planId, planId]);
});

// HTTP actions: at the root of the one listener, where an app with one address expects them, and under /http.

test("GET / greets with the request's address", async ({ server }) => {
  const response = await fetch(`${server.url}/`);
  assert.equal(await response.text(), `Hello from ${server.url}/`);
  const prefixed = await fetch(`${server.url}/http/`);
  assert.equal(await prefixed.text(), `Hello from ${server.url}/`);
});

test("an HTTP action may answer with an empty response", async ({ server }) => {
  const response = await fetch(`${server.url}/doSomething`);
  assert.equal(response.status, 200);
  assert.equal(await response.text(), "");
});

test("POST /postMessage stores a message that both GET routes return", async ({ server }) => {
  const post = await fetch(`${server.url}/postMessage`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ author: "User 123", body: "Hello world" }),
  });
  assert.equal(post.status, 200);
  for (const path of ["/getMessagesByAuthor?author=User+123", "/getAuthorMessages/User+123"]) {
    const response = await fetch(`${server.url}${path}`);
    assert.equal(response.headers.get("content-type"), "application/json");
    const messages = await response.json();
    assert.deepEqual(
      messages.map(({ body }: { body: string }) => body),
      ["Sent via HTTP action: Hello world"],
      path,
    );
  }
  const nobody = await fetch(`${server.url}/getAuthorMessages/Nobody`);
  assert.deepEqual(await nobody.json(), []);
});

test("http-api 67, 68: another method or path is answered with 404", async ({ server }) => {
  const wrongMethod = await fetch(`${server.url}/postMessage`);
  assert.equal(wrongMethod.status, 404);
  assert.equal(await wrongMethod.text(), "No matching routes found");
  const wrongPath = await fetch(`${server.url}/nowhere`);
  assert.equal(wrongPath.status, 404);
  await wrongPath.body?.cancel();
});

test("POST /sendImage stores the file, its message, and answers with CORS headers", async ({ server, clients }) => {
  const image = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 255);
  const response = await fetch(`${server.url}/sendImage?author=Ada`, {
    method: "POST",
    headers: { "content-type": "image/png", origin: "https://mywebsite.com" },
    body: image,
  });
  assert.equal(response.status, 200, await response.text());
  assert.equal(response.headers.get("access-control-allow-origin"), "https://mywebsite.com");
  assert.equal(response.headers.get("vary"), "origin");

  const client = clients.http();
  const message = (await dump(client, "messages")).find(({ format }) => format === "image");
  assert.equal(message?.author, "Ada");
  const url = await client.query(api.testing.fileUrl, { storageId: message?.body });
  const file = await fetch(url);
  assert.equal(file.headers.get("content-type"), "image/png");
  assert.deepEqual(new Uint8Array(await file.arrayBuffer()), image);
});

test("OPTIONS /sendImage answers a pre-flight request, and a plain one without headers", async ({ server }) => {
  const preflight = await fetch(`${server.url}/sendImage`, {
    method: "OPTIONS",
    headers: {
      origin: "https://mywebsite.com",
      "access-control-request-method": "POST",
      "access-control-request-headers": "content-type",
    },
  });
  assert.equal(preflight.headers.get("access-control-allow-origin"), "https://mywebsite.com");
  assert.equal(preflight.headers.get("access-control-allow-methods"), "POST");
  assert.equal(preflight.headers.get("access-control-allow-headers"), "Content-Type, Digest");
  assert.equal(preflight.headers.get("access-control-max-age"), "86400");
  await preflight.body?.cancel();
  const plain = await fetch(`${server.url}/sendImage`, { method: "OPTIONS" });
  assert.equal(plain.status, 200);
  assert.equal(plain.headers.get("access-control-allow-methods"), null);
  await plain.body?.cancel();
});

test("a public mutation called by an action may also be called by a client", async ({ clients }) => {
  const client = clients.http();
  const taskId = await insert(client, "tasks", { text: "not a file" });
  await assert.rejects(
    client.mutation(api.messages.sendImage, { storageId: taskId, author: null }),
    /ArgumentValidationError/,
  );
});
