/** Exports and imports, whose code is loaded when somebody wants one. */
import type { SnapshotExports, SnapshotExportsParts } from "./snapshot_exports.ts";
import { uploadsFolder } from "./snapshot_files.ts";
import type { SnapshotImports, SnapshotImportsParts } from "./snapshot_imports.ts";

export class LazySnapshots {
  readonly #parts: SnapshotExportsParts & SnapshotImportsParts;
  #exports: Promise<SnapshotExports> | undefined;
  #imports: Promise<SnapshotImports> | undefined;

  constructor(parts: SnapshotExportsParts & SnapshotImportsParts) {
    this.#parts = parts;
  }

  exports(): Promise<SnapshotExports> {
    return this.#exports ??= import("./snapshot_exports.ts")
      .then(({ SnapshotExports }) => new SnapshotExports(this.#parts));
  }

  imports(): Promise<SnapshotImports> {
    return this.#imports ??= import("./snapshot_imports.ts")
      .then(({ SnapshotImports }) => new SnapshotImports(this.#parts));
  }

  /** At start: goes on with what an earlier run of the server left. */
  async recover(): Promise<void> {
    if (this.#hasDocuments("_exports")) await (await this.exports()).recover();
    if (this.#hasDocuments("_snapshot_imports") || await this.#hasUploads()) {
      await (await this.imports()).recover();
    }
  }

  /** Of an upload that nobody finished there is no document. */
  async #hasUploads(): Promise<boolean> {
    return await Deno.stat(uploadsFolder(this.#parts.dataFolder)).then(() => true, () => false);
  }

  #hasDocuments(tableName: string): boolean {
    return this.#parts.transactions.read(({ system }) =>
      system.openQuery({
        source: { type: "FullTableScan", tableName, order: "asc" },
        operators: [],
      }).next() !== null
    );
  }

  /** Ends what runs; the next start goes on with it. */
  async close(): Promise<void> {
    await (await this.#exports)?.close();
    await (await this.#imports)?.close();
  }
}
