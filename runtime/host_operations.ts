/** What a running action asks of the server, and the answers (function-abi 13, 2.4). */
import type { FunctionFailure } from "../src/errors.ts";
import type { HostOperation } from "../src/isolate/protocol.ts";
import { parseValue } from "../src/values/value.ts";
import { makeUserError } from "./failure.ts";
import type { ConvexErrorClass } from "./failure.ts";

/** Operations that the server works on at a time for one action; others wait. */
const runningMax = 8;

type Fields = Readonly<Record<string, unknown>>;

export interface OperationAnswer {
  readonly fields: Fields;
  readonly body: Uint8Array;
}

export interface OperationRequest {
  readonly operationId: number;
  readonly operation: HostOperation;
  readonly fields: Fields;
  readonly body: string | Uint8Array;
}

interface Waiting {
  readonly request: OperationRequest;
  resolve(answer: OperationAnswer | FunctionFailure): void;
}

const decoder = new TextDecoder();

export class HostOperations {
  readonly #send: (request: OperationRequest) => void;
  readonly #convexError: () => ConvexErrorClass | null;
  readonly #running = new Map<number, Waiting>();
  readonly #queued: Waiting[] = [];
  #lastId = 0;

  /** `convexError`: the class that the action's code knows. */
  constructor(
    send: (request: OperationRequest) => void,
    convexError: () => ConvexErrorClass | null,
  ) {
    this.#send = send;
    this.#convexError = convexError;
  }

  /** Operations whose answers nobody has yet. */
  get pending(): HostOperation[] {
    return [...this.#running.values(), ...this.#queued].map(({ request }) => request.operation);
  }

  /** @throws what the server refuses, as an error that user code may catch. */
  async perform(
    operation: HostOperation,
    fields: Fields,
    body: string | Uint8Array = "",
  ): Promise<OperationAnswer> {
    const answer = await new Promise<OperationAnswer | FunctionFailure>((resolve) => {
      const request = { operationId: ++this.#lastId, operation, fields, body };
      this.#queued.push({ request, resolve });
      this.#sendQueued();
    });
    if (!("message" in answer)) return answer;
    // Made here, where the stack leads to who waits for the answer.
    const data = answer.data === undefined ? undefined : parseValue(answer.data);
    throw makeUserError(answer.message, data, this.#convexError());
  }

  /** The same for operations that answer with JSON text. */
  async performJson(
    operation: HostOperation,
    fields: Fields,
    body?: string | Uint8Array,
  ): Promise<string> {
    const answer = await this.perform(operation, fields, body);
    return decoder.decode(answer.body);
  }

  /** Called with each answer that arrives for the action. */
  receive(operationId: number, answer: OperationAnswer, failure?: FunctionFailure): void {
    const waiting = this.#running.get(operationId);
    if (waiting === undefined) return;
    this.#running.delete(operationId);
    this.#sendQueued();
    waiting.resolve(failure ?? answer);
  }

  #sendQueued(): void {
    while (this.#running.size < runningMax) {
      const next = this.#queued.shift();
      if (next === undefined) return;
      this.#running.set(next.request.operationId, next);
      this.#send(next.request);
    }
  }
}
