/**
 * Every execution of a function, in memory, bounded: what `stream_function_logs` and the terminal show
 * (deploy-protocol 8).
 */
import type { ExecutionUsage, FunctionKind, LogLine } from "../isolate/protocol.ts";

export type CallOrigin =
  | "SyncWorker"
  | "HttpApi"
  | "HttpEndpoint"
  | "Scheduler"
  | "Cron"
  | "Action"
  | "Tester";

export type LogEntry =
  | {
    readonly kind: "completion";
    readonly functionKind: FunctionKind;
    /** `messages:list`, or `GET /x` for an HTTP action. */
    readonly identifier: string;
    readonly environment: "isolate" | "node";
    readonly logLines: readonly LogLine[];
    readonly timestampMs: number;
    readonly cached: boolean;
    readonly origin: CallOrigin;
    readonly requestId: string;
    readonly executionId: string;
    readonly durationMs: number;
    readonly usage: ExecutionUsage | null;
    /** HTTP actions. */
    readonly status?: number;
    /** Rendered error, if it failed. */
    readonly error: string | null;
  }
  | {
    readonly kind: "progress";
    readonly functionKind: FunctionKind;
    readonly identifier: string;
    readonly logLines: readonly LogLine[];
    readonly timestampMs: number;
    readonly requestId: string;
    readonly executionId: string;
  };
