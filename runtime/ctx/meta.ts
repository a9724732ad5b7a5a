/** `ctx.meta`: what a function may know about itself and its transaction (function-abi 15). */
import { toNanoseconds } from "../../src/database/commit_timestamps.ts";
import type { ComponentCode } from "../deployment_code.ts";
import type { TransactionHost } from "./transaction_host.ts";

export function queryMeta(host: TransactionHost) {
  return {
    getFunctionMetadata: async () => ({
      ...functionMetadata(host),
      type: host.kind,
      visibility: host.visibility,
    }),
    getTransactionMetrics: async () => transactionMetrics(host),
    getDeploymentMetadata: async () => deploymentMetadata(),
    getSnapshotTs: () => snapshotTimestamp(host),
  };
}

export function mutationMeta(host: TransactionHost) {
  return { ...queryMeta(host), getRequestMetadata: async () => requestMetadata(host) };
}

export function functionMetadata(host: TransactionHost) {
  return { name: host.name, componentPath: host.component.path };
}

function transactionMetrics(host: TransactionHost) {
  return host.metrics();
}

/** What definitions of older libraries gave the component under a name (function-abi 12). */
export function componentArgument({ args }: ComponentCode, name: string): { value?: unknown } {
  if (args === null) throw new Error("Component arguments are not available within the app");
  return Object.hasOwn(args, name) ? { value: JSON.parse(args[name]!) } : {};
}

/** A deployment of Hull has no region; its class is the smallest one. */
export function deploymentMetadata() {
  return { name: "hull", region: null, class: "s16" };
}

export function snapshotTimestamp(host: TransactionHost): bigint {
  host.execution.observedTime = true;
  return host.perform((transaction) => toNanoseconds(transaction.options.snapshot.timestamp));
}

export function requestMetadata(host: TransactionHost) {
  if (host.kind === "query") throw new Error("Cannot get request metadata in a Query");
  host.execution.observedIdentity = true;
  const { requestId, scheduledFunctionId = null, authToken = null } = host.call;
  return { ip: null, userAgent: null, requestId, scheduledFunctionId, authToken };
}
