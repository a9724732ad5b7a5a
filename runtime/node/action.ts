/** One running Node action: what it may ask of the server, and what it printed. */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type {
  FromIsolate,
  FunctionCall,
  HostOperation,
  ToIsolate,
} from "../../src/isolate/protocol.ts";
import { parseValidator, type TableNames, type Validator } from "../../src/values/validator.ts";
import { parseValue } from "../../src/values/value.ts";
import { encodeResult, parseArguments, validateArguments } from "../call_values.ts";
import { describeFailure, HostFailure } from "../failure.ts";
import { heapBytes } from "../heap_watch.ts";
import { Log } from "../log.ts";
import { StoredBlobs } from "../stored_blobs.ts";
import type { UserModules } from "./user_modules.ts";

export type Send = (message: FromIsolate, body?: Uint8Array | string) => void;
type OperationResult = ToIsolate & { type: "operationResult" };

export interface OperationAnswer {
  readonly body: Uint8Array;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A registered action, as the function library makes it (function-abi 2.1). */
interface RegisteredAction {
  invokeAction(requestId: string, args: string): Promise<string>;
}

const running = new AsyncLocalStorage<Action>();
/** Actions that have not ended, by request id. */
const unfinished = new Map<string, Action>();
const operationsMax = 1000;
/** Characters of all lines together, in one action. */
const logLengthMax = 1_048_576;

/** The action whose code is asking; undefined while modules are imported for analysis. */
export function currentAction(): Action | undefined {
  return running.getStore();
}

export function unfinishedAction(requestId: string): Action | undefined {
  return unfinished.get(requestId);
}

/** Those whose code may be running. */
export function unfinishedActions(): readonly Action[] {
  return [...unfinished.values()];
}

export class Action {
  readonly call: FunctionCall;
  /** Names this execution in the library's requests (function-abi 20). */
  readonly requestId = randomUUID();
  readonly log = new Log(() => this.#flushLater());
  readonly blobs = new StoredBlobs((operation, fields, body) =>
    this.perform(operation, operation, fields, body)
  );
  /** Modules may ask for nothing while they are being imported. */
  importing = true;
  readonly #callId: number;
  readonly #send: Send;
  readonly #pending = new Map<number, PendingOperation>();
  #nextOperationId = 1;
  #logLength = 0;
  #flushing = false;
  /** Settles the action before its handler does. */
  #giveUp: (reason: unknown) => void = () => {};

  constructor(callId: number, call: FunctionCall, send: Send) {
    this.#callId = callId;
    this.call = call;
    this.#send = send;
  }

  /** Runs to the end and sends the result. Never rejects. */
  async run(modules: UserModules, body: Uint8Array): Promise<void> {
    const startedAt = performance.now();
    unfinished.set(this.requestId, this);
    let value = "";
    let outcome: (FromIsolate & { type: "result" })["outcome"] = { kind: "success" };
    try {
      const failed = new Promise<never>((_, reject) => this.#giveUp = reject);
      const invoked = running.run(
        this,
        () => this.#invoke(modules, new TextDecoder().decode(body)),
      );
      value = await Promise.race([invoked, failed]);
    } catch (error) {
      outcome = { kind: "failure", failure: describeFailure(error) };
    }
    unfinished.delete(this.requestId);
    this.#warnOfPending();
    this.#flush();
    const usage = {
      documentsRead: 0,
      bytesRead: 0,
      documentsWritten: 0,
      bytesWritten: 0,
      durationMs: performance.now() - startedAt,
      heapBytes: heapBytes(),
    };
    this.#send({ type: "result", callId: this.#callId, outcome, logLines: [], usage }, value);
  }

  /** Ends it with what nobody caught; too late, if it has ended already. */
  fail(reason: unknown): void {
    if (unfinished.has(this.requestId)) this.#giveUp(reason);
  }

  /** Asks the server. `name` is what the operation is called in warnings. */
  perform(
    name: string,
    operation: HostOperation,
    fields: Readonly<Record<string, unknown>>,
    body: Uint8Array | string = "",
  ): Promise<OperationAnswer> {
    if (this.#pending.size >= operationsMax) {
      return Promise.reject(
        new Error(
          "Too many concurrent operations. See https://docs.convex.dev/functions/actions#limits for more information.",
        ),
      );
    }
    const operationId = this.#nextOperationId++;
    return new Promise((resolve, reject) => {
      this.#pending.set(operationId, { name, resolve, reject });
      this.#send(
        { type: "operation", callId: this.#callId, operationId, operation, fields },
        body,
      );
    });
  }

  answer({ operationId, failure, fields = {} }: OperationResult, body: Uint8Array): void {
    const pending = this.#pending.get(operationId);
    if (pending === undefined) return;
    this.#pending.delete(operationId);
    if (failure === undefined) return pending.resolve({ body, fields });
    const { message, data } = failure;
    // The library makes errors of its own from these two (function-abi 1.3).
    const decoded = data === undefined ? {} : { data: JSON.parse(data) };
    pending.reject(Object.assign(new Error(message), decoded));
  }

  /** One call of `console`. */
  print(level: "DEBUG" | "ERROR" | "INFO" | "LOG" | "WARN", message: string): void {
    const before = this.#logLength;
    this.#logLength += message.length;
    if (before > logLengthMax) return;
    if (this.#logLength > logLengthMax) {
      this.log.add("ERROR", [
        "Log overflow (maximum 1M characters). Remaining log lines omitted.",
      ]);
    } else {
      this.log.add(level, [message]);
    }
  }

  async #invoke(modules: UserModules, json: string): Promise<string> {
    const { call } = this;
    const path = { module: call.module, export: call.export };
    const action = await this.#find(modules);
    const { args } = parseArguments(json, path);
    const expected = parseExpectation(call.args);
    const tables = await this.#tablesFor(expected);
    validateArguments(expected?.validator ?? null, args, () => tables);
    const value = parseValue(await action.invokeAction(this.requestId, json));
    const returned = parseExpectation(call.returns);
    const tablesNow = await this.#tablesFor(returned);
    return encodeResult(value, {
      path,
      validator: returned?.validator ?? null,
      tables: () => tablesNow,
      convexError: null,
    }).json;
  }

  /** The tables that there are now, if ids are to be checked; only the server knows. */
  async #tablesFor(expected: Expectation | null): Promise<TableNames> {
    if (expected?.namesTables !== true) return () => undefined;
    const { body } = await this.perform("tableNames", "tableNames", {});
    const names = new Map<number, string>(JSON.parse(new TextDecoder().decode(body)));
    return (tableNumber) => names.get(tableNumber);
  }

  async #find(modules: UserModules): Promise<RegisteredAction> {
    const { module, export: name } = this.call;
    const exports = await modules.import(module);
    this.importing = false;
    if (!Object.hasOwn(exports, name)) {
      throw new HostFailure(`Couldn't find action \`${name}\` in \`${module}\``);
    }
    const found = exports[name] as RegisteredAction & { isAction?: unknown };
    if (found?.isAction !== true || typeof found.invokeAction !== "function") {
      throw new HostFailure(`\`${name}\` wasn't registered as a Convex action in \`${module}\``);
    }
    return found;
  }

  #warnOfPending(): void {
    for (const { name } of this.#pending.values()) {
      this.log.add("WARN", [
        `You have an outstanding ${name} call. Operations should be awaited or they might not run. ` +
        "Not awaiting promises might result in unexpected failures. See " +
        "https://docs.convex.dev/functions/actions#dangling-promises for more information.",
      ]);
    }
    this.#pending.clear();
  }

  #flushLater(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const logLines = this.log.take();
    if (logLines.length > 0) this.#send({ type: "log", callId: this.#callId, logLines });
  }
}

interface PendingOperation {
  readonly name: string;
  resolve(answer: OperationAnswer): void;
  reject(error: Error): void;
}

interface Expectation {
  readonly validator: Validator;
  /** Whether it says of which table an id must be. */
  readonly namesTables: boolean;
}

function parseExpectation(json: string | null): Expectation | null {
  if (json === null) return null;
  return { validator: parseValidator(JSON.parse(json)), namesTables: json.includes('"id"') };
}
