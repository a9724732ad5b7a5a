import assert from "node:assert/strict";
import { listen } from "./listener.ts";

Deno.test({
  name: "listen() abort() after drain() leaves calls that never end to the end of the process",
  // The connection of such a call.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const begun = Promise.withResolvers<void>();
    const listener = listen("127.0.0.1", 0, () => {
      begun.resolve();
      return new Promise<Response>(() => {});
    });
    const call = new AbortController();
    const outcome = fetch(listener.url, { signal: call.signal }).catch((error) => error.name);
    await begun.promise;
    const drained = listener.drain().then(() => "drained");
    listener.abort();
    assert.equal(
      await Promise.race([drained, Promise.resolve("still in flight")]),
      "still in flight",
    );
    call.abort();
    assert.equal(await outcome, "AbortError");
  },
});

Deno.test("listen() renew() closes what is not being answered, and listens on", async () => {
  const answer = Promise.withResolvers<Response>();
  const begun = Promise.withResolvers<void>();
  const listener = listen("127.0.0.1", 0, (request) => {
    if (new URL(request.url).pathname !== "/slow") return new Response("at once");
    begun.resolve();
    return answer.promise;
  });
  const slow = fetch(`${listener.url}/slow`).then((response) => response.text());
  await begun.promise;
  using halfHead = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  await halfHead.write(new TextEncoder().encode("GET / HTTP/1.1\r\nHost:"));
  // Behind it in the queue of connections, so that the one before has been accepted.
  assert.equal(await (await fetch(listener.url)).text(), "at once");
  listener.renew();
  assert.equal(await halfHead.read(new Uint8Array(1)), null);
  answer.resolve(new Response("later"));
  assert.equal(await slow, "later");
  assert.equal(await (await fetchWhenListening(listener.url)).text(), "at once");
  await listener.drain();
});

/** The port is free for a moment. */
async function fetchWhenListening(url: string): Promise<Response> {
  for (;;) {
    try {
      return await fetch(url);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
}
