/** One running Node action: what it may ask of the server, and what it printed. */
import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import type {
  FromIsolate,
  FunctionCall,
  HostOperation,
  ToIsolate,
} from "../../src/isolate/protocol.ts";
import { parseValue } from "../../src/values/value.ts";
import { checkArguments, checkReturns, parseValidator } from "../../src/values/validator.ts";
import { describeFailure, HostFailure } from "../failure.ts";
import { Log } from "../log.ts";
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

export class Action {
  readonly call: FunctionCall;
  /** Names this execution in the library's requests (function-abi 20). */
  readonly requestId = randomUUID();
  readonly log = new Log(() => this.#flushLater());
  /** Modules may ask for nothing while they are being imported. */
  importing = true;
  readonly #callId: number;
  readonly #send: Send;
  readonly #pending = new Map<number, PendingOperation>();
  #nextOperationId = 1;
  #logLength = 0;
  #flushing = false;

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
      value = await running.run(this, () => this.#invoke(modules, new TextDecoder().decode(body)));
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
    };
    this.#send({ type: "result", callId: this.#callId, outcome, logLines: [], usage }, value);
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

  async #invoke(modules: UserModules, args: string): Promise<string> {
    const { call } = this;
    const action = await this.#find(modules);
    const { noTables } = validation;
    const problem = call.args &&
      checkArguments(validation.parse(call.args), parseArguments(args), noTables);
    if (problem) throw new HostFailure(problem);
    const value = await action.invokeAction(this.requestId, args);
    const wrong = call.returns &&
      checkReturns(validation.parse(call.returns), parseValue(value), noTables);
    if (wrong) throw new HostFailure(wrong);
    return value;
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

function parseArguments(args: string) {
  const values = parseValue(args);
  return Array.isArray(values) ? values : [values];
}

/**
 * Validators without tables. Which table an id belongs to is known to the database alone, so here every string
 * passes for an id; the function that the id is handed on to checks it.
 */
const validation = {
  noTables: () => undefined,
  parse: (json: string) =>
    parseValidator(
      JSON.parse(json, (_, value) => value?.type === "id" ? { type: "string" } : value),
    ),
};
