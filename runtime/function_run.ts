/**
 * One query or mutation inside a transaction: the one that was called, or one that it calls with
 * `ctx.runQuery` and `ctx.runMutation`. All of them work on the same transaction, one at a time; each has
 * instances of its modules, an execution and a journal of its own (function-abi 11).
 */
import { QueryJournal, Transaction } from "../src/database/transaction.ts";
import type { FunctionFailure } from "../src/errors.ts";
import { debugName, displayName, type FunctionTarget } from "../src/isolate/function_address.ts";
import type { FunctionCall } from "../src/isolate/protocol.ts";
import { encodeValue, parseValue, type Value } from "../src/values/value.ts";
import { encodeResult, validateArguments } from "./call_values.ts";
import { Query, QueryInitializer } from "./ctx/query.ts";
import { mutationCtx, queryCtx } from "./ctx/transaction_ctx.ts";
import type { NestedCall, TransactionHost } from "./ctx/transaction_host.ts";
import type { ComponentCode, DeploymentCode } from "./deployment_code.ts";
import { Execution, type ExecutionOptions } from "./execution.ts";
import {
  describeFailure,
  makeUserError,
  renderFailure,
  SystemFailure,
  toUserError,
} from "./failure.ts";
import type { IsolateServices } from "./isolate_services.ts";
import { ModuleInstances } from "./module_instances.ts";
import {
  exportedValidator,
  findFunction,
  handlerOf,
  type RegisteredFunction,
  visibilityOf,
} from "./registered_function.ts";
import { settle, turn } from "./settle.ts";
import { type TransactionBudgets, transactionLimits } from "./transaction_budgets.ts";
import { TransactionSyscalls } from "./transaction_syscalls.ts";
import { TurnQueue } from "./turn_queue.ts";

const depthMax = 8;

/** What all functions in one transaction have in common. */
export interface TransactionScope {
  readonly services: IsolateServices;
  readonly deployment: DeploymentCode;
  readonly call: FunctionCall;
  readonly budgets: TransactionBudgets;
}

export interface RunOptions {
  readonly kind: "query" | "mutation";
  readonly target: FunctionTarget;
  /** As the function's component sees it. */
  readonly transaction: Transaction;
  readonly execution: ExecutionOptions;
  /** Journal of an earlier run that this one must repeat. */
  readonly journal: string | null;
  /** Calls around this one. */
  readonly depth: number;
}

/** Validator JSON texts; undefined: as the function itself says. */
export interface Validators {
  readonly args: string | null;
  readonly returns: string | null;
}

export class FunctionRun implements TransactionHost {
  readonly kind: "query" | "mutation";
  readonly execution: Execution;
  readonly journal: QueryJournal;
  readonly name: string;
  readonly component: ComponentCode;
  visibility: "public" | "internal" | null = null;
  /** Size of what it returned. */
  resultBytes = 0;
  readonly instances: ModuleInstances;
  readonly #scope: TransactionScope;
  readonly #options: RunOptions;
  readonly #transaction: Transaction;
  /** Nested calls, and what was asked for after them. */
  readonly #queue = new TurnQueue();

  constructor(scope: TransactionScope, options: RunOptions) {
    this.kind = options.kind;
    this.execution = new Execution(options.execution);
    this.journal = new QueryJournal(options.journal);
    this.name = displayName(options.target.path);
    this.component = scope.deployment.component(options.target.component);
    this.instances = new ModuleInstances(this.component.loader, false);
    this.#scope = scope;
    this.#options = options;
    this.#transaction = options.transaction;
  }

  get call(): FunctionCall {
    return this.#scope.call;
  }

  get deployment(): DeploymentCode {
    return this.#scope.deployment;
  }

  /**
   * Imports the module, runs the function and resolves with the canonical JSON of its result.
   * @throws what it fails with; see `describeFailure`.
   */
  async run(args: Value[], validators?: Validators): Promise<string> {
    const { target } = this.#options;
    const { path } = target;
    const exports = this.instances.import(path.module);
    if (target.mustBePublic && visibilityOf(Object(exports[path.export])) !== "public") {
      throw this.deployment.notExported(target);
    }
    const found = findFunction(exports, path, this.kind);
    this.visibility = visibilityOf(found);
    const { args: argsValidator, returns } = validators ?? {
      args: exportedValidator(found, "exportArgs"),
      returns: exportedValidator(found, "exportReturns"),
    };
    const { loader } = this.component;
    const tables = () => this.#transaction.tableName;
    validateArguments(loader.validator(argsValidator), args, tables);
    this.execution.beginRun(new TransactionSyscalls(this));
    const result = await settle(this.#invoke(found, args), this.execution, this.#queue);
    const { convexError } = this.instances;
    const { json, bytes } = encodeResult(result, {
      path,
      validator: loader.validator(returns),
      tables,
      convexError,
      mayBeUnresolved: this.kind === "mutation" || this.#options.depth > 0,
    });
    this.resultBytes = bytes;
    return json;
  }

  /** The handler is called at once; whatever it does is in the promise. */
  async #invoke(found: RegisteredFunction, args: Value[]): Promise<unknown> {
    const handler = handlerOf(found);
    if (handler === null) return await this.#invokeWrapper(found, args);
    const ctx = this.kind === "query" ? queryCtx(this) : mutationCtx(this);
    const result = await handler(ctx, ...args);
    if (result instanceof Query || result instanceof QueryInitializer) {
      throw new Error(
        "Return value is a Query. Results must be retrieved with `.collect()`, `.take(n), `.unique()`, or `.first()`.",
      );
    }
    return result;
  }

  /** The function library makes its own `ctx` of the syscalls. */
  async #invokeWrapper(found: RegisteredFunction, args: Value[]): Promise<Value> {
    const text = encodeValue(args).json;
    const result = this.kind === "query"
      ? await found.invokeQuery!(text)
      : await found.invokeMutation!(text);
    return parseValue(result, { inMutation: true });
  }

  perform<T>(action: (transaction: Transaction) => T): T {
    const { heartbeat } = this.#scope.services;
    heartbeat.pauseUser();
    try {
      return action(this.#transaction);
    } catch (error) {
      throw this.#toUserError(error);
    } finally {
      heartbeat.resumeUser();
    }
  }

  async operation<T>(action: (transaction: Transaction) => T): Promise<T> {
    if (this.#queue.isEmpty) return this.perform(action);
    return await this.#queue.add(() => this.perform(action));
  }

  #toUserError(error: unknown): unknown {
    const userError = toUserError(error, this.instances.convexError);
    // Nobody may go on as if nothing had happened, callers of this function included.
    if (SystemFailure.is(userError)) this.execution.fail(userError);
    return userError;
  }

  async callFunction(call: NestedCall): Promise<Value> {
    const { target, kind } = this.#checkCall(call);
    try {
      return await this.#queue.add(async () => {
        // When these are done, nothing of this function can run before the call returns.
        do await turn(); while (this.execution.pendingOperations > 0);
        return await this.#callNested(call, kind, target);
      });
    } catch (error) {
      // Made here, where the stack leads to who waits for the call.
      throw error instanceof NestedFailure ? this.#caughtError(error.failure) : error;
    }
  }

  #checkCall({ udfType, address }: NestedCall) {
    const kind = udfType === "mutation" ? "mutation" as const : "query" as const;
    if (this.kind === "query" && udfType !== "query") {
      throw new Error(`Cannot call a ${udfType} function from a query function`);
    }
    const target = this.perform(() => this.deployment.resolve(address, this.component.id));
    if (this.#options.depth >= depthMax) {
      throw new Error(
        "Cross component call depth limit exceeded. Do you have an infinite loop in your app?",
      );
    }
    return { kind, target };
  }

  async #callNested(
    call: NestedCall,
    kind: "query" | "mutation",
    target: FunctionTarget,
  ): Promise<Value> {
    const nested = this.#nestedRun(call, kind, target);
    const { budgets } = this.#scope;
    const readsStale = call.udfType === "snapshotQuery";
    const boundary = readsStale ? null : this.#transaction.nest(transactionLimits(call.limits));
    const endBudgets = budgets.nest(call.limits);
    const leave = this.#scope.services.realm.enterNested(nested.execution);
    try {
      const result = parseValue(await nested.run([call.args]), { inMutation: true });
      boundary?.commit();
      return result;
    } catch (error) {
      boundary?.rollback();
      throw this.#nestedError(error);
    } finally {
      leave();
      endBudgets();
      this.execution.observeAll(nested.execution);
    }
  }

  #nestedRun(
    { udfType }: NestedCall,
    kind: "query" | "mutation",
    target: FunctionTarget,
  ): FunctionRun {
    const { options } = this.execution;
    const { path: componentPath, environment } = this.deployment.component(target.component);
    const transaction = udfType === "snapshotQuery"
      ? this.#snapshotTransaction()
      : this.#transaction;
    return new FunctionRun(this.#scope, {
      kind,
      target,
      transaction: transaction.ofComponent(target.component),
      execution: {
        ...options,
        kind,
        seed: this.execution.random.seed(),
        ...environment,
        log: options.log.nested(debugName(target.path), componentPath),
      },
      journal: null,
      depth: this.#options.depth + 1,
    });
  }

  /** Reads what was committed before this transaction; nobody depends on what it reads. */
  #snapshotTransaction(): Transaction {
    return new Transaction({ ...this.#transaction.options, kind: "query", pending: [] });
  }

  #nestedError(error: unknown): NestedFailure | SystemFailure {
    if (SystemFailure.is(error)) {
      this.execution.fail(error);
      return error;
    }
    return new NestedFailure(describeFailure(error));
  }

  /** A called function's failure as this one may catch it: a ConvexError is of the class that it knows itself. */
  #caughtError(failure: FunctionFailure): Error {
    const { data } = failure;
    const parsed = data === undefined ? undefined : parseValue(data);
    return makeUserError(renderFailure(failure), parsed, this.instances.convexError);
  }

  metrics(): Record<string, { used: number; remaining: number }> {
    return this.#scope.budgets.metrics(this.#transaction.usage);
  }

  /** Of the job that it, or a function that it called, gave most. */
  get largestJobArgumentBytes(): number {
    return this.#scope.budgets.largestJobArgumentBytes;
  }

  countScheduled(argumentBytes: number): void {
    this.#scope.budgets.countScheduled(argumentBytes);
  }
}

/** How a called function failed, on its way to the caller. */
class NestedFailure {
  constructor(readonly failure: FunctionFailure) {}
}
