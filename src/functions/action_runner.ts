/** Actions and HTTP actions: run once, never again, with a host that performs what they ask for. */
import { assert } from "../assert.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import { errorMessage, FunctionError } from "../errors.ts";
import type { ActionHost, CallResult, HttpClient } from "../isolate/isolates.ts";
import type { FunctionCall, LogLine } from "../isolate/protocol.ts";
import { log as logEvent } from "../logger.ts";
import type { DeploymentLeases } from "./deployment_leases.ts";
import type { ExecutionLog, Subject } from "./execution_log.ts";
import { completionOf, failed, type FunctionCalls, functionResult } from "./function_calls.ts";
import type { CallContext, FunctionResult, HttpRequestData, HttpResult } from "./functions.ts";
import { developerFailure, internalFailure } from "./host_failures.ts";
import { HostOperations, type NestedCalls } from "./host_operations.ts";
import type { HostServices } from "./host_services.ts";
import { renderLogLines } from "./log_lines.ts";
import type { DeployedFunction } from "./function_table.ts";
import { identityOf, type Modules, tokenOf } from "./modules.ts";

export interface ActionRunnerParts {
  readonly modules: Modules;
  readonly isolates: DeploymentLeases;
  readonly calls: FunctionCalls;
  readonly log: ExecutionLog;
  readonly services: HostServices;
  /** For the functions that actions call. */
  readonly functions: NestedCalls;
}

const encoder = new TextEncoder();
const noBytes = new Uint8Array(0);

export class ActionRunner {
  readonly #parts: ActionRunnerParts;

  constructor(parts: ActionRunnerParts) {
    this.#parts = parts;
  }

  /** See `Functions.action`. */
  async run(path: string, args: string, context: CallContext): Promise<FunctionResult> {
    const { modules, calls } = this.#parts;
    let action: DeployedFunction;
    try {
      action = modules.resolve(path, "action", context);
    } catch (error) {
      if (error instanceof FunctionError) return failed(error.failure);
      throw error;
    }
    const call = calls.of(action, context);
    const { answer, printed } = await this.#execute(action, call, encoder.encode(args), context);
    return { ...functionResult(answer), logLines: renderLogLines(printed) };
  }

  /** See `Functions.httpAction`. */
  async http(request: HttpRequestData, context: CallContext): Promise<HttpResult> {
    const { modules, calls } = this.#parts;
    const { pathname } = new URL(request.url);
    const routed = modules.routeRequest(request.method, pathname);
    if (!routed || routed.route === null) {
      return {
        ok: false,
        notFound: "This Convex deployment does not have HTTP actions enabled.",
      };
    }
    const { route, component, path } = routed;
    if (route === undefined) return { ok: false, notFound: "No matching routes found" };

    const { method, url, headers, body, gone, identityError } = request;
    const source = body instanceof Uint8Array ? null : body;
    const call: FunctionCall = {
      ...calls.ofRouter(modules.manifest!.id, component, context),
      request: {
        ...{ method, url, headers },
        ...source !== null && { bodyFollows: true },
        ...path !== pathname && { routedPath: path },
      },
      ...(identityError === undefined ? {} : { identityError }),
    };
    const subject: Subject = {
      kind: "httpAction",
      path: `${route.method} ${route.path}`,
      environment: "isolate",
      componentPath: modules.pathOf(component),
    };
    const { promise, resolve, reject } = Promise.withResolvers<HttpResult>();
    const client: HttpClient = {
      gone,
      readRequest: () => source?.read() ?? Promise.resolve(noBytes),
      respond: (response, body) => resolve({ ok: true, response, body }),
    };
    // If it has responded before its end, the end is for the log alone.
    this.#execute(subject, call, body instanceof Uint8Array ? body : noBytes, context, client)
      .then(({ answer }) => resolve(httpResult(answer)), reject)
      .finally(() => source?.cancel());
    return await promise;
  }

  async #execute(
    subject: Subject,
    call: FunctionCall,
    body: Uint8Array,
    context: CallContext,
    client?: HttpClient,
  ): Promise<{ answer: CallResult; printed: readonly LogLine[] }> {
    const { isolates, log } = this.#parts;
    const execution = log.begin(subject, context);
    const printed: LogLine[] = [];
    const print = (lines: readonly LogLine[]) => {
      if (lines.length === 0) return;
      printed.push(...lines);
      execution.progress(lines);
    };
    const operations = this.#operations(
      call.component ?? appComponent,
      { ...context, parentExecutionId: execution.id },
    );
    try {
      const host = hostOf(operations, print);
      const answer = await isolates.runAction(
        call,
        body,
        { ...host, ...client && { client } },
        context.client,
      );
      print(answer.logLines);
      const status = answer.outcome.kind === "success"
        ? answer.outcome.response?.status
        : undefined;
      execution.complete({
        ...completionOf(answer),
        // They are in the log already.
        logLines: [],
        ...(status === undefined ? {} : { status }),
      });
      return { answer, printed };
    } catch (error) {
      execution.fail(errorMessage(error));
      throw error;
    } finally {
      operations.close();
    }
  }

  /** @param component The action's. */
  #operations(component: ComponentId, context: CallContext): HostOperations {
    const { functions, services, modules } = this.#parts;
    const { caller } = context;
    const token = tokenOf(caller);
    return new HostOperations({ functions, services, modules }, component, {
      ...context,
      caller: {
        kind: "system",
        identity: identityOf(caller),
        ...(token === undefined ? {} : { token }),
      },
      origin: "Action",
    });
  }
}

function hostOf(operations: HostOperations, log: ActionHost["log"]): ActionHost {
  return {
    log,
    async operation(operation, fields, body) {
      try {
        return await operations.perform(operation, fields, body);
      } catch (error) {
        const failure = developerFailure(error);
        if (failure === undefined) logEvent("error", `${operation} failed`, { error });
        return { failure: failure ?? internalFailure };
      }
    },
  };
}

/** Of an action that ended before it responded. */
function httpResult({ outcome, body }: CallResult): HttpResult {
  if (outcome.kind === "failure") return { ok: false, failure: outcome.failure };
  assert(outcome.response !== undefined, "an HTTP action that succeeded has a response");
  return { ok: true, response: outcome.response, body };
}
