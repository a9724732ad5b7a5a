/** Lines that a successful function logs when it came close to a limit (function-abi 17). */
import type { LargestWrites } from "../src/database/usage.ts";
import { documentBytesMax, documentNestingMax } from "../src/values/limits.ts";
import { callBytesMax } from "./call_values.ts";
import type { Log } from "./log.ts";
import { type Metrics, scheduledArgumentBytesMax } from "./transaction_budgets.ts";

const share = 0.8;

export interface Usage {
  readonly metrics: Metrics;
  readonly largestWrites: LargestWrites;
  /** Size of the arguments; 0 where it is far from its limit. */
  readonly argumentBytes: number;
  readonly resultBytes: number;
  /** Of the scheduled function that got most. */
  readonly scheduledArgumentBytes: number;
  readonly userTimeMs: number;
  readonly userTimeMsMax: number;
}

const metricWarnings: readonly {
  metric: string;
  code: string;
  message: string;
  unit: string;
}[] = [
  {
    metric: "documentsRead",
    code: "TooManyDocumentsRead",
    message: "Many documents read in a single function execution",
    unit: " documents",
  },
  {
    metric: "bytesRead",
    code: "TooManyBytesRead",
    message: "Many bytes read in a single function execution",
    unit: " bytes",
  },
  {
    metric: "databaseQueries",
    code: "TooManyReads",
    message: "Many reads in a single function execution",
    unit: "",
  },
  {
    metric: "documentsWritten",
    code: "TooManyWrites",
    message: "Many writes in a single function execution",
    unit: "",
  },
  {
    metric: "bytesWritten",
    code: "TooManyBytesWritten",
    message: "Many bytes written in a single function execution",
    unit: " bytes",
  },
  {
    metric: "functionsScheduled",
    code: "TooManyFunctionsScheduled",
    message: "Many functions scheduled by this mutation",
    unit: " functions",
  },
  {
    metric: "scheduledFunctionArgsBytes",
    code: "ScheduledFunctionsArgumentsTooLarge",
    message: "Large total size of the arguments of scheduled functions from this mutation",
    unit: " bytes",
  },
];

export function addUsageWarnings(log: Log, usage: Usage): void {
  const add = (code: string, text: string) => log.addSystem("WARN", text, `warning:${code}`);
  const warn = (code: string, message: string, used: number, limit: number, unit: string) =>
    add(code, `${message} (actual: ${used}${unit}, limit: ${limit}${unit}).`);

  for (const { metric, code, message, unit } of metricWarnings) {
    const { used, remaining } = usage.metrics[metric]!;
    const limit = used + remaining;
    if (isNear(used, limit)) warn(code, message, used, limit, unit);
  }
  const { argumentBytes, resultBytes, scheduledArgumentBytes, userTimeMs, userTimeMsMax } = usage;
  if (isNear(argumentBytes, callBytesMax)) {
    const message = "Large size of the function arguments";
    warn("FunctionArgumentsTooLarge", message, argumentBytes, callBytesMax, " bytes");
  }
  if (isNear(resultBytes, callBytesMax)) {
    const message = "Large size of the function return value";
    warn("FunctionReturnValueTooLarge", message, resultBytes, callBytesMax, " bytes");
  }
  const { largest, deepest } = usage.largestWrites;
  if (isNear(largest.bytes, documentBytesMax)) {
    const message = `Large document written with ID "${largest.id}"`;
    warn("DocumentTooLarge", message, largest.bytes, documentBytesMax, " bytes");
  }
  if (isNear(deepest.nesting, documentNestingMax)) {
    const message = `Deeply nested document written with ID "${deepest.id}"`;
    warn("DocumentTooNested", message, deepest.nesting, documentNestingMax, " levels");
  }
  // This bound is for warnings alone, so there are some beyond it, too.
  if (scheduledArgumentBytes > share * scheduledArgumentBytesMax) {
    const message = "Large size of the arguments of a scheduled function";
    const code = "ScheduledFunctionArgumentsTooLarge";
    warn(code, message, scheduledArgumentBytes, scheduledArgumentBytesMax, " bytes");
  }
  if (userTimeMs > share * userTimeMsMax) {
    const [maximum, actual] = [userTimeMsMax, userTimeMs].map((ms) => `${ms / 1000}s`);
    const durations = `maximum duration: ${maximum}, actual duration: ${actual}`;
    add("FunctionTimeout", `Function execution took a long time. (${durations})`);
  }
}

/** Within the limit, because whoever passed it has been told. */
function isNear(used: number, limit: number): boolean {
  return used > limit * share && used <= limit;
}
