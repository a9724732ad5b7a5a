/** Lines that a successful function logs when it came close to a limit (function-abi 17). */
import type { Log } from "./log.ts";

type Metrics = Record<string, { used: number; remaining: number }>;

const share = 0.8;

const warnings: readonly { metric: string; code: string; message: string; unit: string }[] = [
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

export function addUsageWarnings(log: Log, metrics: Metrics): void {
  for (const { metric, code, message, unit } of warnings) {
    const { used, remaining } = metrics[metric]!;
    const limit = used + remaining;
    if (used <= limit * share || used > limit) continue;
    log.addSystem(
      "WARN",
      `${message} (actual: ${used}${unit}, limit: ${limit}${unit}).`,
      `warning:${code}`,
    );
  }
}
