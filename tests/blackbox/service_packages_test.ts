/** Published components that work for services outside, at work without these: webhooks, buckets, editors, batches. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { api } from "../support/api.ts";
import { startFakeBucket } from "../support/fake_bucket.ts";
import { packageApp } from "../support/package_app.ts";
import { eventually } from "../support/waiting.ts";

const { test } = packageApp();
const soonMs = 40_000;

test("components §13: resend queues, cancels, and follows an email through signed webhooks", async ({ server, clients }) => {
  const client = clients.http();
  assert.deepEqual(await client.mutation(api.webhooks.sendAndCancel, {}), {
    before: "waiting",
    after: "cancelled",
  });
  const id = await client.mutation(api.webhooks.sentElsewhere, { resendId: "re_1" });
  const post = (type: string, secret: string) => {
    const created_at = new Date().toISOString();
    const data = { email_id: "re_1", created_at, from: "a@b.c", to: ["d@e.f"], subject: "Hello" };
    const body = JSON.stringify({ type, created_at, data });
    const timestamp = String(Math.floor(Date.now() / 1000));
    const signature = createHmac("sha256", secret).update(`1.${timestamp}.${body}`).digest(
      "base64",
    );
    return fetch(`${server.url}/resend`, {
      method: "POST",
      body,
      headers: { "svix-id": "1", "svix-timestamp": timestamp, "svix-signature": `v1,${signature}` },
    });
  };
  const forged = await post("email.bounced", "a guess");
  assert.equal(forged.status, 500);
  await forged.body?.cancel();
  const secret = "a secret of the email service";
  assert.equal((await post("email.delivered", secret)).status, 201);
  await eventually(
    async () => {
      const { status, events } = await client.query(api.webhooks.emailStatus, { id });
      return status === "delivered" && events.join() === "email.delivered" || undefined;
    },
    "the delivery",
    soonMs,
  );
});

test("components §13: stripe keeps what signed webhooks tell, and refuses others", async ({ server, clients }) => {
  const client = clients.http();
  const stripeCustomerId = "cus_1";
  const post = async (
    type: string,
    object: object,
    secret = "whsec_a_secret_of_the_payment_service",
  ) => {
    const body = JSON.stringify({ id: "evt_1", object: "event", type, data: { object } });
    const time = Math.floor(Date.now() / 1000);
    const signature = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
    const headers = { "stripe-signature": `t=${time},v1=${signature}` };
    const response = await fetch(`${server.url}/stripe/webhook`, { method: "POST", body, headers });
    await response.body?.cancel();
    return response.status;
  };
  const customer = { id: stripeCustomerId, email: "ada@example.com", name: "Ada", metadata: {} };
  assert.equal(await post("customer.created", customer, "a guess"), 400);
  assert.equal(await client.query(api.webhooks.customer, { stripeCustomerId }), null);
  assert.equal(await post("customer.created", customer), 200);
  const { email, name } = await client.query(api.webhooks.customer, { stripeCustomerId });
  assert.deepEqual([email, name], ["ada@example.com", "Ada"]);

  const item = { quantity: 2, current_period_end: 1_900_000_000, price: { id: "price_1" } };
  const subscription = {
    ...{ id: "sub_1", customer: stripeCustomerId, status: "active", metadata: {} },
    items: { data: [item] },
  };
  assert.equal(await post("customer.subscription.created", subscription), 200);
  const subscriptions = () => client.query(api.webhooks.subscriptions, { stripeCustomerId });
  assert.deepEqual(await subscriptions(), [{ status: "active", quantity: 2 }]);
  assert.equal(await post("customer.subscription.deleted", subscription), 200);
  assert.equal((await subscriptions())[0].status, "canceled");
  assert.deepEqual(await client.query(api.webhooks.eventTypes, {}), [
    ...["customer.created", "customer.subscription.created", "customer.subscription.deleted"],
  ]);
});

test("components §13: r2 stores, describes, signs for and deletes objects of a bucket", async ({ clients }) => {
  await using bucket = startFakeBucket();
  const client = clients.http();
  const object = { endpoint: bucket.url, key: "a.txt" };
  assert.equal(await client.action(api.bucket.store, { ...object, text: "hello" }), "a.txt");
  const { url, ...stored } = await client.query(api.bucket.metadata, object);
  assert.deepEqual(stored, { size: 5, type: "text/plain" });
  assert.equal(await (await fetch(url)).text(), "hello");

  const uploadUrl = await client.mutation(api.bucket.uploadUrl, { ...object, key: "b.txt" });
  await (await fetch(uploadUrl, { method: "PUT", body: "from outside" })).body?.cancel();
  assert.deepEqual(bucket.paths(), ["/pictures/a.txt", "/pictures/b.txt"]);
  await client.mutation(api.bucket.remove, object);
  assert.equal(await client.query(api.bucket.metadata, object), null);
  await eventually(() => Promise.resolve(bucket.paths().length === 1 || undefined), "it", soonMs);
});

test("components §13: prosemirror-sync orders steps, asks for a rebase, and keeps snapshots", async ({ clients }) => {
  const client = clients.http();
  const id = "letter";
  const text = (text: string) => ({ type: "doc", content: [{ type: "text", text }] });
  const submitSnapshot = (version: number, content: object) =>
    client.mutation(api.documents.submitSnapshot, {
      id,
      version,
      content: JSON.stringify(content),
    });
  await submitSnapshot(1, text("World"));
  const step = (text: string) =>
    JSON.stringify({
      stepType: "replace",
      from: 0,
      to: 0,
      slice: { content: [{ type: "text", text }] },
    });
  const submit = (clientId: string, version: number, steps: string[]) =>
    client.mutation(api.documents.submitSteps, { id, clientId, version, steps });
  const first = [step("of the "), step("Queen ")];
  assert.deepEqual(await submit("ada", 1, first), { status: "synced" });
  assert.deepEqual(await submit("bob", 1, [step("My ")]), {
    status: "needs-rebase",
    clientIds: ["ada", "ada"],
    steps: first,
  });
  assert.deepEqual(await submit("bob", 3, [step("My ")]), { status: "synced" });
  assert.equal(await client.query(api.documents.latestVersion, { id }), 4);
  const prepended = "Dear My Queen of the World";
  assert.equal(await client.mutation(api.documents.prepend, { id, text: "Dear " }), prepended);
  const { version, content } = await client.query(api.documents.getSnapshot, { id });
  assert.deepEqual([version, JSON.parse(content)], [5, text(prepended)]);
  assert.deepEqual(await client.query(api.documents.snapshots, { id }), [1]);
  const locked = { id: "locked letter", version: 1, content: "{}" };
  await assert.rejects(client.mutation(api.documents.submitSnapshot, locked), /cannot be written/);
});

test("components §13: batch-worker works on everything that is queued, in batches, queue by queue", async ({ clients }) => {
  const client = clients.http();
  const add = (queue: string, count: number) =>
    clients.http().mutation(api.batches.add, { queue, count });
  await Promise.all([add("a", 25), add("b", 3), add("a", 10)]);
  const done = async (queue: string, count: number) => {
    const sizes: number[] = await client.query(api.batches.sizes, { queue });
    assert.ok(sizes.every((size) => size <= 10), `batches of ${sizes.join()}`);
    return sizes.reduce((sum, size) => sum + size, 0) === count || undefined;
  };
  await eventually(() => done("a", 35), "the first queue", soonMs);
  await eventually(() => done("b", 3), "the second queue", soonMs);
  await add("b", 4);
  await eventually(() => done("b", 7), "more of the second queue", soonMs);
});
