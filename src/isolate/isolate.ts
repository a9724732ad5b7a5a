/** One isolate as the server sees it. */
import { errorMessage } from "../errors.ts";
import { decodeFrame, encodeFrame } from "./frames.ts";
import { parseFromIsolate } from "./parse_message.ts";
import type { DeploymentManifest, FromExecutor, FromIsolate, ToIsolate } from "./protocol.ts";

export interface Death extends Pick<FromExecutor & { type: "died" }, "reason" | "detail"> {
  /** What it was running: null for nothing, undefined when nobody can say any more. */
  readonly callId: number | null | undefined;
}

export interface IsolateListener {
  /** What the isolate says, checked in shape only. `ready` comes once and first. */
  message(message: FromIsolate, body: Uint8Array): void;
  /** It is gone; once, and the last call. */
  died(death: Death): void;
}

/** The way to an isolate's executor. */
export interface IsolateLink {
  send(frame: Uint8Array<ArrayBuffer>): void;
  /** Ends the isolate; its death is reported later. */
  terminate(isolate: number): void;
}

export class Isolate {
  readonly number: number;
  readonly #link: IsolateLink;
  readonly #listener: IsolateListener;
  readonly #loaded = new Set<string>();
  #dead = false;

  constructor(number: number, link: IsolateLink, listener: IsolateListener) {
    this.number = number;
    this.#link = link;
    this.#listener = listener;
  }

  send(message: ToIsolate, body?: Uint8Array | string): void {
    if (!this.#dead) this.#link.send(encodeFrame(this.number, message, body));
  }

  /** Sends a deployment unless the isolate has it. */
  load(deployment: DeploymentManifest): void {
    if (this.#loaded.has(deployment.id)) return;
    this.#loaded.add(deployment.id);
    this.send({ type: "load", deployment });
  }

  unload(deployment: string): void {
    if (this.#loaded.delete(deployment)) this.send({ type: "unload", deployment });
  }

  terminate(): void {
    if (!this.#dead) this.#link.terminate(this.number);
  }

  /** Called by the executor with each frame of this isolate. */
  receive(frame: Uint8Array): void {
    if (this.#dead) return;
    let message: FromIsolate;
    let body: Uint8Array;
    try {
      const decoded = decodeFrame(frame);
      message = parseFromIsolate(decoded.header);
      body = decoded.body;
    } catch (error) {
      this.#link.terminate(this.number);
      return this.end({ reason: "exit", callId: undefined, detail: errorMessage(error) });
    }
    this.#listener.message(message, body);
  }

  /** Called by the executor when the isolate is gone. */
  end(death: Death): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#listener.died(death);
  }
}
