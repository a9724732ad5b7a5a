/** `ctx.auth` of queries and mutations. */
import type { TransactionHost } from "./transaction_host.ts";

export function transactionAuth(host: TransactionHost) {
  return {
    getUserIdentity: async () => {
      host.execution.observedIdentity = true;
      // A copy: user code may do with it what it likes.
      return structuredClone(host.call.identity);
    },
  };
}
