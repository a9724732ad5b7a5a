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
