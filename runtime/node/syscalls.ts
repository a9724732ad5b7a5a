/** The host object of the function library, as far as Node actions have one (function-abi 3, 20). */
import { Buffer } from "node:buffer";
import type { HostOperation } from "../../src/isolate/protocol.ts";
import { type Action, currentAction, unfinishedAction } from "./action.ts";

type Fields = Readonly<Record<string, unknown>>;
type Syscall = (action: Action, args: Fields) => Promise<string>;

/** What calls are called in warnings, and how they reach the server. */
const functionCalls: Readonly<Record<string, readonly [name: string, HostOperation]>> = {
  "1.0/actions/query": ["query", "runQuery"],
  "1.0/actions/mutation": ["mutation", "runMutation"],
  "1.0/actions/action": ["action", "runAction"],
  "1.0/actions/schedule": ["schedule", "schedule"],
  "actions/schedule": ["schedule", "schedule"],
};
const simpleCalls: Readonly<Record<string, readonly [name: string, HostOperation]>> = {
  "1.0/createFunctionHandle": ["createFunctionHandle", "functionHandle"],
  "1.0/actions/cancel_job": ["cancel_job", "cancelJob"],
  "1.0/storageGetUrl": ["storageGetUrl", "storageGetUrl"],
  "1.0/storageGetMetadata": ["storageGetMetadata", "storageGetMetadata"],
  "1.0/storageDelete": ["storageDelete", "storageDelete"],
  "1.0/storageGenerateUploadUrl": ["storageGenerateUploadUrl", "storageGenerateUploadUrl"],
};

/** Answered without the server. */
const localCalls: Readonly<Record<string, (action: Action, args: Fields) => unknown>> = {
  "1.0/getUserIdentity": ({ call }) => call.identity,
  "1.0/getFunctionMetadata": ({ call }) => ({
    name: `${call.module.replace(/\.js$/, "")}:${call.export}`,
    componentPath: "",
  }),
  "1.0/getDeploymentMetadata": () => ({ name: "hull", region: null, class: "s16" }),
  "1.0/getRequestMetadata": ({ call }) => ({
    ip: null,
    userAgent: null,
    requestId: call.requestId,
    scheduledFunctionId: call.scheduledFunctionId ?? null,
    authToken: call.authToken ?? null,
  }),
  "1.0/auditLog": () => null,
};
/** The library sends no request id with these. */
const anonymousCalls = new Set([
  "1.0/createFunctionHandle",
  "1.0/getFunctionMetadata",
  "1.0/getDeploymentMetadata",
  "1.0/getRequestMetadata",
  "1.0/auditLog",
]);

const databaseCalls = new Set([
  ...["queryStream", "queryCleanup", "db/normalizeId", "get", "count", "queryStreamNext"],
  ...["queryPage", "insert", "shallowMerge", "replace", "remove"],
].map((name) => `1.0/${name}`));

export function installSyscalls(): void {
  const Convex = { syscall, asyncSyscall, jsSyscall };
  Object.defineProperty(globalThis, "Convex", { value: Convex });
}

function syscall(name: string, _args: string): never {
  throw refusal(name);
}

async function asyncSyscall(name: string, json: string): Promise<string> {
  const perform = find(name);
  const args = JSON.parse(json) as Fields;
  return await perform(mustGetAction(name, args), args);
}

async function jsSyscall(name: string, args: Fields): Promise<unknown> {
  switch (name) {
    case "storage/storeBlob":
      return await mustGetAction(name, args).blobs.store(args.blob, args.options as Fields);
    case "storage/getBlob":
      return await mustGetAction(name, args).blobs.get(args.storageId);
    default:
      throw refusal(name);
  }
}

function find(name: string): Syscall {
  const functionCall = functionCalls[name];
  if (functionCall !== undefined) {
    return async (action, args) => {
      const { args: functionArgs, requestId: _, version: __, ...fields } = args;
      return text(await action.perform(...functionCall, fields, JSON.stringify(functionArgs)));
    };
  }
  if (name === "1.0/actions/vectorSearch") {
    return async (action, { query }) =>
      text(await action.perform("vectorSearch", "vectorSearch", {}, JSON.stringify(query ?? null)));
  }
  const simpleCall = simpleCalls[name];
  if (simpleCall !== undefined) {
    return async (action, { requestId: _, version: __, ...fields }) =>
      text(await action.perform(...simpleCall, fields));
  }
  const localCall = localCalls[name];
  if (localCall !== undefined) {
    return (action, args) => Promise.resolve(JSON.stringify(localCall(action, args)));
  }
  throw refusal(name);
}

/** Whose request this is (function-abi 20). */
function mustGetAction(name: string, { requestId }: Fields): Action {
  const current = currentAction();
  if (current?.importing !== false) throw new Error("Cannot invoke syscall during module imports");
  if (anonymousCalls.has(name)) return current;
  if (typeof requestId !== "string") {
    throw new Error(
      "Invalid syscall. The Convex syscalls are for internal Convex use and should not be called directly.",
    );
  }
  const action = unfinishedAction(requestId);
  if (action === undefined) {
    throw new Error(
      "Leftover state detected. This typically happens if there are dangling promises from a previous request. Did you forget to await your promises?",
    );
  }
  return action;
}

function refusal(name: string): Error {
  if (databaseCalls.has(name)) {
    return new Error(
      "The Convex database object is being used outside of a Convex query or mutation. Did" +
        "you mean to use `ctx.query` or `ctx.mutation` to access the database?",
    );
  }
  if (name === "1.0/schedule") {
    return new Error(
      "The mutation scheduler is being used outside of a Convex mutation. Did" +
        "you mean to use `ctx.mutation` to access the database?",
    );
  }
  return new Error(`Unknown operation ${name}`);
}

function text({ body }: { body: Uint8Array }): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8");
}
