/**
 * What one function may add to the log. Without a bound, a function that prints without end would push
 * what all others printed out of it, and cost them the time to write it down.
 *
 * Each function has a token bucket. What does not fit it is left out, and how much that was is said by an
 * entry of its own, ahead of the next one that is kept.
 */
import type { Environment } from "../environment.ts";
import type { LogLine } from "../isolate/protocol.ts";
import { entrySize, type LogEntry } from "./log_entry.ts";

/** How many seconds' worth a function that was quiet may log at once; by default two calls that print all they may. */
const burstS = 64;
/** Functions that are remembered; there are more only after many deployments. */
const functionsMax = 4096;

interface Bucket {
  available: number;
  filledAtMs: number;
  omittedExecutions: number;
  omittedLines: number;
}

export class LogBudgets {
  readonly #environment: Environment;
  readonly #charactersPerS: number;
  readonly #buckets = new Map<string, Bucket>();

  constructor(environment: Environment, charactersPerS: number) {
    this.#environment = environment;
    this.#charactersPerS = charactersPerS;
  }

  /** The entries to keep in place of `entry`. */
  spend(entry: LogEntry): readonly LogEntry[] {
    const bucket = this.#bucketOf(entry.identifier);
    const size = entrySize(entry);
    if (size <= bucket.available) {
      bucket.available -= size;
      return bucket.omittedExecutions + bucket.omittedLines === 0
        ? [entry]
        : [this.#omission(entry, bucket), entry];
    }
    bucket.omittedLines += entry.logLines.length;
    if (entry.kind === "completion") bucket.omittedExecutions++;
    return [];
  }

  #bucketOf(identifier: string): Bucket {
    const nowMs = this.#environment.monotonicMs();
    const full = this.#charactersPerS * burstS;
    let bucket = this.#buckets.get(identifier);
    if (bucket === undefined) {
      if (this.#buckets.size === functionsMax) {
        this.#buckets.delete(this.#buckets.keys().next().value!);
      }
      bucket = { available: full, filledAtMs: nowMs, omittedExecutions: 0, omittedLines: 0 };
      this.#buckets.set(identifier, bucket);
    }
    const gained = (nowMs - bucket.filledAtMs) / 1000 * this.#charactersPerS;
    bucket.available = Math.min(full, bucket.available + gained);
    bucket.filledAtMs = nowMs;
    return bucket;
  }

  #omission(next: LogEntry, bucket: Bucket): LogEntry {
    const { functionKind, identifier, timestampMs, requestId, executionId } = next;
    const { omittedExecutions, omittedLines } = bucket;
    bucket.omittedExecutions = bucket.omittedLines = 0;
    const line: LogLine = {
      level: "WARN",
      messages: [
        `${omittedExecutions} executions and ${omittedLines} log lines of this function are missing here: ` +
        `it logs more than ${this.#charactersPerS / 1024} KiB/s (HULL_LOG_FUNCTION_KIB_PER_S).`,
      ],
      isTruncated: false,
      timestamp: timestampMs,
      systemCode: "log:omitted",
    };
    return {
      kind: "progress",
      functionKind,
      identifier,
      logLines: [line],
      timestampMs,
      requestId,
      executionId,
    };
  }
}
