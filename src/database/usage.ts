/** What one transaction used and may use (semantics 9.1). */
import { DeveloperError } from "../errors.ts";
import { formatBytes } from "../values/limits.ts";

/** Budgets of one transaction. `Config` has them under the same names. */
export interface TransactionLimits {
  readonly documentsReadMax: number;
  readonly bytesReadMax: number;
  readonly intervalsReadMax: number;
  readonly documentsWrittenMax: number;
  readonly bytesWrittenMax: number;
}

export interface TransactionUsage {
  readonly documentsRead: number;
  readonly bytesRead: number;
  readonly intervalsRead: number;
  readonly documentsWritten: number;
  readonly bytesWritten: number;
}

/** The documents that came nearest to the bounds of a document, if any was written. */
export interface LargestWrites {
  readonly largest: { readonly id: string; readonly bytes: number };
  readonly deepest: { readonly id: string; readonly nesting: number };
}

/** Codes of the errors that a read can meet when its budget is used up. */
const readLimitCodes = ["TooManyDocumentsRead", "TooManyBytesRead", "TooManyReads"] as const;

export function isReadLimit(error: unknown): boolean {
  return error instanceof DeveloperError && readLimitCodes.some((code) => code === error.code);
}

const advice =
  "Consider using smaller limits in your queries, paginating your queries, or using indexed queries with a selective index range expressions.";

/**
 * Counts before it checks and never counts back: after a limit was hit, every further counted operation
 * fails too, whether or not user code caught the error.
 */
export class UsageMeter {
  #documentsRead = 0;
  #bytesRead = 0;
  #intervalsRead = 0;
  #documentsWritten = 0;
  #bytesWritten = 0;
  #largest = { id: "", bytes: 0 };
  #deepest = { id: "", nesting: 0 };

  constructor(public limits: TransactionLimits) {}

  get usage(): TransactionUsage {
    return {
      documentsRead: this.#documentsRead,
      bytesRead: this.#bytesRead,
      intervalsRead: this.#intervalsRead,
      documentsWritten: this.#documentsWritten,
      bytesWritten: this.#bytesWritten,
    };
  }

  get largestWrites(): LargestWrites {
    return { largest: this.#largest, deepest: this.#deepest };
  }

  noteDocument(id: string, bytes: number, nesting: number): void {
    if (bytes > this.#largest.bytes) this.#largest = { id, bytes };
    if (nesting > this.#deepest.nesting) this.#deepest = { id, nesting };
  }

  countRead(bytes: number): void {
    this.#documentsRead++;
    this.#bytesRead += bytes;
    const { documentsReadMax, bytesReadMax } = this.limits;
    if (this.#documentsRead > documentsReadMax) {
      throw exceeded("TooManyDocumentsRead", "documents read", `${documentsReadMax}`, advice);
    }
    if (this.#bytesRead > bytesReadMax) {
      throw exceeded("TooManyBytesRead", "bytes read", `${bytesReadMax} bytes`, advice);
    }
  }

  /** `intervals` is the number of distinct ones by now: they merge, so it may also shrink. */
  setIntervalsRead(intervals: number): void {
    this.#intervalsRead = intervals;
    const { intervalsReadMax } = this.limits;
    if (intervals > intervalsReadMax) {
      throw exceeded("TooManyReads", "reads", `${intervalsReadMax}`, advice);
    }
  }

  countWrite(bytes: number): void {
    this.#documentsWritten++;
    this.#bytesWritten += bytes;
    const { documentsWrittenMax, bytesWrittenMax } = this.limits;
    if (this.#documentsWritten > documentsWrittenMax) {
      throw exceeded("TooManyWrites", "writes", `${documentsWrittenMax}`);
    }
    if (this.#bytesWritten > bytesWrittenMax) {
      throw exceeded("TooManyBytesWritten", "bytes written", formatBytes(bytesWrittenMax));
    }
  }

  /** Lowers the limits to what is used plus these budgets, for a nested call (function-abi 11). */
  lowerLimits(budgets: Partial<TransactionLimits>): void {
    const { usage, limits } = this;
    const lowered = (limit: keyof TransactionLimits, used: keyof TransactionUsage) =>
      Math.min(limits[limit], usage[used] + (budgets[limit] ?? Infinity));
    this.limits = {
      documentsReadMax: lowered("documentsReadMax", "documentsRead"),
      bytesReadMax: lowered("bytesReadMax", "bytesRead"),
      intervalsReadMax: lowered("intervalsReadMax", "intervalsRead"),
      documentsWrittenMax: lowered("documentsWrittenMax", "documentsWritten"),
      bytesWrittenMax: lowered("bytesWrittenMax", "bytesWritten"),
    };
  }
}

function exceeded(code: string, what: string, limit: string, advice?: string): DeveloperError {
  const text = `Too many ${what} in a single function execution (limit: ${limit})`;
  return new DeveloperError(code, advice === undefined ? text : `${text}. ${advice}`);
}
