/** Transactions of the server itself on system tables: jobs and files. They run on this thread, between other work. */
import type { Config } from "../config.ts";
import { Transaction } from "../database/transaction.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { changedSnapshot } from "./changed_snapshot.ts";
import type { CatalogChange, SnapshotReader } from "./persistence.ts";
import type { CommitRequest, CommitterClient } from "../committer/protocol.ts";

export interface ServerTransactionsParts {
  readonly committer: CommitterClient;
  /** Of this thread. */
  readonly reader: SnapshotReader;
  readonly environment: Environment;
  readonly config: Config;
}

/** Conflicts are rare: these transactions touch one document. More in a row mean that something is wrong. */
const attemptsMax = 20;

export class ServerTransactions {
  readonly #parts: ServerTransactionsParts;

  constructor(parts: ServerTransactionsParts) {
    this.#parts = parts;
  }

  /** Reads the newest state. `work` must not wait for anything. */
  read<T>(work: (transaction: Transaction) => T): T {
    return this.#onSnapshot("query", work);
  }

  /**
   * Runs `work` on the newest state and commits what it writes; after a conflict it runs again. Resolves
   * when the commit is on disk. `beforeCommit` is awaited with the result of each run, for what must have
   * happened first.
   */
  async write<T>(
    work: (transaction: Transaction) => T,
    beforeCommit?: (result: T) => Promise<void>,
  ): Promise<T> {
    const { committer } = this.#parts;
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const { result, request } = this.prepare(work);
      await beforeCommit?.(result);
      if (request.writes.documents.length === 0) return result;
      const outcome = await committer.commit(request);
      if (outcome.kind === "committed") {
        await committer.durable(outcome.timestamp);
        return result;
      }
    }
    throw new RequestError(
      "writeConflict",
      "OptimisticConcurrencyControlFailure",
      "Data of the system changed while it was being read, and on every retry.",
    );
  }

  /** Runs `work` on the newest state, or on what `change` would make of it, without committing. */
  prepare<T>(
    work: (transaction: Transaction) => T,
    change?: CatalogChange,
  ): { result: T; request: CommitRequest } {
    return this.#onSnapshot("mutation", (transaction) => {
      // New tables have the numbers that they get, as long as nobody else creates one.
      if (change !== undefined) transaction.userTables();
      const result = work(transaction);
      const { timestamp, catalog } = transaction.options.snapshot;
      const { reads, writes } = transaction.finish();
      const { structureVersion } = catalog.data;
      return {
        result,
        request: { snapshot: timestamp, structureVersion, reads, writes, dependsOn: [] },
      };
    }, change);
  }

  #onSnapshot<T>(
    kind: "query" | "mutation",
    work: (transaction: Transaction) => T,
    change?: CatalogChange,
  ): T {
    const { reader, environment, config } = this.#parts;
    const snapshot = reader.open();
    try {
      return work(
        new Transaction({
          snapshot: change === undefined ? snapshot : changedSnapshot(snapshot, change),
          kind,
          limits: config,
          nowMs: environment.nowMs(),
          randomBytes: (length) => environment.randomBytes(length),
          cursorKey: "",
        }),
      );
    } finally {
      snapshot.close();
    }
  }
}
