/** A sync server over the function harness, with sockets that a test holds in its hands. */
import assert from "node:assert/strict";
import { RequestError } from "../../src/errors.ts";
import type { Caller } from "../../src/functions/functions.ts";
import type { SyncConnection, SyncOptions } from "../../src/sync/connection.ts";
import type { SyncSocket } from "../../src/sync/outbox.ts";
import type { Credential } from "../../src/sync/protocol.ts";
import { SyncServer } from "../../src/sync/sync_server.ts";
import type { FakeFunction } from "./fake_backend.ts";
import { settle } from "./fake_environment.ts";
import { type HarnessOptions, startFunctions, user } from "./function_harness.ts";

// deno-lint-ignore no-explicit-any -- messages are looked at by tests in every way
type Message = any;

/** A client's end of a socket. */
export class TestSocket implements SyncSocket {
  bufferedAmount = 0;
  /** While set, nothing that is sent leaves the buffer. */
  isStalled = false;
  readonly texts: string[] = [];
  closed: { code?: number; reason?: string } | undefined;
  #connection: SyncConnection | undefined;
  #querySet = 0;
  #identity = 0;
  #read = 0;

  attach(connection: SyncConnection): void {
    this.#connection = connection;
  }

  // The server's side

  send(text: string): void {
    assert.equal(this.closed, undefined, "sent after the close");
    this.texts.push(text);
    if (this.isStalled) this.bufferedAmount += text.length;
  }

  close(code?: number, reason?: string): void {
    this.closed = {
      ...(code === undefined ? {} : { code }),
      ...(reason === undefined ? {} : { reason }),
    };
    this.#connection?.disconnected();
  }

  // The client's side

  get messages(): Message[] {
    return this.texts.map((text) => JSON.parse(text));
  }

  /** Messages that have come since the last call. */
  async news(): Promise<Message[]> {
    await settle();
    const news = this.messages.slice(this.#read);
    this.#read += news.length;
    return news;
  }

  /** Modifications of all transitions among the news. */
  async modifications(): Promise<Message[]> {
    const news = await this.news();
    return news.flatMap((message) => message.type === "Transition" ? message.modifications : []);
  }

  sendText(text: unknown): void {
    this.#connection!.receive(text);
  }

  sendMessage(message: Record<string, unknown>): void {
    this.sendText(JSON.stringify(message));
  }

  connect(fields: Record<string, unknown> = {}): void {
    this.sendMessage({
      type: "Connect",
      sessionId: "6b3d3a4e-64dc-4f6b-9f0f-0a4a9f9f3d11",
      connectionCount: 0,
      lastCloseReason: "InitialConnect",
      ...fields,
    });
  }

  modify(...modifications: Record<string, unknown>[]): void {
    const baseVersion = this.#querySet++;
    this.sendMessage({
      type: "ModifyQuerySet",
      baseVersion,
      newVersion: this.#querySet,
      modifications,
    });
  }

  authenticate(fields: Record<string, unknown>): void {
    this.sendMessage({ type: "Authenticate", baseVersion: this.#identity++, ...fields });
  }

  call(type: "Mutation" | "Action", requestId: number, udfPath: string, args: unknown = {}): void {
    this.sendMessage({ type, requestId, udfPath, args: [args] });
  }

  disconnect(): void {
    this.#connection!.disconnected();
  }
}

export function add(queryId: number, udfPath: string, fields: Record<string, unknown> = {}) {
  return { type: "Add", queryId, udfPath, args: [{}], ...fields };
}

export function remove(queryId: number) {
  return { type: "Remove", queryId };
}

/** Tokens are names of users, the admin key is "key". */
export function verify(credential: Credential): Caller {
  if (credential.tokenType === "None") return { kind: "anonymous" };
  if (credential.value === "unreachable") throw new RequestError("overloaded", "Provider", "gone");
  if (credential.value === "bad") throw new RequestError("unauthenticated", "Bad", "bad token");
  return credential.tokenType === "Admin"
    ? { kind: "admin", impersonating: credential.impersonating }
    : user(credential.value.split("@")[0]!, Number(credential.value.split("@")[1] ?? 2e9));
}

export function startSync(
  functions: Readonly<Record<string, FakeFunction>>,
  options: HarnessOptions & Partial<Pick<SyncOptions, "redact" | "verify">> = {},
) {
  const harness = startFunctions(functions, options);
  const { environment, config, runner } = harness;
  const server = new SyncServer({
    functions: runner,
    verify: options.verify ?? verify,
    environment,
    config,
    redact: options.redact ?? false,
  });
  const open = ({ chunks = true } = {}): TestSocket => {
    const socket = new TestSocket();
    socket.attach(server.open(socket, { chunks, client: "a" }));
    return socket;
  };
  return { ...harness, server, open };
}
