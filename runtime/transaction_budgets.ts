/** What the functions of one transaction may still do besides reading and writing documents: schedule jobs. */
import type { TransactionLimits, TransactionUsage } from "../src/database/transaction.ts";
import { DeveloperError } from "../src/errors.ts";

const jobsMax = 1000;
const jobArgumentBytesMax = 16 * 1024 * 1024;

/** Above a share of this, the arguments of one job are warned of. */
export const scheduledArgumentBytesMax = 4 * 1024 * 1024;

/** What is used of each budget, and what is left. */
export type Metrics = Record<string, { used: number; remaining: number }>;

type Limits = Readonly<Record<string, number>>;

export class TransactionBudgets {
  readonly #transactionLimits: TransactionLimits;
  #jobs = 0;
  #jobArgumentBytes = 0;
  /** Of the job that got most. */
  largestJobArgumentBytes = 0;
  #jobsMax = jobsMax;
  #jobArgumentBytesMax = jobArgumentBytesMax;

  constructor(transactionLimits: TransactionLimits) {
    this.#transactionLimits = transactionLimits;
  }

  /** @throws DeveloperError when a limit is passed. Nothing is counted back (semantics 9.1). */
  countScheduled(argumentBytes: number): void {
    this.#jobs++;
    this.#jobArgumentBytes += argumentBytes;
    this.largestJobArgumentBytes = Math.max(this.largestJobArgumentBytes, argumentBytes);
    if (this.#jobs > this.#jobsMax) {
      throw new DeveloperError(
        "TooManyFunctionsScheduled",
        `Too many functions scheduled by this mutation (limit: ${this.#jobsMax})`,
      );
    }
    if (this.#jobArgumentBytes > this.#jobArgumentBytesMax) {
      throw new DeveloperError(
        "ScheduledFunctionsArgumentsTooLarge",
        `Too large total size of the arguments of scheduled functions from this mutation (limit: ${this.#jobArgumentBytesMax} bytes)`,
      );
    }
  }

  /** Budgets of a nested call, on top of what is used by now. The returned function ends them. */
  nest(limits: Limits = {}): () => void {
    const before = [this.#jobsMax, this.#jobArgumentBytesMax] as const;
    const { functionsScheduled = Infinity, scheduledFunctionArgsBytes = Infinity } = limits;
    this.#jobsMax = Math.min(this.#jobsMax, this.#jobs + functionsScheduled);
    this.#jobArgumentBytesMax = Math.min(
      this.#jobArgumentBytesMax,
      this.#jobArgumentBytes + scheduledFunctionArgsBytes,
    );
    return () => {
      [this.#jobsMax, this.#jobArgumentBytesMax] = before;
    };
  }

  /** As `ctx.meta.getTransactionMetrics()` reports them (function-abi 15). */
  metrics(usage: TransactionUsage): Metrics {
    const limits = this.#transactionLimits;
    return {
      bytesRead: metric(usage.bytesRead, limits.bytesReadMax),
      bytesWritten: metric(usage.bytesWritten, limits.bytesWrittenMax),
      databaseQueries: metric(usage.intervalsRead, limits.intervalsReadMax),
      documentsRead: metric(usage.documentsRead, limits.documentsReadMax),
      documentsWritten: metric(usage.documentsWritten, limits.documentsWrittenMax),
      functionsScheduled: metric(this.#jobs, this.#jobsMax),
      scheduledFunctionArgsBytes: metric(this.#jobArgumentBytes, this.#jobArgumentBytesMax),
    };
  }
}

function metric(used: number, limit: number) {
  return { used, remaining: limit - used };
}

/** `transactionLimits` of a nested call in the words of transactions. */
export function transactionLimits(limits: Limits = {}): Partial<TransactionLimits> {
  const names = {
    documentsReadMax: limits.documentsRead,
    bytesReadMax: limits.bytesRead,
    intervalsReadMax: limits.databaseQueries,
    documentsWrittenMax: limits.documentsWritten,
    bytesWrittenMax: limits.bytesWritten,
  };
  return Object.fromEntries(Object.entries(names).filter(([, limit]) => limit !== undefined));
}
