/** Operations of the function library in actions and HTTP actions (function-abi 3, 18). */
import { decodeValue, encodeValue } from "../src/values/value.ts";
import * as ctx from "./ctx/action_ctx.ts";
import type { ActionHost } from "./ctx/action_host.ts";
import * as storage from "./ctx/action_storage.ts";
import { componentArgument, deploymentMetadata } from "./ctx/meta.ts";
import { searchVectors } from "./ctx/vector_search.ts";
import { failExecution } from "./globals/refusals.ts";
import type { HttpExchange } from "./http_exchange.ts";
import {
  findOperation,
  JsonText,
  parseSyscallArguments,
  syscallAnswer,
  type SyscallArguments,
  syscallError,
  type Syscalls,
} from "./syscalls.ts";

export class ActionSyscalls implements Syscalls {
  readonly #host: ActionHost;
  readonly #exchange: HttpExchange | null;

  /** `exchange`: request and response of an HTTP action. */
  constructor(host: ActionHost, exchange: HttpExchange | null) {
    this.#host = host;
    this.#exchange = exchange;
  }

  syscall(operation: string, args: string): string {
    if (operation === "1.0/componentArgument") {
      const { name } = parseSyscallArguments(args);
      return syscallAnswer(componentArgument(this.#host.component, name));
    }
    throw new Error(`Unknown operation ${operation}`);
  }

  async asyncSyscall(operation: string, args: string): Promise<string> {
    const perform = findOperation(asyncOperations, operation);
    if (perform === undefined) throw new Error(`Unknown async operation ${operation}`);
    try {
      return syscallAnswer(await perform(this.#host, parseSyscallArguments(args)));
    } catch (error) {
      throw syscallError(error);
    }
  }

  jsSyscall(operation: string, args: SyscallArguments): unknown {
    switch (operation) {
      case "requestFromConvexJson":
        return this.#exchange?.makeRequest(args.convexJson);
      case "convexJsonFromResponse":
        return this.#exchange?.takeResponse(args.response);
      case "storage/storeBlob":
        return this.#host.blobs.store(args.blob, args.options);
      case "storage/getBlob":
        return this.#host.blobs.get(args.storageId);
      default:
        failExecution(this.#host.execution, new Error(`Unknown JS syscall: ${operation}`));
    }
  }
}

type Operation = (host: ActionHost, args: SyscallArguments) => unknown;

const asyncOperations: Record<string, Operation> = {
  "1.0/actions/query": (host, args) => call(host, "runQuery", args),
  "1.0/actions/mutation": (host, args) => call(host, "runMutation", args),
  "1.0/actions/action": (host, args) => call(host, "runAction", args),
  "1.0/actions/schedule": (host, { ts, args, ...address }) => {
    const decoded = decodeValue(args);
    const argumentBytes = encodeValue(decoded).bytes;
    return ctx.scheduleFromAction(host, { address, args: decoded, argumentBytes, timeS: ts });
  },
  "1.0/actions/cancel_job": (host, { id }) => ctx.cancelFromAction(host, String(id)),
  "1.0/actions/vectorSearch": async (host, { query }) => ({
    results: await searchVectors(host, query),
  }),
  "1.0/createFunctionHandle": async ({ operations }, { name, reference, functionHandle }) =>
    new JsonText(
      await operations.performJson("functionHandle", { name, reference, functionHandle }),
    ),
  "1.0/getUserIdentity": (host) => ctx.userIdentity(host),
  "1.0/storageGetUrl": (host, { storageId }) =>
    storage.fileOperation(host, "storageGetUrl", storageId),
  "1.0/storageGetMetadata": (host, { storageId }) =>
    storage.fileOperation(host, "storageGetMetadata", storageId),
  "1.0/storageDelete": (host, { storageId }) =>
    storage.fileOperation(host, "storageDelete", storageId),
  "1.0/storageGenerateUploadUrl": (host) => storage.uploadUrl(host),
  "1.0/getFunctionMetadata": ({ name, component }) => ({ name, componentPath: component.path }),
  "1.0/getDeploymentMetadata": () => deploymentMetadata(),
  "1.0/getRequestMetadata": (host) => ctx.actionRequestMetadata(host),
};

async function call(
  host: ActionHost,
  operation: "runQuery" | "runMutation" | "runAction",
  { args, name, reference, functionHandle }: SyscallArguments,
): Promise<JsonText> {
  const json = encodeValue(decodeValue(args)).json;
  const address = { name, reference, functionHandle };
  return new JsonText(await ctx.callFromAction(host, operation, address, json));
}
