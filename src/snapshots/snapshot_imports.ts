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
import { systemTables } from "../database/catalog.ts";
import type { Transaction } from "../database/transaction.ts";
import type { Environment } from "../environment.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import { PersistenceError } from "../persistence/persistence_error.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import type { SnapshotReader } from "../persistence/persistence.ts";
import { idTableNumber } from "../values/document_id.ts";
import type { ValueObject } from "../values/value.ts";
import { importError } from "./import_error.ts";
import type { ImportMode } from "./import_plan.ts";
import { type ImportFormat, type ImportSource, openTableFile, openZip } from "./import_source.ts";
import { confirmationOf } from "./import_summary.ts";
import { removeIfThere } from "./snapshot_files.ts";
import { type StagedImport, stageImport } from "./staged_import.ts";
import { Uploads } from "./uploads.ts";

export interface ImportRequest {
  readonly format: ImportFormat;
  readonly mode: ImportMode;
  /** For every format but ZIP. */
  readonly tableName?: string | undefined;
  /** Absent or empty: the app. */
  readonly componentPath?: string | undefined;
}

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

const modeNames = {
  requireEmpty: "RequireEmpty",
  append: "Append",
  replace: "Replace",
  replaceAll: "ReplaceAll",
} as const;
const formatNames = {
  csv: "csv",
  jsonLines: "jsonl",
  jsonArray: "json_array",
  zip: "zip",
} as const;

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
    this.#uploads = new Uploads(join(parts.dataFolder, "imports", "uploads"), parts.environment);
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
    const { mode, format, tableName, componentPath = "" } = request;
    const id = await this.#parts.transactions.write(
      ({ system }) =>
        system.insert("_snapshot_imports", {
          state: { state: "uploaded" },
          mode: modeNames[mode],
          format: {
            format: formatNames[format],
            ...tableName !== undefined && { table: tableName },
          },
          component_path: componentPath,
          requestor: "snapshotImport",
        }),
      async (id) => await Deno.rename(received, this.#uploadOf(id)),
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
    const part = await this.#uploads.addPart(token, 1, chunks);
    const id = await this.finishUpload(token, [part], request);
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

  async #open(id: string, { format, tableName }: ImportRequest): Promise<ImportSource> {
    const path = this.#uploadOf(id);
    if (format === "zip") return await openZip(path);
    const name = tableName!;
    const isOptional = (field: string) => this.#isOptional(name, field);
    return openTableFile(path, format, { name, isOptional });
  }

  /** Whether the schema lets a document of the table be without the field. */
  #isOptional(table: string, field: string): boolean {
    const snapshot = this.#parts.reader.open();
    const schema = snapshot.catalog.data.activeSchema;
    snapshot.close();
    const type = schema?.tables.find(({ tableName }) => tableName === table)?.documentType as
      | { type: string; value: Record<string, { optional?: boolean }> }
      | null
      | undefined;
    return type?.type === "object" && Object.hasOwn(type.value, field) &&
      type.value[field]!.optional === true;
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
        await this.#removeKept(staged);
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

  async #removeKept({ files }: StagedImport): Promise<void> {
    for (const { id } of files) await this.#parts.files.removeUnused(id);
  }

  async #fail(id: string, error: unknown): Promise<void> {
    const isTheirs = error instanceof RequestError || error instanceof DeveloperError ||
      error instanceof PersistenceError;
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

function checkRequest({ format, tableName }: ImportRequest): void {
  if ((format === "zip") === (tableName === undefined)) return;
  throw importError(
    "InvalidImport",
    format === "zip" ? "A ZIP names its tables itself." : "`tableName` is needed for this format.",
  );
}

function requestOf({ mode, format, component_path }: ValueObject): ImportRequest {
  const { format: name, table } = format as ValueObject;
  return {
    mode: nameOf(modeNames, mode as string),
    format: nameOf(formatNames, name as string),
    tableName: table as string | undefined,
    componentPath: component_path as string | undefined,
  };
}

function nameOf<Name extends string>(names: Readonly<Record<Name, string>>, value: string): Name {
  return (Object.keys(names) as Name[]).find((name) => names[name] === value)!;
}

function unfinishedImports({ system }: Transaction): ValueObject[] {
  return system.openQuery({
    source: { type: "FullTableScan", tableName: "_snapshot_imports", order: "asc" },
    operators: [],
  }).collect().filter(isUnfinished);
}

function isUnfinished(document: ValueObject): boolean {
  return !["completed", "failed"].includes(stateOf(document));
}

function stateOf({ state }: ValueObject): string {
  return (state as ValueObject).state as string;
}

function failed(message: string): ValueObject {
  return { state: "failed", error_message: message };
}

function mustBeImport(id: string, document: ValueObject | null): ValueObject {
  if (document !== null && idTableNumber(id) === systemTables._snapshot_imports) return document;
  throw new RequestError(
    "badRequest",
    "ImportNotFound",
    `There is no import ${JSON.stringify(id)}.`,
  );
}
