/**
 * The limits of this machine, as a server without any of Hull: `Deno.serve` and one SQLite database, answering the
 * same questions with hard-coded statements. Every write is on disk before it is answered; `/group` shares one sync
 * among all requests that wait, which is the best a durable server can do.
 *
 *     deno run -A raw_server.ts DATABASE      prints its address
 */
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers";

const database = new DatabaseSync(Deno.args[0]!);
database.exec(`
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, channel TEXT, json TEXT);
  CREATE INDEX IF NOT EXISTS by_channel ON messages (channel, id);
`);
const insert = database.prepare("INSERT INTO messages (channel, json) VALUES (?, ?)");
const get = database.prepare("SELECT json FROM messages WHERE id = ?");
const list = database.prepare(
  "SELECT json FROM messages WHERE channel = ? ORDER BY id DESC LIMIT 50",
);

if (get.get(1) === undefined) fill();

function fill(): void {
  database.exec("BEGIN");
  for (let n = 0; n < 10_000; n++) {
    const message = { channel: `c${n % 100}`, author: `user${n % 50}`, body: "x".repeat(100) };
    insert.run(message.channel, JSON.stringify(message));
  }
  database.exec("COMMIT");
}

const newest = (channel: string) =>
  `[${list.all(channel).map((row) => row.json as string).join(",")}]`;
const cached = newest("c1");
const json = { "content-type": "application/json" };
const sockets = new Set<WebSocket>();
let waiting: { body: string; resolve(): void }[] = [];

/** Writes all that wait in one transaction, after everything that is ready to be read has been read. */
function commitGroup(): void {
  const group = waiting;
  waiting = [];
  database.exec("BEGIN");
  for (const { body } of group) insert.run("new", body);
  database.exec("COMMIT");
  for (const { resolve } of group) resolve();
}

/** A process that sends back each line it gets: the least that it costs to run something in another process. */
const echo = new Deno.Command(Deno.execPath(), {
  args: ["eval", "for await (const chunk of Deno.stdin.readable) Deno.stdout.writeSync(chunk);"],
  stdin: "piped",
  stdout: "piped",
}).spawn();
const toEcho = echo.stdin.getWriter();
const echoed: (() => void)[] = [];

async function readEchoes(): Promise<void> {
  for await (const chunk of echo.stdout) {
    for (const byte of chunk) if (byte === newline) echoed.shift()?.();
  }
}
const newline = 10;
readEchoes();

const server = Deno.serve({
  hostname: "127.0.0.1",
  port: 0,
  onListen: ({ port }) => console.log(`http://127.0.0.1:${port}`),
}, async (request) => {
  const { pathname, searchParams } = new URL(request.url);
  switch (pathname) {
    case "/hello":
      return new Response("hello");
    case "/cached":
      return new Response(cached, { headers: json });
    case "/get":
      return new Response(get.get(Number(searchParams.get("id")))!.json as string, {
        headers: json,
      });
    case "/list":
      return new Response(newest(searchParams.get("channel")!), { headers: json });
    case "/insert":
      insert.run("new", await request.text());
      return new Response("1");
    case "/group": {
      const body = await request.text();
      await new Promise<void>((resolve) => {
        if (waiting.length === 0) setImmediate(commitGroup);
        waiting.push({ body, resolve });
      });
      return new Response("1");
    }
    case "/echo":
      await new Promise<void>((resolve) => {
        echoed.push(resolve);
        toEcho.write(Uint8Array.of(newline));
      });
      return new Response("1");
    case "/broadcast": {
      const body = await request.text();
      insert.run("new", body);
      for (const socket of sockets) socket.send(body);
      return new Response("1");
    }
    case "/socket": {
      const { socket, response } = Deno.upgradeWebSocket(request);
      socket.onopen = () => sockets.add(socket);
      socket.onclose = () => sockets.delete(socket);
      return response;
    }
    default:
      return new Response(null, { status: 404 });
  }
});
Deno.addSignalListener("SIGTERM", () => {
  echo.kill();
  server.shutdown().then(() => Deno.exit(0));
});
