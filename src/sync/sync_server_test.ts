/** The protocol over real sockets: what the fake ones of the other tests take for granted. */
import assert from "node:assert/strict";
import { query } from "../../tests/support/fake_backend.ts";
import { add, startSync } from "../../tests/support/sync_harness.ts";
import { RequestError } from "../errors.ts";

const functions = { "m:a": query(({ read }) => read("a")) };

interface Client {
  readonly messages: string[];
  readonly closed: Promise<{ code: number; reason: string }>;
  send(message: Record<string, unknown>): void;
  sendBinary(): void;
  /** Resolves when so many messages have come. */
  received(count: number): Promise<void>;
}

async function withServer(
  run: (open: () => Promise<Client>, harness: ReturnType<typeof startSync>) => Promise<void>,
): Promise<void> {
  const harness = startSync(functions);
  const listener = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    (request) => harness.server.accept(request, { chunks: true, client: "a" }),
  );
  const url = `ws://127.0.0.1:${listener.addr.port}`;
  try {
    await run(() => openClient(url), harness);
  } finally {
    harness.server.close();
    await listener.shutdown();
  }
}

async function openClient(url: string): Promise<Client> {
  const socket = new WebSocket(url);
  const messages: string[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  socket.onmessage = ({ data }) => {
    messages.push(data);
    for (const { count, resolve } of waiting) if (messages.length >= count) resolve();
  };
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.onclose = ({ code, reason }) => resolve({ code, reason });
  });
  await new Promise((resolve) => socket.onopen = resolve);
  return {
    messages,
    closed,
    send: (message) => socket.send(JSON.stringify(message)),
    sendBinary: () => socket.send(Uint8Array.of(1)),
    received: (count) =>
      new Promise((resolve) => {
        if (messages.length >= count) resolve();
        else waiting.push({ count, resolve });
      }),
  };
}

const modify = (...modifications: unknown[]) => ({
  type: "ModifyQuerySet",
  baseVersion: 0,
  newVersion: 1,
  modifications,
});

Deno.test("sync-protocol 6, 17, 22: text goes out and in over a real socket", async () => {
  await withServer(async (open, { backend }) => {
    const client = await open();
    client.send(modify(add(0, "m:a")));
    await client.received(1);
    backend.write({ a: "1" });
    await client.received(2);
    assert.equal(JSON.parse(client.messages[1]!).modifications[0].value, 1);
  });
});

Deno.test("sync-protocol 92: the last message arrives before a close without a code", async () => {
  await withServer(async (open) => {
    const client = await open();
    client.send({ type: "Nonsense" });
    assert.deepEqual(await client.closed, { code: 1005, reason: "" });
    assert.equal(JSON.parse(client.messages.at(-1)!).type, "FatalError");
  });
});

Deno.test("sync-protocol 7, 30: codes and reasons of the table reach the client", async () => {
  await withServer(async (open) => {
    const internal = { code: 1011, reason: "InternalServerError" };
    const binary = await open();
    binary.sendBinary();
    assert.deepEqual(await binary.closed, internal);
    const backwards = await open();
    backwards.send({ ...modify(), newVersion: 0 });
    assert.deepEqual(await backwards.closed, internal);
  });
});

Deno.test("a server that stops closes its sockets", async () => {
  await withServer(async (open, { server }) => {
    const client = await open();
    client.send(modify());
    await client.received(1);
    server.close();
    assert.equal((await client.closed).code, 1001);
    assert.equal(server.connectionCount, 0);
  });
});

Deno.test("sockets of one client are counted, until they end, and too many are refused with 429", () => {
  const { server, open } = startSync(functions, { config: { addressSocketsMax: 1 } });
  const headers = {
    connection: "upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "x",
  };
  const accept = (client: string) =>
    server.accept(new Request("http://x/api/sync", { headers }), { chunks: true, client });
  const first = open();
  assert.throws(() => accept("a"), { code: "TooManyConnections", kind: "rateLimited" });
  assert.equal(accept("b").status, 101);
  first.disconnect();
  assert.equal(accept("a").status, 101);
});

Deno.test("sync-protocol 4, 8: what is no upgrade is refused by name", () => {
  const { server } = startSync(functions);
  const headers = {
    connection: "keep-alive, Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "x",
  };
  const refused = (change: Record<string, string | undefined>, method = "GET"): string => {
    const pairs = Object.entries({ ...headers, ...change }).filter(([, value]) =>
      value !== undefined
    );
    const request = new Request("http://x/api/sync", {
      method,
      headers: pairs as [string, string][],
    });
    try {
      server.accept(request, { chunks: false, client: "a" });
    } catch (error) {
      assert.ok(error instanceof RequestError && error.kind === "badRequest");
      return error.code;
    }
    assert.fail("accepted");
  };
  assert.equal(refused({}, "POST"), "MethodNotGet");
  assert.equal(refused({ connection: "close" }), "InvalidConnectionHeader");
  assert.equal(refused({ upgrade: undefined }), "InvalidUpgradeHeader");
  assert.equal(refused({ "sec-websocket-version": "8" }), "InvalidWebSocketVersionHeader");
  assert.equal(refused({ "sec-websocket-key": undefined }), "WebSocketKeyHeaderMissing");
});
