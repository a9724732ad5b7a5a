/**
 * Imports of data (deploy-protocol 10). What becomes of one stands in its document of `_snapshot_imports`:
 *
 *     uploaded ──▶ waiting_for_confirmation ──▶ in_progress ──▶ completed
 *         └──────────────────┴───────────────────────┴────────▶ failed
 *
 * The upload lies in `<data>/imports/` until one of the two ends. It is read, checked and turned into what is to be
 * committed before anybody is asked; one commit then brings in everything and says that the import is completed. So
 * a server that is killed leaves the old data or the new, and its next start goes on where the document says.
 */
import { join } from "node:path";
import type { CommitterClient } from "../committer/protocol.ts";
import type { Environment } from "../environment.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import { syncFolder } from "../persistence/sync_folder.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import type { ValueObject } from "../values/value.ts";
import {
  checkRequest,
  failed,
  type ImportRequest,
  isUnfinished,
  mustBeImport,
  requestOf,
  stateOf,
  unfinishedImports,
  uploadedImport,
} from "./import_document.ts";
import { importError } from "./import_error.ts";
import { type ImportSource, openTableFile, openZip } from "./import_source.ts";
import { mustComponent, optionalFields } from "./import_target.ts";
import { confirmationOf } from "./import_summary.ts";
import { removeIfThere, uploadsFolder } from "./snapshot_files.ts";
import { type StagedImport, stageImport } from "./staged_import.ts";
import { Uploads } from "./uploads.ts";

export interface SnapshotImportsParts {
  readonly dataFolder: string;
  readonly transactions: ServerTransactions;
  readonly committer: Pick<CommitterClient, "importDocuments">;
  /** Of this thread. */
  readonly reader: SnapshotReader;
  readonly environment: Environment;
  readonly files: ImportedFiles;
  /** Ends all results of queries: everything may be another one now. */
  readonly endResults: () => void;
}

/** Where the bytes of imported files go. */
export interface ImportedFiles {
  receive(
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<{ path: string; size: number; sha256: string }>;
  discard(path: string): Promise<void>;
  /** Gives received bytes the name that belongs to the id. */
  keep(path: string, id: string): Promise<void>;
  /** Removes the bytes under the id unless there is a document for them. */
  removeUnused(id: string): Promise<void>;
}

/** The deployment may change between the preparation of an import and its end; then it is prepared again. */
const attemptsMax = 5;
/** Who has not confirmed by then does not want to. */
const confirmationMaxMs = 24 * 60 * 60 * 1000;

export class SnapshotImports {
  readonly #parts: SnapshotImportsParts;
  readonly #uploads: Uploads;
  /** By id, as long as they wait for their confirmation. */
  readonly #staged = new Map<string, StagedImport>();
  readonly #stopping = new AbortController();
  /** One import is read, or committed, at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: SnapshotImportsParts) {
    this.#parts = parts;
    this.#uploads = new Uploads(uploadsFolder(parts.dataFolder), parts.environment);
  }

  get #folder(): string {
    return join(this.#parts.dataFolder, "imports");
  }

  /** At start: goes on with what an earlier run of the server left, and removes what nobody refers to. */
  async recover(): Promise<void> {
    await this.#uploads.recover();
    await this.#failForgotten();
    const left = this.#parts.transactions.read(unfinishedImports);
    const known = new Set(left.map(({ _id }) => `${_id}.upload`));
    const entries = await Array.fromAsync(Deno.readDir(this.#folder)).catch(() => []);
    for (const { name } of entries) {
      if (!known.has(name)) await removeIfThere(join(this.#folder, name));
    }
    for (const document of left) {
      const id = document._id as string;
      const state = stateOf(document);
      if (state === "uploaded") this.#inTurn(id, () => this.#prepare(id));
      if (state === "in_progress") this.#inTurn(id, () => this.#finish(id));
    }
  }

  async startUpload(): Promise<string> {
    await this.#failForgotten();
    return await this.#uploads.start();
  }

  async uploadPart(
    token: string,
    part: number,
    chunks: AsyncIterable<Uint8Array>,
  ): Promise<string> {
    return await this.#uploads.addPart(token, part, chunks);
  }

  /** Begins an import of what was uploaded and returns its id. */
  async finishUpload(
    token: string,
    parts: readonly string[],
    request: ImportRequest,
  ): Promise<string> {
    checkRequest(request);
    const received = join(this.#folder, `${token}.received`);
    await this.#uploads.finish(token, parts, received);
    let upload = received;
    const id = await this.#parts.transactions.write(
      ({ system }) => system.insert("_snapshot_imports", uploadedImport(request)),
      async (id) => {
        await Deno.rename(upload, this.#uploadOf(id));
        upload = this.#uploadOf(id);
        // The document must not outlive the name of what it refers to.
        await syncFolder(this.#folder);
      },
    );
    this.#inTurn(id, () => this.#prepare(id));
    return id;
  }

  /** Brings in what somebody has confirmed; it goes on in the background. */
  async perform(id: string): Promise<void> {
    await this.#change(id, (document) => {
      if (stateOf(document) !== "waiting_for_confirmation") {
        throw importError("ImportNotWaiting", `The import ${id} does not wait for confirmation.`);
      }
      const documents = this.#staged.get(id)?.documents;
      return {
        state: "in_progress",
        progress_message: documents === undefined
          ? "Importing"
          : `Importing ${documents} documents`,
        checkpoint_messages: [],
      };
    });
    this.#inTurn(id, () => this.#finish(id));
  }

  async cancel(id: string): Promise<void> {
    await this.#change(id, (document) => {
      if (isUnfinished(document)) return failed("Import was canceled");
      throw importError("ImportEnded", `The import ${id} has ended.`);
    });
    await this.#forget(id);
  }

  /** Brings in a file at once, and returns how many documents that were. */
  async importNow(chunks: AsyncIterable<Uint8Array>, request: ImportRequest): Promise<number> {
    checkRequest(request);
    const token = await this.startUpload();
    let id: string;
    try {
      const part = await this.#uploads.addPart(token, 1, chunks);
      id = await this.finishUpload(token, [part], request);
    } catch (error) {
      await this.#uploads.discard(token);
      throw error;
    }
    await this.#last;
    if (stateOf(this.#mustFind(id)) === "waiting_for_confirmation") {
      await this.perform(id);
      await this.#last;
    }
    const { state } = this.#mustFind(id) as { state: ValueObject };
    if (state.state === "completed") return Number(state.num_rows_written);
    throw importError("ImportFailed", String(state.error_message));
  }

  /** Ends what runs; the next start goes on with it. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#last;
  }

  /** Runs a step of an import when the others have ended. What is wrong with the import stands in its document. */
  #inTurn(id: string, step: () => Promise<void>): void {
    this.#last = this.#last.then(async () => {
      if (this.#stopping.signal.aborted) return;
      try {
        await step();
      } catch (error) {
        if (!this.#stopping.signal.aborted) await this.#fail(id, error);
      }
    }).catch((error) => log("error", "What became of an import could not be noted", { id, error }));
  }

  async #prepare(id: string): Promise<void> {
    const document = this.#mustFind(id);
    // It may have been cancelled while others were read.
    if (stateOf(document) !== "uploaded") return;
    const staged = await this.#stage(id, document);
    const { message, isRequired } = confirmationOf(staged.counts);
    this.#staged.set(id, staged);
    const { state } = await this.#change(id, (document) =>
      stateOf(document) === "uploaded"
        ? {
          state: "waiting_for_confirmation",
          message_to_confirm: message,
          require_manual_confirmation: isRequired,
        }
        : document.state as ValueObject);
    if ((state as ValueObject).state !== "uploaded") await this.#forget(id);
  }

  async #stage(id: string, document: ValueObject): Promise<StagedImport> {
    const { reader, environment, files } = this.#parts;
    const request = requestOf(document);
    await using source = await this.#open(id, request);
    return await stageImport(source, {
      openSnapshot: () => reader.open(),
      mode: request.mode,
      component: request.componentPath ?? "",
      environment,
      path: this.#stageOf(id),
      signal: this.#stopping.signal,
      receiveFile: (chunks) => files.receive(chunks),
      discardFile: (path) => files.discard(path),
    });
  }

  async #open(
    id: string,
    { format, tableName, componentPath }: ImportRequest,
  ): Promise<ImportSource> {
    const path = this.#uploadOf(id);
    if (format === "zip") return await openZip(path);
    const name = tableName!;
    const snapshot = this.#parts.reader.open();
    const { data } = snapshot.catalog;
    snapshot.close();
    const optional = optionalFields(data, mustComponent(data, componentPath ?? ""), name);
    return openTableFile(path, format, { name, isOptional: (field) => optional.has(field) });
  }

  async #finish(id: string): Promise<void> {
    for (let attempt = 1;; attempt++) {
      const document = this.#mustFind(id);
      if (stateOf(document) !== "in_progress") return;
      const staged = this.#staged.get(id) ?? await this.#stage(id, document);
      this.#staged.delete(id);
      try {
        await this.#commit(id, staged);
        break;
      } catch (error) {
        await this.#removeFiles(staged);
        const isConflict = error instanceof RequestError && error.code === "ImportConflict";
        if (!isConflict || attempt === attemptsMax) throw error;
      }
    }
    await this.#forget(id);
  }

  async #commit(id: string, { change, documents, files }: StagedImport): Promise<void> {
    const { committer, transactions, environment, endResults } = this.#parts;
    for (const { id, path } of files) await this.#parts.files.keep(path, id);
    const { request } = transactions.prepare(({ system }) => {
      if (stateOf(mustBeImport(id, system.get(id))) !== "in_progress") {
        throw importError("ImportEnded", `The import ${id} was canceled.`);
      }
      system.patch(id, {
        state: {
          state: "completed",
          num_rows_written: BigInt(documents),
          timestamp: BigInt(environment.nowMs()) * 1_000_000n,
        },
      });
    });
    await committer.importDocuments(change, this.#stageOf(id), request, endResults);
  }

  /** Removes the files of an import that was not committed, those that have their name by now and the others. */
  async #removeFiles(staged: StagedImport): Promise<void> {
    const { files } = this.#parts;
    for (const { id, path } of staged.files) {
      await files.discard(path);
      await files.removeUnused(id);
    }
  }

  async #fail(id: string, error: unknown): Promise<void> {
    const isTheirs = error instanceof RequestError || error instanceof DeveloperError ||
      error instanceof PersistenceError;
    // The files of one that was canceled go while it runs; what comes of that interests nobody.
    if (!isUnfinished(this.#mustFind(id))) return await this.#forget(id);
    if (!isTheirs) log("error", "An import failed for a reason that is not its own", { id, error });
    const message = isTheirs ? error.message : "The server failed. Its log says more.";
    await this.#change(
      id,
      (document) =>
        isUnfinished(document)
          ? failed(`Hit an error while importing:\n${message}`)
          : document.state as ValueObject,
    );
    await this.#forget(id);
  }

  /** Removes the files of an import that has ended. */
  async #forget(id: string): Promise<void> {
    const staged = this.#staged.get(id);
    this.#staged.delete(id);
    for (const { path } of staged?.files ?? []) await this.#parts.files.discard(path);
    await removeIfThere(this.#stageOf(id));
    await removeIfThere(this.#uploadOf(id));
  }

  async #failForgotten(): Promise<void> {
    const before = this.#parts.environment.nowMs() - confirmationMaxMs;
    const forgotten = this.#parts.transactions.read(unfinishedImports).filter((document) =>
      stateOf(document) === "waiting_for_confirmation" && Number(document._creationTime) < before
    );
    for (const { _id } of forgotten) {
      await this.#change(_id as string, () => failed("Nobody confirmed the import in time"));
      await this.#forget(_id as string);
    }
  }

  /** Gives an import another state and returns its document as it was before. */
  async #change(
    id: string,
    stateAfter: (document: ValueObject) => ValueObject,
  ): Promise<ValueObject> {
    return await this.#parts.transactions.write(({ system }) => {
      const document = mustBeImport(id, system.get(id));
      system.patch(id, { state: stateAfter(document) });
      return document;
    });
  }

  #mustFind(id: string): ValueObject {
    return this.#parts.transactions.read(({ system }) => mustBeImport(id, system.get(id)));
  }

  #uploadOf(id: string): string {
    return join(this.#folder, `${id}.upload`);
  }

  #stageOf(id: string): string {
    return join(this.#folder, `${id}.staged`);
  }
}
