/**
 * Exports of the data as ZIP files, one at a time (deploy-protocol 9). What becomes of one stands in its document
 * of `_exports`:
 *
 *     requested ──▶ in_progress ──▶ completed    its file lies in `<data>/exports/` until it expires
 *         └──────────────┴────────▶ failed | canceled
 *
 * An export that a stopped server left unfinished begins again at the next start, on the snapshot of then.
 */
import { join } from "node:path";
import type { CommitterClient } from "../committer/protocol.ts";
import type { Environment } from "../environment.ts";
import { RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import { databasePath } from "../persistence/data_folder.ts";
import type { RemovalHold } from "../persistence/removal_hold.ts";
import { syncFolder } from "../persistence/sync_folder.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import { openSnapshotReader } from "../persistence/snapshot_reader.ts";
import type { Transaction } from "../database/transaction.ts";
import { idTableNumber } from "../values/document_id.ts";
import { systemTables } from "../database/catalog.ts";
import type { ValueObject } from "../values/value.ts";
import { writeExportZip } from "./export_zip.ts";
import { removeIfThere, writeAll } from "./snapshot_files.ts";

export interface SnapshotExportsParts {
  readonly dataFolder: string;
  readonly transactions: ServerTransactions;
  readonly committer: Pick<CommitterClient, "durable">;
  readonly removals: RemovalHold;
  readonly environment: Environment;
  readonly fileStorageSecret: string;
  readonly instanceName: string;
  /** The bytes of a stored file, by its key. */
  readonly openFile: (key: string) => Promise<Deno.FsFile>;
}

/** A finished export to be downloaded. */
export interface ExportFile {
  readonly fileName: string;
  readonly size: number;
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
}

const lifetimeNs = 2n * 24n * 60n * 60n * 1_000_000_000n;
const unfinished = ["requested", "in_progress"];

export class SnapshotExports {
  readonly #parts: SnapshotExportsParts;
  /** Of the export that runs. */
  #running: { readonly id: string; readonly abort: AbortController } | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(parts: SnapshotExportsParts) {
    this.#parts = parts;
  }

  get #folder(): string {
    return join(this.#parts.dataFolder, "exports");
  }

  /** At start: goes on with what an earlier run of the server left, and removes what nobody refers to. */
  async recover(): Promise<void> {
    await this.#removeExpired();
    const documents = this.#parts.transactions.read((transaction) => allExports(transaction));
    await this.#removeStrayFiles(new Set(documents.map(({ _id }) => `${_id}.zip`)));
    const left = documents.find(({ state }) => unfinished.includes(state as string));
    if (left !== undefined) this.#start(left._id as string);
  }

  async #removeStrayFiles(known: ReadonlySet<string>): Promise<void> {
    const entries = await Array.fromAsync(Deno.readDir(this.#folder)).catch(() => []);
    for (const { name } of entries) {
      if (!known.has(name)) await removeIfThere(join(this.#folder, name));
    }
  }

  /**
   * Asks for an export; it runs in the background.
   * @throws RequestError while there is another one.
   */
  async request(includeStorage: boolean): Promise<void> {
    await this.#removeExpired();
    const id = await this.#parts.transactions.write((transaction) => {
      if (allExports(transaction).some(({ state }) => unfinished.includes(state as string))) {
        throw new RequestError(
          "badRequest",
          "ExportInProgress",
          "There is already an export requested or in progress.",
        );
      }
      return transaction.system.insert("_exports", {
        state: "requested",
        format: { format: "zip", include_storage: includeStorage },
        requestor: "snapshotExport",
      });
    });
    this.#start(id);
  }

  /** @throws RequestError when there is no such export, or it has ended. */
  async cancel(id: string): Promise<void> {
    await this.#change(id, ({ state }) => {
      if (unfinished.includes(state as string)) return { state: "canceled" };
      throw new RequestError("badRequest", "ExportNotInProgress", `The export ${id} has ended.`);
    });
    if (this.#running?.id === id) this.#running.abort.abort();
  }

  /** Sets when the file of an export is removed, in nanoseconds since the epoch. */
  async setExpiration(id: string, expirationTs: bigint): Promise<void> {
    await this.#change(id, ({ state }) => {
      if (state === "completed") return { expiration_ts: expirationTs };
      throw new RequestError("badRequest", "ExportNotCompleted", `The export ${id} has no file.`);
    });
    await this.#removeExpired();
  }

  /**
   * The file of an export, named by its id or its `start_ts`.
   * @throws RequestError when there is none.
   */
  async open(name: string): Promise<ExportFile> {
    await this.#removeExpired();
    const document = this.#parts.transactions.read((transaction) =>
      allExports(transaction).find(({ _id, start_ts }) => _id === name || `${start_ts}` === name)
    );
    if (document === undefined) {
      if (!/^\d{1,20}$/.test(name)) checkId(name);
      throw unknownExport(name);
    }
    if (document.state !== "completed") {
      throw new RequestError("badRequest", "ExportNotCompleted", `The export ${name} has no file.`);
    }
    const file = await Deno.open(this.#pathOf(document._id as string));
    return {
      fileName: `snapshot_${this.#parts.instanceName}_${document.start_ts}.zip`,
      size: Number(document.size),
      body: file.readable,
    };
  }

  /** Ends what runs; the next start begins it again. */
  async close(): Promise<void> {
    this.#running?.abort.abort();
    await this.#ended;
  }

  /** One that was canceled may still be about to end. */
  #start(id: string): void {
    const abort = new AbortController();
    const running = this.#running = { id, abort };
    const before = this.#ended;
    this.#ended = this.#run(id, abort.signal)
      .catch((error) => log("error", "What became of an export could not be noted", { error }))
      .then(() => {
        if (this.#running === running) this.#running = undefined;
        return before;
      });
  }

  async #run(id: string, signal: AbortSignal): Promise<void> {
    const path = this.#pathOf(id);
    try {
      const completed = await this.#write(id, path, signal);
      await this.#advance(id, completed);
    } catch (error) {
      await removeIfThere(path);
      if (signal.aborted || error instanceof Canceled) return;
      log("error", "An export failed", { error });
      await this.#change(
        id,
        ({ state }) => state === "canceled" ? {} : { state: "failed", failed_ts: this.#nowNs() },
      );
    }
  }

  /** Writes the file and returns what is to be said of it. */
  async #write(id: string, path: string, signal: AbortSignal): Promise<ValueObject> {
    const { dataFolder, committer, removals, fileStorageSecret, openFile } = this.#parts;
    const release = removals.hold();
    const reader = openSnapshotReader(databasePath(dataFolder));
    try {
      const snapshot = reader.open();
      await committer.durable(snapshot.timestamp);
      const startTs = BigInt(snapshot.timestamp) * 1000n;
      const { format } = await this.#advance(id, {
        state: "in_progress",
        start_ts: startTs,
        progress_message: "Beginning export",
      });
      await Deno.mkdir(this.#folder, { recursive: true });
      using file = await Deno.create(path);
      await writeExportZip({
        snapshot,
        fileStorageSecret,
        ...(format as ValueObject).include_storage === true && {
          openFile: async (key: string) => (await openFile(key)).readable,
        },
        onProgress: async (message) => {
          await this.#advance(id, { progress_message: message });
        },
      }, { target: new WritableStream({ write: (chunk) => writeAll(file, chunk) }), signal });
      await file.sync();
      await syncFolder(this.#folder);
      const { size } = await file.stat();
      const completeTs = this.#nowNs();
      return {
        state: "completed",
        complete_ts: completeTs,
        expiration_ts: completeTs + lifetimeNs,
        zip_object_key: `${id}.zip`,
        size: BigInt(size),
      };
    } finally {
      reader.close();
      release();
    }
  }

  /** Notes how far an export is, unless somebody has canceled it meanwhile. @throws Canceled */
  #advance(id: string, fields: ValueObject): Promise<ValueObject> {
    return this.#change(id, ({ state }) => {
      if (state === "canceled") throw new Canceled();
      return fields;
    });
  }

  /** Changes fields of an export and returns what it was before. */
  async #change(
    id: string,
    fieldsOf: (document: ValueObject) => ValueObject,
  ): Promise<ValueObject> {
    checkId(id);
    return await this.#parts.transactions.write(({ system }) => {
      const document = system.get(id);
      if (document === null) throw unknownExport(id);
      system.patch(id, fieldsOf(document));
      return document;
    });
  }

  async #removeExpired(): Promise<void> {
    const now = this.#nowNs();
    const removed = await this.#parts.transactions.write((transaction) => {
      const expired = allExports(transaction)
        .filter(({ expiration_ts: at }) => typeof at === "bigint" && at <= now)
        .map(({ _id }) => _id as string);
      for (const id of expired) transaction.system.delete(id);
      return expired;
    });
    for (const id of removed) await removeIfThere(this.#pathOf(id));
  }

  #pathOf(id: string): string {
    return join(this.#folder, `${id}.zip`);
  }

  #nowNs(): bigint {
    return BigInt(this.#parts.environment.nowMs()) * 1_000_000n;
  }
}

/** Ends an export that nobody wants any more. */
class Canceled extends Error {
  override name = "Canceled";
}

function allExports({ system }: Transaction): ValueObject[] {
  return system.openQuery({
    source: { type: "FullTableScan", tableName: "_exports", order: "asc" },
    operators: [],
  }).collect();
}

function checkId(id: string): void {
  if (idTableNumber(id) === systemTables._exports) return;
  throw new RequestError("badRequest", "BadSnapshotId", `${JSON.stringify(id)} names no export.`);
}

function unknownExport(id: string): RequestError {
  return new RequestError(
    "notFound",
    "ExportNotFound",
    `There is no export ${id}. It may have expired.`,
  );
}
