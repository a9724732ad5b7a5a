/** A committer and a reader over a database in memory, without threads. */
import { ThreadCommitterClient } from "../../src/committer/client.ts";
import type { CommitterClient } from "../../src/committer/protocol.ts";
import { ServerTransactions } from "../../src/persistence/server_transactions.ts";
import { CommitterService } from "../../src/committer/service.ts";
import { defaultConfig } from "../../src/config.ts";
import type { Environment } from "../../src/environment.ts";
import { MemoryPersistence } from "../../src/persistence/memory.ts";
import type { SnapshotReader } from "../../src/persistence/persistence.ts";

export interface MemoryDatabase {
  readonly committer: CommitterClient;
  readonly reader: SnapshotReader;
  readonly transactions: ServerTransactions;
}

/** Opens the database; opening the same `persistence` again is a restart. */
export function openMemoryDatabase(
  environment: Environment,
  persistence: MemoryPersistence = new MemoryPersistence(),
): MemoryDatabase {
  // Messages arrive in turns of their own, as between threads.
  const committer = new ThreadCommitterClient((messages) =>
    setImmediate(() => service.receive(messages))
  );
  const service: CommitterService = new CommitterService(
    persistence.openWriter(),
    environment,
    (messages) => setImmediate(() => committer.receive(messages)),
  );
  const reader = persistence.openReader();
  const parts = { committer, reader, environment, config: defaultConfig };
  return { committer, reader, transactions: new ServerTransactions(parts) };
}
