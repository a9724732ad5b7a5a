/** Messages between the server's main thread and the committer's thread, and what a commit is made of. */
import type { CatalogData, IndexId } from "../database/catalog.ts";
import type { ReadSet } from "../database/read_set.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { IndexPoint, WriteSet } from "../database/write_set.ts";
import type { DocumentImport } from "../persistence/document_import.ts";
import type {
  CatalogChange,
  SessionRecord,
  TransactionOrigin,
} from "../persistence/persistence.ts";

/** A finished mutation that asks to be committed. */
export interface CommitRequest {
  readonly snapshot: Timestamp;
  readonly structureVersion: number;
  readonly reads: ReadSet;
  readonly writes: WriteSet;
  /** Absent for writes made by the server itself. */
  readonly origin?: TransactionOrigin;
  /** The mutation, as `dir/mod.js:fn`: what a conflict with these writes names as its `writer`. */
  readonly source?: string;
  /**
   * Sequence numbers of earlier transactions of the same isolate whose writes this one read before they were
   * decided. Their write log entries are no conflict for it; if one of them did not commit, it conflicts.
   */
  readonly dependsOn: readonly number[];
  readonly session?: {
    readonly sessionId: string;
    readonly requestId: number;
    readonly result: string;
    readonly logLines: string;
  };
}

/** Writes of the server itself to system tables, and what they depend on. */
export type ServerWrites = Pick<CommitRequest, "snapshot" | "reads" | "writes">;

export type CommitOutcome =
  | { readonly kind: "committed"; readonly timestamp: Timestamp }
  /** `table`/`id` name a document that changed, when known; `writer` the `source` of what changed it. */
  | {
    readonly kind: "conflict";
    readonly table?: string;
    readonly id?: string;
    readonly writer?: string;
  }
  /** This session request had already committed; nothing was written now. */
  | { readonly kind: "replayed"; readonly record: SessionRecord };

/** One applied commit as subscribers need it: every index key, old or new, of every document it wrote. */
export interface AppliedCommit {
  readonly timestamp: Timestamp;
  readonly keys: readonly IndexPoint[];
}

/** The committer as the rest of the server sees it. */
export interface CommitterClient {
  /** Newest timestamp that is visible to new snapshots, as far as this thread has been told. */
  readonly appliedTimestamp: Timestamp;
  /** Newest timestamp that is on disk. */
  readonly durableTimestamp: Timestamp;
  /** Resolves as soon as the outcome is decided and visible; await `durable(timestamp)` before telling anybody. */
  commit(request: CommitRequest): Promise<CommitOutcome>;
  /** Resolves when everything up to `timestamp` is on disk. */
  durable(timestamp: Timestamp): Promise<void>;
  /**
   * Applies a catalog change, with `documents` in the same commit; resolves when it is durable. `onVisible` is called
   * before, as soon as snapshots see it. Rejects with a write conflict when a document was changed meanwhile.
   */
  changeCatalog(
    change: CatalogChange,
    onVisible?: () => void,
    documents?: ServerWrites,
  ): Promise<{ timestamp: Timestamp; catalog: CatalogData }>;
  /**
   * Applies the end of an import, whose documents are in the file at `path`, with `documents` in the same commit;
   * resolves when it is durable. `onVisible` is called before, as soon as snapshots see it. Subscribers to the imported
   * tables are not told. Rejects with the code `ImportConflict` when what it was prepared for has changed.
   */
  importDocuments(
    change: DocumentImport,
    path: string,
    documents: ServerWrites,
    onVisible: () => void,
  ): Promise<{ timestamp: Timestamp; catalog: CatalogData }>;
  /**
   * Fills indexes of one table, in one pass and in bounded steps between commits; resolves when their states say
   * that they are filled. Rejects with the code `IndexDropped` when none of them is left.
   */
  backfill(indexes: readonly IndexId[]): Promise<void>;
  /** Called for each group of commits in order, in the same turn in which `appliedTimestamp` advances. */
  onApplied(listener: (commits: readonly AppliedCommit[]) => void): void;
  /** Called when the committer can no longer guarantee durability; the server must stop. */
  onFatal(listener: (error: Error) => void): void;
  close(): Promise<void>;
}
