/** What tests of scheduled functions and of cron jobs have in common. */
import type { Transaction } from "../database/transaction.ts";
import { DeveloperError } from "../errors.ts";
import type { FunctionResult } from "../functions/functions.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";

/** The result of a mutation whose commit also completes its job, as the isolate and the mutation runner do it. */
export async function completing(
  transactions: ServerTransactions,
  result: FunctionResult,
  complete: (transaction: Transaction) => void,
): Promise<FunctionResult> {
  if (!result.ok) return result;
  try {
    await transactions.write(complete);
    return result;
  } catch (error) {
    if (!(error instanceof DeveloperError)) throw error;
    return { ok: false, failure: { message: error.message, frames: [] }, logLines: [] };
  }
}
