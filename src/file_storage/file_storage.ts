/**
 * Stored files: their bytes (file_store.ts) and their documents in `_storage` (semantics 14). A document is
 * committed after its bytes are on disk and deleted before they are removed, so a crash in between leaves
 * bytes without a document, which the next start removes, and never a document without bytes.
 */
import { Buffer } from "node:buffer";
import type { AppliedCommit, CommitterClient } from "../committer/protocol.ts";
import type { RemovalHold } from "../persistence/removal_hold.ts";
import type { ServerTransactions } from "../persistence/server_transactions.ts";
import {
  byIdIndexId,
  type IndexId,
  type TableDefinition,
  tableNamesIndex,
} from "../database/catalog.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import {
  fileKey,
  fileUrl,
  parseFileKey,
  storageDocumentId,
  uploadUrl,
} from "../database/storage_urls.ts";
import type { Timestamp } from "../database/timestamp.ts";
import type { Environment } from "../environment.ts";
import { DeveloperError, RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import type { FileDescription } from "./file_description.ts";
import type { FileStore } from "./file_store.ts";

export interface FileStorageParts {
  readonly store: FileStore;
  readonly transactions: ServerTransactions;
  readonly committer: Pick<CommitterClient, "durable" | "onApplied">;
  readonly removals: RemovalHold;
  readonly environment: Environment;
  /** See src/database/storage_urls.ts. */
  readonly secret: string;
  /** Origin of the API as clients see it now. */
  readonly origin: () => string;
}

/** A file as its document describes it. */
export interface FileDocument {
  /** The UUID of its URL, and its name on disk. */
  readonly key: string;
  readonly size: number;
  /** Base64. */
  readonly sha256: string;
  readonly contentType: string | null;
}

/** The bytes of a new file, piece by piece. */
export type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export class FileStorage {
  readonly #parts: FileStorageParts;
  /** The `by_id` indexes of all `_storage` tables that there were since the start. */
  readonly #byId = new Set<IndexId>();

  constructor(parts: FileStorageParts) {
    this.#parts = parts;
    this.#findIndexes();
    parts.committer.onApplied((commits) => this.#removeDeleted(commits));
  }

  /** At start: removes bytes whose document was never committed, or is deleted. */
  async recover(): Promise<void> {
    const { store, removals } = this.#parts;
    await store.recover(async (key) => {
      await removals.released;
      return !this.#isGone(key);
    });
  }

  /**
   * Stores a file of a component and returns its document id.
   * @throws DeveloperError when the bytes do not have the expected digest; then nothing is stored.
   */
  async add(
    chunks: Chunks,
    description: FileDescription,
    component: ComponentId = appComponent,
  ): Promise<string> {
    const { store, transactions, secret } = this.#parts;
    const { contentType, sha256: expected } = description;
    const received = await store.receive(chunks);
    const { size, sha256 } = received;
    if (expected !== null && expected !== sha256) {
      await store.discard(received);
      throw new DeveloperError(
        "Sha256Mismatch",
        `Sha256 mismatch. Expected: ${expected} Actual: ${sha256}`,
      );
    }
    let { path } = received;
    try {
      return await transactions.write(
        (transaction) => {
          const owner = transaction.ofComponent(component);
          owner.checkWritable();
          return owner.system.insert("_storage", { sha256, size, contentType });
        },
        async (id) => {
          path = await store.keep(path, fileKey(secret, id));
        },
      );
    } catch (error) {
      // Refused, so there is no document. After any other error there may be one.
      if (error instanceof RequestError) await store.discard({ path });
      throw error;
    }
  }

  /** The file with this document id, as of now. */
  find(id: string): FileDocument | null {
    const document = this.#parts.transactions.read(({ system }) => system.get(id));
    if (document === null) return null;
    const { size, sha256, contentType } = document as Record<string, unknown>;
    return {
      key: fileKey(this.#parts.secret, id),
      size: Number(size),
      sha256: String(sha256),
      contentType: contentType === null ? null : String(contentType),
    };
  }

  /** A component's file by the UUID of its URL; undefined when `key` is no UUID. */
  findByKey(
    key: string,
    component: ComponentId = appComponent,
  ): FileDocument | null | undefined {
    const table = this.#tableOf(component);
    const id = parseFileKey(this.#parts.secret, key, table?.number);
    if (id === undefined) return undefined;
    return table === undefined ? null : this.find(id);
  }

  /** A file by what a function of a component calls it. @throws DeveloperError when that is no storage id. */
  findByStorageId(storageId: string, component: ComponentId): FileDocument | null {
    return this.find(this.#documentId(storageId, component));
  }

  /**
   * Opens the bytes of a file at `start`; the caller closes it. Null when the file was deleted after its document
   * had been read.
   */
  async open({ key }: FileDocument, start: number): Promise<Deno.FsFile | null> {
    try {
      return await this.#parts.store.open(key, start);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound && this.#isGone(key)) return null;
      throw error;
    }
  }

  #isGone(key: string): boolean {
    return this.#tables().every(({ number }) => {
      const id = parseFileKey(this.#parts.secret, key, number);
      return id === undefined || this.find(id) === null;
    });
  }

  /** A part of a file, from `start`, of at most `bytesMax`. Null when the file was deleted after its document was read. */
  async read(
    document: FileDocument,
    start: number,
    bytesMax: number,
  ): Promise<Uint8Array<ArrayBuffer> | null> {
    using file = await this.open(document, start);
    if (file === null) return null;
    const bytes = new Uint8Array(Math.max(0, Math.min(bytesMax, document.size - start)));
    for (let length = 0; length < bytes.length;) {
      const count = await file.read(bytes.subarray(length));
      if (count === null) throw new Error("A stored file is shorter than its document says");
      length += count;
    }
    return bytes;
  }

  /** @throws DeveloperError when the component has no such file. */
  async delete(storageId: string, component: ComponentId): Promise<void> {
    const id = this.#documentId(storageId, component);
    await this.#parts.transactions.write((transaction) => {
      transaction.ofComponent(component).checkWritable();
      const { system } = transaction;
      if (system.get(id) === null) {
        throw new DeveloperError("StorageIdNotFound", `storage id ${storageId} not found`);
      }
      system.delete(id);
    });
  }

  url(storageId: string, component: ComponentId): string | null {
    const { secret, origin } = this.#parts;
    const id = this.#documentId(storageId, component);
    if (this.find(id) === null) return null;
    return fileUrl({ origin: origin(), secret }, id, component);
  }

  uploadUrl(component: ComponentId): string {
    const { secret, origin, environment } = this.#parts;
    return uploadUrl({ origin: origin(), secret }, environment.nowMs(), component);
  }

  #documentId(storageId: string, component: ComponentId): string {
    const table = this.#tableOf(component);
    return storageDocumentId(this.#parts.secret, storageId, table?.number);
  }

  /** Undefined when there is no such component. */
  #tableOf(component: ComponentId): TableDefinition | undefined {
    return this.#parts.transactions.read(({ options }) =>
      options.snapshot.catalog.tableNamed(component, "_storage")
    );
  }

  /** Of the app and of all components. */
  #tables(): readonly TableDefinition[] {
    return this.#parts.transactions.read(({ options }) =>
      options.snapshot.catalog.tablesNamed("_storage")
    );
  }

  #findIndexes(): void {
    for (const { number } of this.#tables()) this.#byId.add(byIdIndexId(number));
  }

  /** Whoever deleted a document, the bytes go when that is certain to last. */
  #removeDeleted(commits: readonly AppliedCommit[]): void {
    for (const { timestamp, keys } of commits) {
      for (const [index, key] of keys) {
        if (index === tableNamesIndex) this.#findIndexes();
        if (!this.#byId.has(index)) continue;
        // An id is plain ASCII, so its key is its text between a tag and a terminator.
        const id = key.slice(1, -1);
        if (this.find(id) === null) {
          this.#removeBytes(id, timestamp).catch((error) =>
            log("warn", "A deleted file's bytes could not be removed", { id, error })
          );
        }
      }
    }
  }

  async #removeBytes(id: string, deletedAt: Timestamp): Promise<void> {
    const { committer, store, secret, removals } = this.#parts;
    await committer.durable(deletedAt);
    await removals.released;
    await store.remove(fileKey(secret, id));
  }
}

/** Hexadecimal from base64. */
export function hexDigest(sha256: string): string {
  return Buffer.from(sha256, "base64").toString("hex");
}
