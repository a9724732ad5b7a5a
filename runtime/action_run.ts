/** One action or HTTP action: real time, the network, and the server for everything else (function-abi 2.4, 2.5). */
import { displayName, type FunctionPath } from "../src/isolate/function_address.ts";
import type { FunctionCall, HostOperation } from "../src/isolate/protocol.ts";
import type { TableNames } from "../src/values/validator.ts";
import { encodeValue, parseValue, type Value } from "../src/values/value.ts";
import { ActionSyscalls } from "./action_syscalls.ts";
import { encodeResult, validateArguments } from "./call_values.ts";
import { actionCtx } from "./ctx/action_ctx.ts";
import type { ActionHost } from "./ctx/action_host.ts";
import type { ComponentCode, DeploymentCode } from "./deployment_code.ts";
import { Execution } from "./execution.ts";
import { HostFailure } from "./failure.ts";
import { HostOperations, type OperationRequest } from "./host_operations.ts";
import { type FinishedResponse, HttpExchange } from "./http_exchange.ts";
import type { Log } from "./log.ts";
import { ModuleInstances } from "./module_instances.ts";
import type { Exports } from "./module_loader.ts";
import {
  findFunction,
  handlerOf,
  type RegisteredFunction,
  visibilityOf,
} from "./registered_function.ts";
import { settleAction } from "./settle.ts";
import { StoredBlobs } from "./stored_blobs.ts";

export interface ActionOptions {
  readonly call: FunctionCall;
  readonly deployment: DeploymentCode;
  readonly log: Log;
  readonly send: (request: OperationRequest) => void;
  /** Which tables exist now. */
  readonly tables: () => TableNames;
}

/** The router of `http.js`, as far as it is used. */
interface Router {
  readonly isRouter?: unknown;
  lookup(path: string, method: string): readonly [unknown, string, string] | null;
  runRequest(request: string, routedPath: string): Promise<string>;
}

export class ActionRun implements ActionHost {
  readonly call: FunctionCall;
  readonly component: ComponentCode;
  readonly execution: Execution;
  readonly operations: HostOperations;
  readonly blobs = new StoredBlobs((operation, fields, body) =>
    this.operations.perform(operation, fields, body)
  );
  readonly name: string;
  visibility: "public" | "internal" | null = null;
  readonly #options: ActionOptions;
  readonly #path: FunctionPath;
  readonly #instances: ModuleInstances;
  /** Of an HTTP action. */
  #exchange: HttpExchange | null = null;

  constructor(options: ActionOptions) {
    const { call, deployment, log, send } = options;
    const { importSeed, importTimeMs } = deployment.manifest;
    this.component = deployment.component(call.component);
    const { loader, environment } = this.component;
    const { kind, nowMs, clockOffsetMs = 0, seed } = call;
    this.call = call;
    this.#options = options;
    this.#path = { module: call.module, export: call.export };
    this.name = displayName(this.#path);
    this.execution = new Execution({
      ...{ kind, nowMs, clockOffsetMs, seed, importSeed, importTimeMs, ...environment, log },
    });
    this.#instances = new ModuleInstances(loader, true);
    this.operations = new HostOperations(send, () => this.#instances.convexError);
  }

  /** Runs an action and resolves with the canonical JSON of its result. @throws what it fails with. */
  async run(args: Value[]): Promise<string> {
    const found = findFunction(this.#import(), this.#path, "action");
    this.visibility = visibilityOf(found);
    const { tables } = this.#options;
    const { loader } = this.component;
    validateArguments(loader.validator(this.call.args), args, tables);
    this.execution.beginRun(new ActionSyscalls(this, null));
    const result = await this.#settle(this.#invoke(found, args));
    const validator = loader.validator(this.call.returns);
    const { convexError } = this.#instances;
    return encodeResult(result, { path: this.#path, validator, tables, convexError }).json;
  }

  /**
   * Routes a request and resolves with the response, at its end if it is sent while it is produced.
   * @throws what its action fails with.
   */
  async runHttp(exchange: HttpExchange): Promise<FinishedResponse> {
    const router = findRouter(this.#import());
    this.#exchange = exchange;
    this.execution.beginRun(new ActionSyscalls(this, exchange));
    const path = this.call.request?.routedPath ?? exchange.pathname;
    const route = router.lookup(path, exchange.method);
    if (route === null) return notFound("No matching routes found");
    const handled = async () => {
      await router.runRequest(exchange.requestText(), route[2]);
      return await exchange.finish();
    };
    return await this.#settle(handled()) as FinishedResponse;
  }

  #import(): Exports {
    return this.#instances.import(this.#path.module);
  }

  /** The handler is called at once; whatever it does is in the promise. */
  async #invoke(found: RegisteredFunction, args: Value[]): Promise<unknown> {
    const handler = handlerOf(found);
    if (handler !== null) return await handler(actionCtx(this), ...args);
    return parseValue(await found.invokeAction!("", encodeValue(args).json));
  }

  async #settle(promise: Promise<unknown>): Promise<unknown> {
    const { execution, operations } = this;
    let abandoned: readonly HostOperation[] = [];
    const ended = promise.finally(() => abandoned = operations.pending);
    const isBusy = () =>
      execution.usedNetwork || execution.pendingOperations > 0 || operations.pending.length > 0 ||
      this.#exchange?.awaitsClient === true;
    const value = await settleAction(ended, execution, isBusy);
    if (abandoned.length > 0) warnOfAbandoned(abandoned, execution.log);
    return value;
  }
}

function warnOfAbandoned(operations: readonly HostOperation[], log: Log): void {
  const count = `${operations.length} unawaited operation${operations.length === 1 ? "" : "s"}`;
  log.add("WARN", [
    `${count}: [${
      operations.join(", ")
    }]. Async operations should be awaited or they might not run. ` +
    "See https://docs.convex.dev/functions/actions#dangling-promises for more information.",
  ]);
}

function findRouter(exports: Exports): Router {
  const router = exports.default as Router | undefined;
  if (router === undefined) {
    throw new HostFailure('Couldn\'t find default export in module "http.js".');
  }
  if (router.isRouter !== true) {
    throw new HostFailure("The default export of `convex/http.js` is not a Router.");
  }
  return router;
}

function notFound(text: string): FinishedResponse {
  return {
    status: 404,
    headers: [["content-type", "text/plain;charset=UTF-8"]],
    body: new TextEncoder().encode(text),
  };
}
