/** Messages between the committer's thread and the main thread; each post carries an array of them. */
import type { CatalogData, IndexId } from "../database/catalog.ts";
import type { Timestamp } from "../database/timestamp.ts";
import { type ErrorKind, RequestError } from "../errors.ts";
import type { DocumentImport } from "../persistence/document_import.ts";
import type { CatalogChange } from "../persistence/persistence.ts";
import { PersistenceError, type PersistenceErrorCode } from "../persistence/persistence_error.ts";
import type { AppliedCommit, CommitOutcome, CommitRequest, ServerWrites } from "./protocol.ts";

export type ToCommitter =
  | { readonly type: "commit"; readonly id: number; readonly request: CommitRequest }
  | {
    readonly type: "changeCatalog";
    readonly id: number;
    readonly change: CatalogChange;
    readonly documents?: ServerWrites;
  }
  | {
    readonly type: "importDocuments";
    readonly id: number;
    readonly change: DocumentImport;
    /** Of the file with the documents. */
    readonly path: string;
    readonly documents: ServerWrites;
  }
  | { readonly type: "backfill"; readonly id: number; readonly indexes: readonly IndexId[] }
  | { readonly type: "close" };

export type FromCommitter =
  /** First of all; `timestamp` is on disk. */
  | { readonly type: "opened"; readonly timestamp: Timestamp }
  /** Visible from now on. Comes before the answers to the requests that these commits stem from. */
  | { readonly type: "applied"; readonly commits: readonly AppliedCommit[] }
  | { readonly type: "durable"; readonly timestamp: Timestamp }
  | { readonly type: "decided"; readonly id: number; readonly outcome: CommitOutcome }
  /** Answer to `changeCatalog` and `backfill`. */
  | {
    readonly type: "catalogChanged";
    readonly id: number;
    readonly timestamp: Timestamp;
    readonly catalog: CatalogData;
  }
  | { readonly type: "failed"; readonly id: number; readonly error: ErrorData }
  /** How long something took, for metrics. */
  | { readonly type: "timed"; readonly what: TimedWork; readonly durationMs: number }
  /** The last message: nothing can be opened, or nothing is certain any more. */
  | { readonly type: "fatal"; readonly error: ErrorData }
  | { readonly type: "closed" };

/** Deciding and applying a group of transactions; flushing the log. */
export type TimedWork = "group" | "sync";

/** An error as it crosses threads, which would otherwise strip it of its class and code. */
export interface ErrorData {
  readonly kind: ErrorKind | "persistence" | "other";
  readonly code: string;
  readonly message: string;
  readonly stack: string | undefined;
}

export function encodeError(error: unknown): ErrorData {
  if (!(error instanceof Error)) return encodeError(new Error(String(error)));
  const { message, stack } = error;
  if (error instanceof RequestError) return { kind: error.kind, code: error.code, message, stack };
  if (error instanceof PersistenceError) {
    return { kind: "persistence", code: error.code, message, stack };
  }
  return { kind: "other", code: "", message, stack };
}

export function decodeError({ kind, code, message, stack }: ErrorData): Error {
  const error = kind === "other"
    ? new Error(message)
    : kind === "persistence"
    ? new PersistenceError(code as PersistenceErrorCode, message)
    : new RequestError(kind, code, message);
  if (stack !== undefined) error.stack = stack;
  return error;
}
