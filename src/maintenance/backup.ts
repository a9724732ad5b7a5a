/**
 * Backups of a data folder: of a stopped one, or while a server writes to it.
 *
 *   1. From now on no file is removed from the folder.
 *   2. The database is copied as of one commit. What the copy refers to is there, because of 1, and never
 *      changes, because files are named once; so copy and files together are one point in time.
 *   3. The backup leaves piece by piece, when that commit is certain to last.
 *
 * The admin key is not part of it: whoever gets hold of a backup must not get hold of the server too. Nor is the
 * key that environment variables are encrypted under: these open other people's doors.
 */
import { join } from "node:path";
import type { Timestamp } from "../database/timestamp.ts";
import { RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import type { RemovalHold } from "../persistence/removal_hold.ts";
import { copyDatabase, removeDatabaseCopy } from "../persistence/database_copy.ts";
import { layoutVersion } from "../persistence/migrations.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import { lockStopped } from "../persistence/stopped_folder.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { openSnapshotReader } from "../persistence/snapshot_reader.ts";
import { type BackupFile, databaseName, writeBackup } from "./backup_format.ts";
import { deployedModules, moduleFiles, newestTimestamp, storedFiles } from "./data_folder_files.ts";

const chunkBytes = 64 * 1024;

type Chunks = AsyncGenerator<Uint8Array<ArrayBuffer>>;

export interface LiveBackupsOptions {
  readonly dataFolder: string;
  /** Version of Hull. */
  readonly version: string;
  readonly removals: RemovalHold;
  /** Resolves when everything up to the timestamp is on disk. */
  readonly durable: (timestamp: Timestamp) => Promise<void>;
}

/** Backups of a running server's data folder. */
export class LiveBackups {
  readonly #options: LiveBackupsOptions;
  #isRunning = false;

  constructor(options: LiveBackupsOptions) {
    this.#options = options;
  }

  /**
   * Begins a backup of the newest state; resolves when that state is fixed, with the backup's bytes. It ends
   * when they were read, or are let go of.
   * @throws RequestError while there is another one, and when the database cannot be copied.
   */
  async begin(): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
    if (this.#isRunning) {
      throw new RequestError(
        "conflict",
        "BackupRunning",
        "Another backup is running. Wait for it.",
      );
    }
    this.#isRunning = true;
    const { dataFolder, version, removals, durable } = this.#options;
    const release = removals.hold();
    const end = () => {
      this.#isRunning = false;
      release();
    };
    const chunks = backUp(dataFolder, version, durable, end);
    // The state is fixed when it has its first bytes. Whoever lets go of it ends it, because it has begun.
    const first = await chunks.next().catch(refuse);
    return new ReadableStream({
      start: (controller) => controller.enqueue(first.value!),
      async pull(controller) {
        const { done, value } = await chunks.next().catch(breakOff);
        if (done) controller.close();
        else controller.enqueue(value);
      },
      async cancel() {
        await chunks.return(undefined);
      },
    });
  }
}

/** Nothing has left yet, so the client can be told. */
function refuse(error: unknown): never {
  if (!(error instanceof PersistenceError)) throw error;
  throw new RequestError("overloaded", error.code, error.message, { cause: error });
}

/** The client sees no more than that the backup has no end. */
function breakOff(error: unknown): never {
  log("error", "A backup broke off", { error });
  throw error;
}

/**
 * A backup of a folder that no server uses.
 * @throws PersistenceError when one does, or there is no database.
 */
export function backUpStopped(dataFolder: string, version: string): Chunks {
  const lock = lockStopped(dataFolder);
  return backUp(dataFolder, version, async () => {}, () => lock.close());
}

async function* backUp(
  dataFolder: string,
  version: string,
  durable: (timestamp: Timestamp) => Promise<void>,
  end: () => void,
): Chunks {
  try {
    const copy = await copyDatabase(dataFolder);
    const reader = openSnapshotReader(copy);
    try {
      const timestamp = newestTimestamp(reader);
      await durable(timestamp);
      const header = { hull: version, layout: layoutVersion, timestamp };
      yield* writeBackup(header, filesOf(dataFolder, reader, copy));
    } finally {
      reader.close();
      removeDatabaseCopy(dataFolder);
    }
  } finally {
    end();
  }
}

async function* filesOf(
  dataFolder: string,
  reader: SnapshotReader,
  copy: string,
): AsyncGenerator<BackupFile> {
  for (const path of moduleFiles(deployedModules(reader))) {
    yield await fileOf(path, join(dataFolder, path));
  }
  for (const { path } of storedFiles(reader)) yield await fileOf(path, join(dataFolder, path));
  yield await fileOf(databaseName, copy);
}

async function fileOf(name: string, path: string): Promise<BackupFile> {
  const { size } = await Deno.stat(path).catch((cause) => {
    throw new Error(
      `${path}, which belongs to the data, cannot be read. Run \`hull check\` on the data folder.`,
      { cause },
    );
  });
  return { name: name.replaceAll("\\", "/"), size, chunks: readFile(path) };
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  using file = await Deno.open(path);
  for (;;) {
    const buffer = new Uint8Array(chunkBytes);
    const count = await file.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}
