/** Clients that open more than they use: what they can make the server hold, and what others notice. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import { eventually } from "../support/waiting.ts";

const { test } = appServer({
  app: "tests/fixtures/exchange",
  environment: {
    HULL_CONNECTIONS_MAX: "200",
    HULL_SERVER_MEMORY_MIB: "350",
    HULL_VECTOR_MEMORY_MIB: "16",
    HULL_QUERY_CACHE_BYTES_MAX: "0",
  },
});
const encoder = new TextEncoder();

/** Tries again while the server takes its port back. */
function connect({ server }: AppContext): Promise<Deno.TcpConn> {
  const port = Number(new URL(server.url).port);
  return eventually(async () => {
    try {
      return await Deno.connect({ hostname: "127.0.0.1", port });
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionRefused)) throw error;
    }
  }, "a server that takes connections");
}

/** Begins a request; the server may have closed the connection already. */
async function beginRequest(connection: Deno.TcpConn): Promise<void> {
  try {
    await connection.write(encoder.encode("GET /body HTTP/1.1\r\nHost: a\r\nX-Slow: "));
  } catch (error) {
    if (!isClosedByPeer(error)) throw error;
  }
}

function isClosedByPeer(error: unknown): boolean {
  return error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.BrokenPipe;
}

/** Resolves when the server has closed the connection. */
async function closed(connection: Deno.TcpConn): Promise<void> {
  try {
    const buffer = new Uint8Array(1000);
    while (await connection.read(buffer) !== null);
  } catch (error) {
    if (!isClosedByPeer(error)) throw error;
  }
}

/** Adds a note; tries again while the server takes its port back. */
async function note({ server }: AppContext, text: string): Promise<void> {
  const response = await eventually(async () => {
    try {
      return await fetch(`${server.url}/next`, { method: "POST", body: text });
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }, "a server that takes requests");
  assert.equal(response.status, 204);
}

test("I13: requests whose heads never end are closed when there are too many, and live clients go on", async (context) => {
  if (Deno.build.os !== "linux") return;
  const texts = watch(context.clients.live(), api.notes.texts, {});
  await note(context, "before");
  await texts.until((value) => value.includes("before"), "the first note");
  const renewed = context.server.nextLine(/connections that are not being answered are closed/);
  const held: Deno.TcpConn[] = [];
  try {
    for (let i = 0; i < 200; i++) {
      const connection = await connect(context);
      held.push(connection);
      await beginRequest(connection);
    }
    await renewed;
    await Promise.all(held.map(closed));
  } finally {
    held.forEach((connection) => connection.close());
  }
  await note(context, "after");
  await texts.until((value) => value.includes("after"), "the note on a new socket");
});

test("I13: a message whose fragments never end costs its sender the socket, not the server its memory", async (context) => {
  const renewed = context.server.nextLine(/connections that are not being answered are closed/);
  using connection = await connect(context);
  const head = [
    "GET /api/1.48.0/sync HTTP/1.1",
    "Host: a",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${btoa("0".repeat(16))}`,
  ];
  await connection.write(encoder.encode(`${head.join("\r\n")}\r\n\r\n`));
  assert.match(new TextDecoder().decode(await readSome(connection)), /^HTTP\/1\.1 101 /);
  const sending = (async () => {
    for (let isFirst = true;; isFirst = false) await writeAll(connection, fragment(isFirst));
  })();
  await assert.rejects(sending, /reset|broken pipe/i);
  await renewed;
  await note(context, "still here");
});

async function readSome(connection: Deno.TcpConn): Promise<Uint8Array> {
  const buffer = new Uint8Array(1000);
  return buffer.subarray(0, await connection.read(buffer) ?? 0);
}

async function writeAll(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.byteLength;) {
    written += await connection.write(bytes.subarray(written));
  }
}

/** A masked frame of text that says that more follows. */
function fragment(isFirst: boolean): Uint8Array {
  const length = 256 * 1024;
  const frame = new Uint8Array(14 + length).fill(0x78, 14);
  frame.set([isFirst ? 0x01 : 0x00, 0x80 | 127]);
  new DataView(frame.buffer).setBigUint64(2, BigInt(length));
  return frame;
}
