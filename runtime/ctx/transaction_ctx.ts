/** The `ctx` that handlers of queries and mutations receive. */
import { parseValue, type Value } from "../../src/values/value.ts";
import { addressOf } from "../../src/isolate/function_address.ts";
import { functionArguments } from "./arguments.ts";
import { transactionAuth } from "./auth.ts";
import { encodeChecked, encodeResolved } from "./checked_value.ts";
import { databaseReader, databaseWriter } from "./database.ts";
import { mutationMeta, queryMeta } from "./meta.ts";
import { transactionScheduler } from "./scheduler.ts";
import { storageReader, storageWriter } from "./storage.ts";
import type { NestedCall, TransactionHost } from "./transaction_host.ts";

interface CallOptions {
  readonly useStaleSnapshot?: boolean;
  readonly transactionLimits?: Readonly<Record<string, number>>;
}

export function queryCtx(host: TransactionHost) {
  return {
    db: databaseReader(host),
    auth: transactionAuth(host),
    storage: storageReader(host),
    meta: queryMeta(host),
    runQuery: async (reference: unknown, args?: unknown, options?: CallOptions) => {
      if (options?.useStaleSnapshot) {
        throw new Error("`useStaleSnapshot` is only supported in mutations, not queries.");
      }
      return await call(host, "query", reference, args, options);
    },
  };
}

export function mutationCtx(host: TransactionHost) {
  return {
    db: databaseWriter(host),
    auth: transactionAuth(host),
    storage: storageWriter(host),
    scheduler: transactionScheduler(host),
    meta: mutationMeta(host),
    runQuery: async (reference: unknown, args?: unknown, options?: CallOptions) => {
      const udfType = options?.useStaleSnapshot ? "snapshotQuery" : "query";
      return await call(host, udfType, reference, args, options);
    },
    runMutation: async (reference: unknown, args?: unknown, options?: CallOptions) =>
      await call(host, "mutation", reference, args, options),
  };
}

function call(
  host: TransactionHost,
  udfType: NestedCall["udfType"],
  reference: unknown,
  args: unknown,
  options: CallOptions | undefined,
): Promise<Value> {
  const checkedArgs = functionArguments(args);
  const encoded = udfType === "mutation"
    ? encodeChecked(checkedArgs)
    : encodeResolved(checkedArgs, "arguments of queries");
  return host.callFunction({
    udfType,
    address: addressOf(reference),
    args: parseValue(encoded.json, { inMutation: true }),
    limits: options?.transactionLimits,
  });
}
