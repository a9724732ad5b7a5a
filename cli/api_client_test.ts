import assert from "node:assert/strict";
import { ApiClient, ApiError } from "./api_client.ts";

/** A client of a server that answers everything with `answer`. */
async function withAnswer(
  answer: () => Response,
  test: (client: ApiClient) => Promise<void>,
): Promise<void> {
  const options = { hostname: "127.0.0.1", port: 0, onListen() {}, onError: () => answer() };
  await using server = Deno.serve(options, answer);
  await test(new ApiClient(`http://127.0.0.1:${server.addr.port}`, "key"));
}

/** A body that announces more than comes. */
const brokenBody = () =>
  new Response(
    new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode('{"a":'));
        controller.error(new Error("the disk is gone"));
      },
    }),
  );

Deno.test("ApiClient: what answers without JSON is no server of ours", () =>
  withAnswer(() => new Response("<html>"), async (client) => {
    await assert.rejects(
      client.get("/version"),
      (error) => error instanceof ApiError && /is no Hull server/.test(error.message),
    );
  }));

Deno.test("ApiClient: of a page that a proxy refuses with, the status is told", () => {
  const page = () => new Response("<html>Bad gateway", { status: 502 });
  return withAnswer(page, async (client) => {
    await assert.rejects(client.get("/"), { message: "The server answered with status 502." });
  });
});

Deno.test("ApiClient: an answer that breaks off is no mistake of the program", () =>
  withAnswer(brokenBody, async (client) => {
    const isBrokenOff = (error: unknown) =>
      error instanceof ApiError && /broke off/.test(error.message);
    await assert.rejects(client.get("/"), isBrokenOff);
    const { body } = await client.download("/");
    await assert.rejects(Array.fromAsync(body), isBrokenOff);
  }));
