/** Exports and imports, whose code is loaded when somebody wants one. */
import type { SnapshotExports, SnapshotExportsParts } from "./snapshot_exports.ts";

export class LazySnapshots {
  readonly #parts: SnapshotExportsParts;
  #exports: Promise<SnapshotExports> | undefined;

  constructor(parts: SnapshotExportsParts) {
    this.#parts = parts;
  }

  exports(): Promise<SnapshotExports> {
    return this.#exports ??= import("./snapshot_exports.ts")
      .then(({ SnapshotExports }) => new SnapshotExports(this.#parts));
  }

  /** At start: goes on with what an earlier run of the server left. */
  async recover(): Promise<void> {
    const hasExports = this.#parts.transactions.read(({ system }) =>
      system.openQuery({
        source: { type: "FullTableScan", tableName: "_exports", order: "asc" },
        operators: [],
      }).next() !== null
    );
    if (hasExports) await (await this.exports()).recover();
  }

  /** Ends what runs; the next start goes on with it. */
  async close(): Promise<void> {
    await (await this.#exports)?.close();
  }
}
