/** The example that the README runs: its functions, its HTTP actions and its page. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import { postJson } from "../support/http.ts";

const { test } = appServer({ app: "examples/chat" });
const { messages } = api;

test("the chat example lists new messages live, newest first", async ({ clients }) => {
  const list = watch(clients.live(), messages.list, {});
  await list.until((value) => value.length === 0, "the empty list");
  const client = clients.http();
  await client.mutation(messages.send, { author: "Ada", body: "first" });
  await client.mutation(messages.send, { author: "Grace", body: "second" });
  const value = await list.until((value) => value.length === 2, "both messages");
  assert.deepEqual(value.map((message: { body: string }) => message.body), ["second", "first"]);
  assert.equal((await client.query(messages.list, { limit: 1 })).length, 1);
  assert.equal((await client.query(messages.listByAuthor, { author: "Ada" })).length, 1);
});

test("the chat example refuses empty messages with a reason", async ({ clients }) => {
  await assert.rejects(
    clients.http().mutation(messages.send, { author: "Ada", body: "  " }),
    (error: Error & { data?: unknown }) => error.data === "A message needs an author and a text",
  );
});

test("the chat example's curl commands work as the README shows them", async ({ server }) => {
  const sent = await fetch(`${server.url}/postMessage`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{ "author": "User 123", "body": "Hello world" }',
  });
  assert.equal(sent.status, 200);
  await sent.body?.cancel();
  for (const path of ["/getMessagesByAuthor?author=User+123", "/getAuthorMessages/User+123"]) {
    const [message] = await (await fetch(`${server.url}${path}`)).json();
    assert.equal(message.body, "Sent via HTTP action: Hello world", path);
  }
  const { body } = await postJson(`${server.url}/api/query`, {
    path: "messages:listByAuthor",
    args: { author: "User 123" },
  });
  assert.equal(body.value.length, 1);
});

test("the chat example's actions count words and make a fingerprint in Node", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(messages.send, { author: "Edsger", body: "simplicity is  prerequisite" });
  assert.equal(await client.action(messages.announceWordCount, { author: "Edsger" }), 3);
  const [announcement] = await client.query(messages.list, { limit: 1 });
  assert.equal(announcement.body, "Edsger has written 3 words so far.");
  const { digest, node } = await client.action(api.fingerprint.sha256);
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.match(node, /^v\d+\./);
});

test("the chat example's page and everything it loads are served", async ({ server }) => {
  const page = await fetch(`${server.url}/`);
  assert.match(page.headers.get("content-type") ?? "", /^text\/html/);
  const html = await page.text();
  for (const [, path] of html.matchAll(/(?:src|href)="(\/[^"]+)"/g)) {
    const file = await fetch(`${server.url}${path}`);
    assert.equal(file.status, 200, `${path}`);
    assert.ok((await file.text()).length > 0, `${path}`);
  }
  const outside = await fetch(`${server.url}/%2e%2e/package.json`);
  assert.equal(outside.status, 404);
  await outside.body?.cancel();
});
