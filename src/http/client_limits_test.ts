import assert from "node:assert/strict";
import { FakeEnvironment, settle } from "../../tests/support/fake_environment.ts";
import { ClientAddresses } from "./client_address.ts";
import { ClientLimits } from "./client_limits.ts";
import type { RequestHandler } from "./request_handler.ts";

const environment = new FakeEnvironment();

/** Requests of clients whose responses a test finishes, with what has begun. */
function clients(addressRequestsMax: number, queueWaitMs = 1000) {
  const begun: string[] = [];
  const limits = new ClientLimits({
    addresses: new ClientAddresses([]),
    environment,
    config: { addressRequestsMax, addressBytesMax: 1000, requestBodyBytesMax: 500, queueWaitMs },
  });
  const handler = limits.around((request) => {
    begun.push(new URL(request.url).pathname);
    return new Response("done");
  });
  const send = (hostname: string, path: string, bytes = 0) => {
    const { promise: completed, resolve: complete } = Promise.withResolvers<void>();
    const leaving = new AbortController();
    const request = new Request(`http://a${path}`, {
      signal: leaving.signal,
      headers: bytes === 0 ? {} : { "content-length": String(bytes) },
    });
    const info = { remoteAddr: { transport: "tcp", hostname, port: 1 }, completed };
    const response = handler(request, info as Parameters<RequestHandler>[1]);
    return { response, complete, leave: () => leaving.abort() };
  };
  return { begun, send };
}

Deno.test("a client's requests above its limit wait for its own, and for nobody else's", async () => {
  const { begun, send } = clients(2);
  const [first] = [send("1.1.1.1", "/1"), send("1.1.1.1", "/2")];
  send("1.1.1.1", "/3");
  send("1.1.1.1", "/4");
  send("2.2.2.2", "/other");
  await settle();
  assert.deepEqual(begun, ["/1", "/2", "/other"]);
  first!.complete();
  await settle();
  assert.deepEqual(begun, ["/1", "/2", "/other", "/3"]);
});

Deno.test("what has waited too long is refused with 429 and when to come again", async () => {
  const { begun, send } = clients(1);
  const first = send("1.1.1.1", "/1");
  const second = send("1.1.1.1", "/2");
  await environment.advance(1000);
  const refused = await second.response;
  assert.deepEqual([refused.status, refused.headers.get("retry-after")], [429, "1"]);
  assert.equal((await refused.json()).code, "TooManyConcurrentRequests");
  first.complete();
  await settle();
  await send("1.1.1.1", "/3").response;
  assert.deepEqual(begun, ["/1", "/3"]);
});

Deno.test("a client that leaves while it waits gives its turn to the next", async () => {
  const { begun, send } = clients(1);
  const first = send("1.1.1.1", "/1");
  const second = send("1.1.1.1", "/2");
  send("1.1.1.1", "/3");
  second.leave();
  await settle();
  first.complete();
  await settle();
  assert.deepEqual(begun, ["/1", "/3"]);
});

Deno.test("who waits finds a bound, and this machine has none", async () => {
  const { begun, send } = clients(1);
  for (let i = 0; i <= 1000; i++) send("1.1.1.1", "/");
  assert.equal((await send("1.1.1.1", "/").response).status, 429);
  for (let i = 0; i < 10; i++) send("127.0.0.1", "/own");
  assert.equal(begun.length, 11);
});

Deno.test("bodies of one client are bounded together, whatever may come alone, and uploads are not held", async () => {
  const { begun, send } = clients(10);
  const huge = send("1.1.1.1", "/huge", 5_000);
  send("1.1.1.1", "/1", 600);
  send("1.1.1.1", "/2", 600);
  send("1.1.1.1", "/small");
  send("2.2.2.2", "/api/storage/upload?token=a", 1_000_000);
  send("2.2.2.2", "/other", 600);
  assert.deepEqual(begun, ["/huge", "/api/storage/upload", "/other"]);
  huge.complete();
  await settle();
  assert.deepEqual(begun.slice(3), ["/1"]);
});
