/**
 * Operations of the function library in queries and mutations (function-abi 3): for functions that run with
 * the `ctx` that the library makes, a thin layer over what the native `ctx` uses.
 */
import { parseQuery } from "../src/database/query.ts";
import { cancelJob } from "../src/database/scheduled_jobs.ts";
import type { QueryCursor } from "../src/database/transaction.ts";
import { DeveloperError } from "../src/errors.ts";
import { decodePatch, decodeValue, encodeValue } from "../src/values/value.ts";
import * as meta from "./ctx/meta.ts";
import { scheduleJob } from "./ctx/scheduler.ts";
import * as storage from "./ctx/storage.ts";
import type { TransactionHost } from "./ctx/transaction_host.ts";
import { failExecution, forbiddenError } from "./globals/refusals.ts";
import {
  findOperation,
  JsonText,
  parseSyscallArguments,
  syscallAnswer,
  type SyscallArguments,
  syscallError,
  type Syscalls,
  valueJson,
} from "./syscalls.ts";

export class TransactionSyscalls implements Syscalls {
  readonly host: TransactionHost;
  readonly #cursors = new Map<number, QueryCursor>();
  #nextQueryId = 0;

  constructor(host: TransactionHost) {
    this.host = host;
  }

  syscall(operation: string, args: string): string {
    const perform = findOperation(syncOperations, operation);
    if (perform === undefined) throw new Error(`Unknown operation ${operation}`);
    try {
      return syscallAnswer(perform(this, parseSyscallArguments(args)));
    } catch (error) {
      throw syscallError(error);
    }
  }

  async asyncSyscall(operation: string, args: string): Promise<string> {
    const perform = findOperation(asyncOperations, operation);
    if (perform === undefined) throw new Error(`Unknown async operation ${operation}`);
    try {
      return syscallAnswer(await perform(this, parseSyscallArguments(args)));
    } catch (error) {
      throw syscallError(error);
    }
  }

  jsSyscall(operation: string): never {
    const { execution } = this.host;
    if (operation === "storage/storeBlob") throw forbiddenError("storage.store()", execution);
    if (operation === "storage/getBlob") throw forbiddenError("storage.get()", execution);
    failExecution(execution, new Error(`Unknown JS syscall: ${operation}`));
  }

  addCursor(cursor: QueryCursor): number {
    this.#cursors.set(this.#nextQueryId, cursor);
    return this.#nextQueryId++;
  }

  removeCursor(queryId: number): boolean {
    return this.#cursors.delete(queryId);
  }

  /** The next document of a query; the query is dropped with the last one. */
  next(queryId: number): JsonText {
    const cursor = this.#cursors.get(queryId);
    if (cursor === undefined) {
      throw new DeveloperError("QueryNotFound", "in-progress query not found");
    }
    const document = cursor.next();
    if (document === null) this.#cursors.delete(queryId);
    const value = document === null ? "null" : encodeValue(document).json;
    return new JsonText(`{"value":${value},"done":${document === null}}`);
  }
}

type Operation = (syscalls: TransactionSyscalls, args: SyscallArguments) => unknown;

const syncOperations: Record<string, Operation> = {
  "1.0/queryStream": (syscalls, { query, version }) => {
    const cursor = syscalls.host.perform((transaction) =>
      transaction.openQuery(parseQuery(query, version))
    );
    return { queryId: syscalls.addCursor(cursor) };
  },
  "1.0/queryCleanup": (syscalls, { queryId }) => syscalls.removeCursor(queryId),
  "1.0/db/normalizeId": ({ host }, { table, idString }) => ({
    id: host.perform((transaction) => transaction.normalizeId(table, idString)),
  }),
  "1.0/componentArgument": ({ host }, { name }) => meta.componentArgument(host.component, name),
  "1.0/getSnapshotTs": ({ host }) => valueJson(meta.snapshotTimestamp(host)),
};

const asyncOperations: Record<string, Operation> = {
  "1.0/get": ({ host }, { id, isSystem, table }) => {
    const options = { system: isSystem, ...table !== undefined && { table } };
    return host.operation((transaction) => valueJson(transaction.get(id, options)));
  },
  "1.0/count": ({ host }, { table }) => host.operation((transaction) => transaction.count(table)),
  "1.0/queryStreamNext": (syscalls, { queryId }) =>
    syscalls.host.operation(() => syscalls.next(queryId)),
  "1.0/queryPage": ({ host }, { query, version, ...options }) =>
    host.operation((transaction) => {
      const parsed = parseQuery(query, version);
      const { page, ...rest } = transaction.paginate(parsed, options, host.journal);
      const fields = JSON.stringify(rest).slice(1);
      return new JsonText(`{"page":${encodeValue(page).json},${fields}`);
    }),
  "1.0/insert": ({ host }, { table, value }) => {
    const fields = decodeValue(value, { inMutation: true });
    return host.operation((transaction) => ({ _id: transaction.insert(table, fields) }));
  },
  "1.0/shallowMerge": ({ host }, { id, value, table }) => {
    const patch = decodePatch(value);
    return host.operation((transaction) => new JsonText(transaction.patch(id, patch, table)));
  },
  "1.0/replace": ({ host }, { id, value, table }) => {
    const fields = decodeValue(value, { inMutation: true });
    return host.operation((transaction) => new JsonText(transaction.replace(id, fields, table)));
  },
  "1.0/remove": ({ host }, { id, table }) =>
    host.operation((transaction) => new JsonText(transaction.delete(id, table))),
  "1.0/schedule": ({ host }, { ts, args, ...address }) => {
    const decoded = decodeValue(args);
    const argumentBytes = encodeValue(decoded).bytes;
    return scheduleJob(host, { address, args: decoded, argumentBytes, timeS: ts });
  },
  "1.0/cancel_job": ({ host }, { id }) =>
    host.operation((transaction) => cancelJob(transaction, id)),
  "1.0/runUdf": async ({ host }, { udfType, args, transactionLimits, ...address }) =>
    valueJson(
      await host.callFunction({
        udfType,
        address,
        args: decodeValue(args, { inMutation: udfType === "mutation" }),
        limits: transactionLimits,
      }),
    ),
  "1.0/createFunctionHandle": ({ host }, address) =>
    host.perform(() => host.deployment.handleOf(address, host.component.id)),
  "1.0/getUserIdentity": ({ host }) => {
    host.execution.observedIdentity = true;
    return host.call.identity;
  },
  "1.0/storageGetUrl": ({ host }, { storageId }) => storage.getFileUrl(host, storageId),
  "1.0/storageGetMetadata": ({ host }, { storageId }) => storage.getFileMetadata(host, storageId),
  "1.0/storageDelete": ({ host }, { storageId }) => storage.deleteFile(host, storageId),
  "1.0/storageGenerateUploadUrl": ({ host }) => storage.generateUploadUrl(host),
  "1.0/storageStore": ({ host }) => {
    throw forbiddenError("storage.store()", host.execution);
  },
  "1.0/storageGet": ({ host }) => {
    throw forbiddenError("storage.get()", host.execution);
  },
  "1.0/auditLog": () => {
    throw new Error("Audit logs (`log.audit`) are not available yet");
  },
  "1.0/signJwt": () => {
    throw new Error("Signing tokens (`ctx.auth.signJwt`) is not available yet");
  },
  "1.0/getTransactionMetrics": ({ host }) => host.metrics(),
  "1.0/getFunctionMetadata": ({ host }) => meta.functionMetadata(host),
  "1.0/getDeploymentMetadata": () => meta.deploymentMetadata(),
  "1.0/getRequestMetadata": ({ host }) => meta.requestMetadata(host),
};
