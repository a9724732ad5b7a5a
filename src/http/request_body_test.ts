import assert from "node:assert/strict";
import { FakeEnvironment, settle } from "../../tests/support/fake_environment.ts";
import { BodyReader, BodyTooLargeError } from "./request_body.ts";

const config = { requestBodiesBytesMax: 300_000, requestBodyTimeoutS: 10 };
const environment = new FakeEnvironment();

/** A request whose body the test writes piece by piece. */
function openRequest(headers: Record<string, string> = {}) {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const request = new Request("http://x/", { method: "POST", body: readable, headers });
  return { request, writer: writable.getWriter() };
}

const plain = (body: string) => {
  const headers = { "content-length": String(body.length) };
  return new Request("http://x/", { method: "POST", body, headers });
};

Deno.test("BodyReader text() reads small and large bodies alike", async () => {
  const reader = new BodyReader(config, environment);
  for (const length of [0, 1, 65_536, 65_537, 200_000]) {
    const body = "é".repeat(length / 2);
    const request = new Request("http://x/", { method: "POST", body });
    assert.equal(await reader.text(request, 300_000), body);
    assert.equal(await reader.text(plain("x".repeat(length)), 300_000), "x".repeat(length));
  }
  assert.equal((await reader.bytes(new Request("http://x/"), 10)).length, 0);
});

Deno.test("http-api rule 22: a body that is announced as too large is not read at all", async () => {
  const reader = new BodyReader(config, environment);
  const { request } = openRequest({ "content-length": "100001" });
  await assert.rejects(reader.text(request, 100_000), BodyTooLargeError);
});

Deno.test("a body without a length is cut off at its limit", async () => {
  const reader = new BodyReader(config, environment);
  const { request, writer } = openRequest();
  const read = assert.rejects(reader.bytes(request, 100_000), BodyTooLargeError);
  const sent = (async () => {
    for (;;) await writer.write(new Uint8Array(60_000));
  })();
  await read;
  // What the client goes on sending is refused.
  await assert.rejects(sent);
});

Deno.test("large bodies share a budget, which is free again when they are done", async () => {
  const reader = new BodyReader(config, environment);
  const first = openRequest();
  const reading = reader.bytes(first.request, 250_000);
  await first.writer.write(new Uint8Array(200_000));
  await settle();
  const second = new Request("http://x/", { method: "POST", body: new Uint8Array(200_000) });
  await assert.rejects(reader.bytes(second, 250_000), { code: "TooManyConcurrentRequests" });
  await first.writer.close();
  assert.equal((await reading).length, 200_000);
  const third = new Request("http://x/", { method: "POST", body: new Uint8Array(200_000) });
  assert.equal((await reader.bytes(third, 250_000)).length, 200_000);
});

Deno.test("http-api rule 4: a large body that does not arrive in time ends with a time-out", async () => {
  const reader = new BodyReader(config, environment);
  const { request, writer } = openRequest();
  const outcome = reader.bytes(request, 100_000).catch((error) => error.code);
  await writer.write(new Uint8Array(10));
  await environment.advance(10_001);
  assert.equal(await outcome, "RequestTimeout");
});

Deno.test("BodyReader chunks() hands on any amount, as long as each piece arrives in time", async () => {
  const reader = new BodyReader(config, environment);
  const { request, writer } = openRequest();
  const chunks = reader.chunks(request);
  for (let i = 0; i < 20; i++) {
    const next = chunks.next();
    await environment.advance(9000);
    await writer.write(new Uint8Array(50_000));
    assert.equal((await next).value?.length, 50_000);
  }
  const late = chunks.next().catch((error) => error.code);
  await environment.advance(10_001);
  assert.equal(await late, "RequestTimeout");
});

Deno.test("small pieces of one client are paced, and no other client's", async () => {
  const reader = new BodyReader({ ...config, requestBodyTimeoutS: 100 }, environment);
  const taken = { greedy: 0, other: 0 };
  const send = async (client: keyof typeof taken) => {
    const { request, writer } = openRequest();
    const sending = (async () => {
      for (let n = 0; n < 600; n++) await writer.write(new Uint8Array(1));
      await writer.close();
    })();
    for await (const { byteLength } of reader.chunks(request, client)) taken[client] += byteLength;
    await sending;
  };
  const greedy = send("greedy");
  while (taken.greedy < 500) await settle();
  for (let turn = 0; turn < 20; turn++) await settle();
  assert.ok(taken.greedy <= 501);
  const other = send("other");
  while (taken.other < 500) await settle();
  await environment.advance(1_000);
  await Promise.all([greedy, other]);
  assert.deepEqual(taken, { greedy: 600, other: 600 });
});
