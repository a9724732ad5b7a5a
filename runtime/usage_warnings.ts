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
  /** Size of the arguments; at most what it is where that is far from the limit. */
  readonly argumentBytes: number;
  readonly resultBytes: number;
  /** Of the scheduled function that got most. */
  readonly scheduledArgumentBytes: number;
  readonly userTimeMs: number;
  readonly userTimeMsMax: number;
}

interface Measure {
  readonly code: string;
  readonly message: string;
  readonly used: number;
  readonly limit: number;
  readonly unit: string;
}

const metricWarnings: readonly (Pick<Measure, "code" | "message" | "unit"> & {
  readonly metric: string;
})[] = [
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
  for (const { metric, ...warning } of metricWarnings) {
    const { used, remaining } = usage.metrics[metric]!;
    const measure = { ...warning, used, limit: used + remaining };
    if (isNear(measure)) add(measure.code, textOf(measure));
  }
  for (const measure of sizes(usage)) if (isNear(measure)) add(measure.code, textOf(measure));
  // Beyond this bound, too, it is no more than a warning.
  const { scheduledArgumentBytes, userTimeMs, userTimeMsMax } = usage;
  if (scheduledArgumentBytes > share * scheduledArgumentBytesMax) {
    const measure = {
      code: "ScheduledFunctionArgumentsTooLarge",
      message: "Large size of the arguments of a scheduled function",
      used: scheduledArgumentBytes,
      limit: scheduledArgumentBytesMax,
      unit: " bytes",
    };
    add(measure.code, textOf(measure));
  }
  if (userTimeMs > share * userTimeMsMax) {
    const times = `maximum duration: ${userTimeMsMax / 1000}s, actual duration: ${
      userTimeMs / 1000
    }s`;
    add("FunctionTimeout", `Function execution took a long time. (${times})`);
  }
}

function sizes({ argumentBytes, resultBytes, largestWrites }: Usage): Measure[] {
  const { largest, deepest } = largestWrites;
  return [
    {
      code: "FunctionArgumentsTooLarge",
      message: "Large size of the function arguments",
      used: argumentBytes,
      limit: callBytesMax,
      unit: " bytes",
    },
    {
      code: "FunctionReturnValueTooLarge",
      message: "Large size of the function return value",
      used: resultBytes,
      limit: callBytesMax,
      unit: " bytes",
    },
    {
      code: "DocumentTooLarge",
      message: `Large document written with ID "${largest.id}"`,
      used: largest.bytes,
      limit: documentBytesMax,
      unit: " bytes",
    },
    {
      code: "DocumentTooNested",
      message: `Deeply nested document written with ID "${deepest.id}"`,
      used: deepest.nesting,
      limit: documentNestingMax,
      unit: " levels",
    },
  ];
}

/** Within the limit, because whoever passed it has been told. */
function isNear({ used, limit }: Measure): boolean {
  return used > limit * share && used <= limit;
}

function textOf({ message, used, limit, unit }: Measure): string {
  return `${message} (actual: ${used}${unit}, limit: ${limit}${unit}).`;
}
