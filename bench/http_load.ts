/**
 * A cheap closed-loop HTTP/1.1 generator on raw sockets: keep-alive, one request in flight per connection, no
 * pipelining. It reads the status and the length, and looks into the first answer of each connection only.
 */
import { Latencies, sleep } from "./statistics.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: string;
}

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly durationMs: number;
  /** Whom the n-th connection calls for, as a proxy would: requests of one address share its limits. */
  readonly address?: (n: number) => string;
  /** At most so many, evenly; otherwise as fast as the answers come. */
  readonly perSecond?: number;
  /** The n-th request of the run. */
  request(n: number): HttpRequest;
  /** Throws if an answer is wrong. */
  check?(body: string): void;
}

export interface LoadResult {
  readonly perSecond: number;
  readonly latencies: Latencies;
}

const warmUpMs = 300;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sends requests, each when its connection has its last answer. Throws on the first answer that is not 2xx. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  let n = 0;
  let latencies = new Latencies();
  let isRunning = true;
  const { connections, perSecond } = options;
  const client = async (_: unknown, index: number) => {
    const connection = await Connection.open(options.url, options.address?.(index));
    const beganMs = performance.now();
    try {
      for (let isFirst = true, turn = 0; isRunning; isFirst = false, turn++) {
        if (perSecond !== undefined) {
          const dueMs = beganMs + (turn * connections + index) / perSecond * 1000;
          await sleep(Math.max(0, dueMs - performance.now()));
        }
        const request = connection.encode(options.request(n++));
        const start = performance.now();
        const body = await connection.call(request, isFirst);
        latencies.add(performance.now() - start);
        if (isFirst) options.check?.(body);
      }
    } finally {
      connection.close();
    }
  };
  const clients = Promise.all(Array.from({ length: connections }, client));
  clients.catch(() => {});
  await Promise.race([sleep(warmUpMs), clients]);
  latencies = new Latencies();
  const start = performance.now();
  await Promise.race([sleep(options.durationMs), clients]);
  const seconds = (performance.now() - start) / 1000;
  const measured = latencies;
  latencies = new Latencies();
  isRunning = false;
  await clients;
  return { perSecond: measured.count / seconds, latencies: measured };
}

/** One request on a connection of its own; returns the body. `address`: whom to call for, as a proxy would. */
export async function callOnce(
  url: string,
  request: HttpRequest,
  address?: string,
): Promise<string> {
  const connection = await Connection.open(url, address);
  try {
    return await connection.call(connection.encode(request), true);
  } finally {
    connection.close();
  }
}

class Connection {
  readonly #connection: Deno.Conn;
  readonly #headers: string;
  #buffer = new Uint8Array(64 * 1024);

  private constructor(connection: Deno.TcpConn, headers: string) {
    connection.setNoDelay(true);
    this.#connection = connection;
    this.#headers = headers;
  }

  static async open(url: string, address?: string): Promise<Connection> {
    const { hostname, port, host } = new URL(url);
    const forwarded = address === undefined ? "" : `X-Forwarded-For: ${address}\r\n`;
    const connection = await Deno.connect({ hostname, port: Number(port) });
    return new Connection(connection, `Host: ${host}\r\n${forwarded}`);
  }

  encode({ method, path, body }: HttpRequest): Uint8Array {
    const head = `${method} ${path} HTTP/1.1\r\n${this.#headers}`;
    if (body === undefined) return encoder.encode(`${head}\r\n`);
    const bytes = encoder.encode(body);
    const rest = `Content-Type: application/json\r\nContent-Length: ${bytes.length}\r\n\r\n`;
    const result = new Uint8Array(head.length + rest.length + bytes.length);
    encoder.encodeInto(head + rest, result);
    result.set(bytes, head.length + rest.length);
    return result;
  }

  /** The body as text if it is wanted, otherwise an empty text. */
  async call(request: Uint8Array, wantsBody: boolean): Promise<string> {
    for (let written = 0; written < request.length;) {
      written += await this.#connection.write(request.subarray(written));
    }
    let length = 0;
    let end = Infinity;
    let bodyStart = 0;
    let head = "";
    while (length < end) {
      if (length === this.#buffer.length) this.#grow();
      const count = await this.#connection.read(this.#buffer.subarray(length));
      if (count === null) throw new Error("the server closed the connection");
      length += count;
      if (bodyStart > 0) continue;
      bodyStart = endOfHead(this.#buffer, length);
      if (bodyStart === 0) continue;
      head = decoder.decode(this.#buffer.subarray(0, bodyStart));
      const match = /\r\ncontent-length: *(\d+)/i.exec(head);
      if (match === null) throw new Error(`an answer without Content-Length:\n${head}`);
      end = bodyStart + Number(match[1]);
    }
    const isGood = head.startsWith("HTTP/1.1 2");
    if (isGood && !wantsBody) return "";
    const body = decoder.decode(this.#buffer.subarray(bodyStart, end));
    if (!isGood) throw new Error(`${head.split("\r\n")[0]} ${body.slice(0, 300)}`);
    return body;
  }

  close(): void {
    this.#connection.close();
  }

  #grow(): void {
    const larger = new Uint8Array(this.#buffer.length * 4);
    larger.set(this.#buffer);
    this.#buffer = larger;
  }
}

/** Where the body begins, or 0 if the head is not complete yet. */
function endOfHead(bytes: Uint8Array, length: number): number {
  for (let n = 3; n < length; n++) {
    if (
      bytes[n] === 10 && bytes[n - 1] === 13 && bytes[n - 2] === 10 && bytes[n - 3] === 13
    ) return n + 1;
  }
  return 0;
}
