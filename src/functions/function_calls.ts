/** From a request to what an isolate is told, and from its answer to what a caller gets. */
import { appComponent, type ComponentId } from "../database/component.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { Environment } from "../environment.ts";
import type { FunctionFailure } from "../errors.ts";
import type { CallResult } from "../isolate/isolates.ts";
import type { FunctionCall } from "../isolate/protocol.ts";
import type { Completion } from "./execution_log.ts";
import type { CallContext, FunctionResult } from "./functions.ts";
import { renderLogLines } from "./log_lines.ts";
import type { DeployedFunction } from "./function_table.ts";
import { identityOf, tokenOf } from "./modules.ts";
import type { RequestIds } from "./request_id.ts";

/** Chooses time and randomness of each execution; every attempt gets its own (semantics 1.1). */
export class FunctionCalls {
  readonly #environment: Environment;
  readonly #ids: RequestIds;

  constructor(environment: Environment, ids: RequestIds) {
    this.#environment = environment;
    this.#ids = ids;
  }

  of(
    target: DeployedFunction,
    context: CallContext,
    options: { readonly journal?: string | null; readonly at?: Timestamp } = {},
  ): FunctionCall {
    const { kind, deployment, component, module, args, returns } = target;
    const { journal = null, at } = options;
    return {
      ...this.#execution(deployment, context),
      ...component !== appComponent && { component },
      kind,
      module,
      export: target.export,
      journal,
      ...at !== undefined && { at },
      args,
      returns,
    };
  }

  /** The router of a component's `http.js`, which finds the action by itself. */
  ofRouter(deployment: string, component: ComponentId, context: CallContext): FunctionCall {
    return {
      ...this.#execution(deployment, context),
      ...component !== appComponent && { component },
      kind: "httpAction",
      module: "http.js",
      export: "default",
      journal: null,
      args: null,
      returns: null,
    };
  }

  #execution(deployment: string, context: CallContext) {
    const { requestId, scheduledFunctionId, cronRun, origin } = context;
    const { clockOffsetMs } = this.#environment;
    const authToken = tokenOf(context.caller);
    return {
      deployment,
      requestId,
      identity: identityOf(context.caller),
      nowMs: this.#environment.nowMs(),
      seed: this.#ids.seed(),
      ...clockOffsetMs && { clockOffsetMs },
      ...(authToken === undefined ? {} : { authToken }),
      ...(scheduledFunctionId === undefined ? {} : { scheduledFunctionId }),
      ...(origin === "Scheduler" ? { isScheduledJob: true } : {}),
      ...(cronRun === undefined ? {} : { cronRun }),
    };
  }
}

const decoder = new TextDecoder();

export function functionResult({ outcome, body, logLines }: CallResult): FunctionResult {
  const lines = renderLogLines(logLines);
  return outcome.kind === "success"
    ? { ok: true, value: decoder.decode(body), logLines: lines }
    : failed(outcome.failure, lines);
}

export function failed(
  failure: FunctionFailure,
  logLines: readonly string[] = [],
): FunctionResult & { readonly ok: false } {
  return { ok: false, failure, logLines };
}

/** What the log is told of a call that ran to its end. */
export function completionOf(answer: CallResult): Completion {
  const { outcome, body, logLines, usage } = answer;
  return outcome.kind === "success"
    ? { logLines, usage, failure: null, returnBytes: body.byteLength }
    : { logLines, usage, failure: outcome.failure };
}
