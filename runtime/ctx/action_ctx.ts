/** The `ctx` that handlers of actions receive. */
import type { HostOperation } from "../../src/isolate/protocol.ts";
import { encodeValue, parseValue, type Value } from "../../src/values/value.ts";
import { addressOf, type FunctionAddress } from "../../src/isolate/function_address.ts";
import type { ActionHost } from "./action_host.ts";
import { actionStorage } from "./action_storage.ts";
import { functionArguments } from "./arguments.ts";
import { encodeChecked } from "./checked_value.ts";
import { deploymentMetadata } from "./meta.ts";
import { type JobRequest, scheduler } from "./scheduler.ts";
import { vectorSearch } from "./vector_search.ts";

export function actionCtx(host: ActionHost) {
  return {
    runQuery: caller(host, "runQuery"),
    runMutation: caller(host, "runMutation"),
    runAction: caller(host, "runAction"),
    auth: { getUserIdentity: async () => userIdentity(host) },
    scheduler: scheduler({
      now: () => host.execution.now(),
      schedule: (job) => scheduleFromAction(host, job),
      cancel: (id) => cancelFromAction(host, id),
    }),
    storage: actionStorage(host),
    vectorSearch: vectorSearch(host),
    meta: {
      getFunctionMetadata: async () => ({
        name: host.name,
        componentPath: host.component.path,
        type: "action",
        visibility: host.visibility,
      }),
      getDeploymentMetadata: async () => deploymentMetadata(),
      getRequestMetadata: async () => actionRequestMetadata(host),
    },
  };
}

function caller(host: ActionHost, operation: "runQuery" | "runMutation" | "runAction") {
  return async (reference: unknown, args?: unknown): Promise<Value> => {
    const { json } = encodeChecked(functionArguments(args));
    return parseValue(await callFromAction(host, operation, addressOf(reference), json));
  };
}

/** Arguments and result are JSON texts of a value. */
export function callFromAction(
  host: ActionHost,
  operation: HostOperation,
  address: FunctionAddress,
  args: string,
): Promise<string> {
  return host.operations.performJson(operation, { ...address }, args);
}

export async function scheduleFromAction(host: ActionHost, job: JobRequest): Promise<string> {
  const fields = { ...job.address, ts: job.timeS };
  const args = encodeValue(job.args).json;
  return JSON.parse(await host.operations.performJson("schedule", fields, args));
}

export async function cancelFromAction(host: ActionHost, id: string): Promise<void> {
  await host.operations.perform("cancelJob", { id });
}

/** A copy: user code may do with it what it likes. */
export function userIdentity({ call, execution }: ActionHost) {
  execution.observedIdentity = true;
  if (call.identityError !== undefined) throw new Error(call.identityError);
  return structuredClone(call.identity);
}

export function actionRequestMetadata({ call }: ActionHost) {
  const { requestId, scheduledFunctionId = null, authToken = null } = call;
  return { ip: null, userAgent: null, requestId, scheduledFunctionId, authToken };
}
