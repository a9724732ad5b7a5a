/** What the log keeps of each execution of a function. */
import type { ExecutionUsage, FunctionKind, LogLine } from "../isolate/protocol.ts";

export type CallOrigin =
  | "SyncWorker"
  | "HttpApi"
  | "HttpEndpoint"
  | "Scheduler"
  | "Cron"
  | "Action"
  | "Tester";

/** Whose rights an execution had; `system` is the server itself, without a user. */
export type IdentityType = "anonymous" | "user" | "admin" | "system";

interface CommonFields {
  readonly functionKind: FunctionKind;
  /** `messages:list`, or `GET /x` for an HTTP action. */
  readonly identifier: string;
  /** Of the component that it is part of; absent for the app. */
  readonly componentPath?: string;
  readonly logLines: readonly LogLine[];
  readonly timestampMs: number;
  readonly requestId: string;
  readonly executionId: string;
  /** The action that called it. */
  readonly parentExecutionId?: string;
}

/** The end of an execution. */
export interface CompletionEntry extends CommonFields {
  readonly kind: "completion";
  readonly environment: "isolate" | "node";
  /** The result came from the cache; nothing was executed. */
  readonly cached: boolean;
  readonly origin: CallOrigin;
  readonly identityType: IdentityType;
  readonly durationMs: number;
  readonly usage: ExecutionUsage | null;
  /** Size of its result; absent when it failed or came from the cache. */
  readonly returnBytes?: number;
  /** HTTP actions. */
  readonly status?: number;
  /** Rendered error, if it failed. */
  readonly error: string | null;
}

/** Lines that an action printed while it runs. */
export interface ProgressEntry extends CommonFields {
  readonly kind: "progress";
}

export type LogEntry = CompletionEntry | ProgressEntry;

/** An entry at its place in the log. Cursors grow from entry to entry. */
export interface LoggedEntry {
  /** Milliseconds since the epoch, with fractions to tell apart those of the same one. */
  readonly cursor: number;
  readonly entry: LogEntry;
}

/** Roughly how much room an entry takes, in characters of its JSON text. */
export function entrySize(entry: LogEntry): number {
  let characters = emptyEntryCharacters;
  for (const { messages } of entry.logLines) {
    characters += emptyLineCharacters;
    for (const message of messages) characters += message.length;
  }
  return entry.kind === "completion" && entry.error !== null
    ? characters + entry.error.length
    : characters;
}

const emptyEntryCharacters = 400;
const emptyLineCharacters = 70;
