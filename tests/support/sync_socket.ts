/** The WebSocket protocol by hand: sends what it is told to, and keeps what the server says. */
import WebSocket from "ws";
import { within } from "./waiting.ts";

export interface ServerMessage {
  readonly type: string;
  // deno-lint-ignore no-explicit-any -- tests look into messages of every shape
  readonly [field: string]: any;
}

export interface CloseEvent {
  readonly code: number;
  readonly reason: string;
}

export class SyncSocket {
  readonly messages: ServerMessage[] = [];
  /** Resolves when the connection has ended. */
  readonly closed: Promise<CloseEvent>;
  readonly #socket: WebSocket;
  readonly #listeners = new Set<() => void>();
  /** What no test has asked for yet, oldest first. */
  readonly #unseen: ServerMessage[] = [];
  #querySet = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data, isBinary) => {
      if (isBinary) throw new Error("sync-protocol 10: the server sent a binary message");
      const message: ServerMessage = JSON.parse(String(data));
      this.messages.push(message);
      this.#unseen.push(message);
      for (const listener of [...this.#listeners]) listener();
    });
    socket.on("error", () => {}); // The close event follows and is what tests look at.
    this.closed = new Promise((resolve) => {
      socket.on("close", (code, reason) => {
        resolve({ code, reason: String(reason) });
        for (const listener of [...this.#listeners]) listener();
      });
    });
  }

  static async open(url: string, path = "/api/1.48.0/sync"): Promise<SyncSocket> {
    const socket = new WebSocket(url.replace(/^http/, "ws") + path);
    const result = new SyncSocket(socket);
    await within(
      new Promise<void>((resolve, reject) => {
        socket.once("open", () => resolve());
        socket.once("error", reject);
      }),
      10_000,
      "the WebSocket to open",
    );
    return result;
  }

  send(message: Record<string, unknown>): void {
    this.sendText(JSON.stringify(message));
  }

  sendText(text: string): void {
    this.#socket.send(text);
  }

  sendBinary(bytes: Uint8Array): void {
    this.#socket.send(bytes);
  }

  connect(sessionId: string = crypto.randomUUID()): void {
    this.send({
      type: "Connect",
      sessionId,
      connectionCount: 0,
      lastCloseReason: "InitialConnect",
    });
  }

  /** Changes the query set by one version. */
  modifyQuerySet(modifications: readonly Record<string, unknown>[]): void {
    this.send({
      type: "ModifyQuerySet",
      baseVersion: this.#querySet,
      newVersion: ++this.#querySet,
      modifications,
    });
  }

  addQuery(queryId: number, udfPath: string, args: Record<string, unknown> = {}): void {
    this.modifyQuerySet([{ type: "Add", queryId, udfPath, args: [args] }]);
  }

  mutation(requestId: number, udfPath: string, args: Record<string, unknown> = {}): void {
    this.send({ type: "Mutation", requestId, udfPath, args: [args] });
  }

  action(requestId: number, udfPath: string, args: Record<string, unknown> = {}): void {
    this.send({ type: "Action", requestId, udfPath, args: [args] });
  }

  /** The oldest message not returned yet that satisfies `condition`; the others stay for later. */
  async next(
    condition: (message: ServerMessage) => boolean,
    what: string,
  ): Promise<ServerMessage> {
    let found: ServerMessage | undefined;
    const isDone = () => {
      const index = this.#unseen.findIndex(condition);
      if (index >= 0) [found] = this.#unseen.splice(index, 1);
      return found !== undefined || this.#socket.readyState === WebSocket.CLOSED;
    };
    await within(
      new Promise<void>((resolve) => {
        const check = () => {
          if (!isDone()) return;
          this.#listeners.delete(check);
          resolve();
        };
        this.#listeners.add(check);
        check();
      }),
      20_000,
      what,
    );
    if (found === undefined) throw new Error(`the connection ended while waiting for ${what}`);
    return found;
  }

  response(requestId: number): Promise<ServerMessage> {
    return this.next(
      (message) =>
        /^(Mutation|Action)Response$/.test(message.type) && message.requestId === requestId,
      `the response to request ${requestId}`,
    );
  }

  transition(what = "a transition"): Promise<ServerMessage> {
    return this.next((message) => message.type === "Transition", what);
  }

  /** Ends the connection without a close handshake, as a dead network does. */
  terminate(): void {
    this.#socket.terminate();
  }

  async close(): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }
}
