/**
 * Brings a new schema to the database: checks documents against it and fills its indexes while the old one
 * is still in force. At most one is on its way; a push with another one overwrites it.
 */
import { Buffer } from "node:buffer";
import type { CommitterClient } from "../committer/protocol.ts";
import {
  byIdIndexId,
  type CatalogData,
  type IndexDefinition,
  type IndexId,
  isFilled,
} from "../database/catalog.ts";
import { appComponent } from "../database/component.ts";
import type { SchemaViolation } from "../database/write_set.ts";
import type { Environment } from "../environment.ts";
import { errorMessage, RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import {
  type CatalogChange,
  pendingSchemaViolationKey,
  type SnapshotReader,
} from "../persistence/persistence.ts";
import { lowestKey } from "../values/index_key.ts";
import type { ExportedSchema } from "./analysis.ts";
import { type IndexPlan, isUnfinished, planIndexes } from "./index_plan.ts";
import { PendingSchema, type SchemaStatus } from "./pending_schema.ts";
import { findViolation, tablesToCheck } from "./schema_check.ts";
import type { ParsedSchema } from "./schema_definition.ts";

export interface SchemaRolloutOptions {
  readonly committer: CommitterClient;
  readonly reader: SnapshotReader;
  readonly environment: Environment;
}

/** When a staged index that could not be filled, on a full disk for example, is tried again; in milliseconds. */
const stagedRetryMs = 60_000;

export class SchemaRollout {
  readonly #options: SchemaRolloutOptions;
  #pending: PendingSchema | null = null;
  /** Backfills under way. */
  readonly #filling = new Map<IndexId, Promise<void>>();
  #isClosed = false;
  #cancelRetry: () => void = () => {};

  constructor(options: SchemaRolloutOptions) {
    this.#options = options;
  }

  /** What the indexes of a schema ask for as things are now. */
  plan(next: ParsedSchema | null): IndexPlan {
    return planIndexes(this.#catalog(), next);
  }

  /** How many documents a table has; 0 when there is no such table. */
  countDocuments(tableName: string): number {
    const snapshot = this.#options.reader.open();
    try {
      const table = snapshot.catalog.tableNamed(appComponent, tableName);
      if (table === undefined) return 0;
      return snapshot.count(byIdIndexId(table.number), { lower: lowestKey, upper: null });
    } finally {
      snapshot.close();
    }
  }

  /** Creates what the schema needs and starts to check and fill. The same schema pushed twice goes on. */
  async begin(next: ExportedSchema | null): Promise<PendingSchema> {
    const previous = this.#pending;
    if (previous !== null) this.#takeViolation(previous);
    if (previous?.isOver === false && previous.schema?.json === next?.json) return previous;
    previous?.overwrite();
    const catalog = await this.#prepareCatalog(next?.parsed ?? null);
    const { enable } = planIndexes(catalog, next?.parsed ?? null);
    const id = Buffer.from(this.#options.environment.randomBytes(16)).toString("hex");
    const pending = new PendingSchema(id, next, enable.length);
    this.#pending = pending;
    this.#fill(enable.filter((index) => !isFilled(index)));
    for (const { id } of enable) {
      this.#inBackground(pending, async () => {
        await this.#filling.get(id);
        pending.markIndexComplete();
      });
    }
    this.#inBackground(pending, () => this.#validate(pending, activeSchema(catalog)));
    return pending;
  }

  /** The state of a schema, as soon as it is no longer in progress or `timeoutMs` have passed. */
  async wait(id: string, timeoutMs: number): Promise<SchemaStatus> {
    const pending = this.#pending;
    if (pending?.id !== id) return { type: "raceDetected" };
    this.#takeViolation(pending);
    await pending.wait(timeoutMs, this.#options.environment);
    this.#takeViolation(pending);
    return pending.status;
  }

  /**
   * The change that puts a schema into force.
   * @throws RequestError unless it is complete.
   */
  finish(pending: PendingSchema): CatalogChange {
    this.#takeViolation(pending);
    if (!pending.isComplete) throw notComplete(pending.status);
    const next = pending.schema?.parsed ?? null;
    const catalog = this.#catalog();
    const { createTables, createIndexes, atFinish } = planIndexes(catalog, next);
    if (createTables.length + createIndexes.length > 0) {
      throw raceDetected("A table of this push has been deleted since the push started.");
    }
    return {
      ...atFinish,
      ...!isSameSchema(next, catalog.activeSchema) && { activeSchema: next },
      ...catalog.pendingSchema !== null && { pendingSchema: null },
    };
  }

  /** To be called when the change has been committed. */
  finished(): void {
    this.#pending = null;
    this.#fillStaged();
  }

  /** Removes what an earlier run of the server left unfinished, and goes on with staged indexes. */
  async recover(): Promise<void> {
    await this.#removeUnfinished();
    this.#fillStaged();
  }

  /** Takes back what `begin` has done and nobody finishes. */
  async abandon(): Promise<void> {
    this.#pending?.overwrite();
    this.#pending = null;
    await this.#removeUnfinished();
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelRetry();
    this.#pending?.overwrite();
  }

  async #removeUnfinished(): Promise<void> {
    const { pendingSchema, indexes } = this.#catalog();
    const dropIndexes = indexes.filter(isUnfinished).map(({ id }) => id);
    if (pendingSchema === null && dropIndexes.length === 0) return;
    await this.#options.committer.changeCatalog({ pendingSchema: null, dropIndexes });
  }

  async #prepareCatalog(next: ParsedSchema | null): Promise<CatalogData> {
    const catalog = this.#catalog();
    const { createTables, createIndexes, dropAtStart } = this.plan(next);
    // Every write of user code has to look at a pending schema, so there is none without need.
    const mustCheck = next !== null && tablesToCheck(next, activeSchema(catalog)).length > 0;
    const pendingSchema = mustCheck ? next : null;
    const changesNothing = pendingSchema === null && catalog.pendingSchema === null &&
      createTables.length + createIndexes.length + dropAtStart.length === 0;
    if (changesNothing) return catalog;
    const change = { createTables, createIndexes, dropIndexes: dropAtStart, pendingSchema };
    return (await this.#options.committer.changeCatalog(change)).catalog;
  }

  async #validate(pending: PendingSchema, active: ParsedSchema | null): Promise<void> {
    const { reader, environment } = this.#options;
    const schema = pending.schema?.parsed;
    const violation = schema === undefined ? null : await findViolation(schema, {
      reader,
      environment,
      active,
      isCancelled: () => pending.isOver,
    });
    if (violation === null) pending.markValid();
    else pending.fail(violation);
  }

  /** A write that contradicted the pending schema has left a record. */
  #takeViolation(pending: PendingSchema): void {
    if (pending.isOver) return;
    const record = this.#options.reader.getRecord(pendingSchemaViolationKey);
    if (record === undefined) return;
    pending.fail(JSON.parse(record) as SchemaViolation);
  }

  #fillStaged(): void {
    const staged = this.#catalog().indexes.filter(({ state }) => state === "stagedBackfilling");
    this.#fill(staged);
    for (const { id, name } of staged) {
      this.#filling.get(id)!.catch((error) => {
        // A later push may have dropped it, and the next start goes on with it.
        if (this.#isClosed || (error as RequestError).code === "IndexDropped") return;
        log("error", "A staged index could not be filled, which is tried again", {
          index: name,
          error,
        });
        this.#cancelRetry();
        this.#cancelRetry = this.#options.environment.setTimer(
          stagedRetryMs,
          () => this.#fillStaged(),
        );
      });
    }
  }

  /** Sees to it that these indexes are being filled, those of a table in one pass. */
  #fill(indexes: readonly IndexDefinition[]): void {
    const waiting = indexes.filter(({ id }) => !this.#filling.has(id));
    for (const group of Map.groupBy(waiting, ({ table }) => table).values()) {
      const ids = group.map(({ id }) => id);
      const filled = this.#options.committer.backfill(ids).finally(() => {
        for (const id of ids) this.#filling.delete(id);
      });
      for (const id of ids) this.#filling.set(id, filled);
    }
  }

  #inBackground(pending: PendingSchema, work: () => Promise<void>): void {
    work().catch((error) => {
      // What it worked on may be gone once another push has taken over.
      if (pending.isOver) return;
      log("error", "A new schema could not be prepared", { error });
      pending.fail({ error: errorMessage(error), tableName: null });
    });
  }

  #catalog(): CatalogData {
    const snapshot = this.#options.reader.open();
    try {
      return snapshot.catalog.data;
    } finally {
      snapshot.close();
    }
  }
}

/** What the catalog holds was parsed by `parseSchema`. */
function activeSchema(catalog: CatalogData): ParsedSchema | null {
  return catalog.activeSchema as ParsedSchema | null;
}

function isSameSchema(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function notComplete(status: SchemaStatus): RequestError {
  switch (status.type) {
    case "failed":
      return new RequestError(
        "badRequest",
        "SchemaAlreadyFailed",
        `Schema has already been failed with error: ${status.error}`,
      );
    case "inProgress":
      return raceDetected("The schema of this push is not ready yet.");
    case "raceDetected":
    case "complete":
      return raceDetected(
        "Schema was overwritten by another push, or this push was left alone for too long.",
      );
  }
}

/** The official CLI pushes again by itself (deploy-protocol 2.3). */
export function raceDetected(message: string): RequestError {
  return new RequestError("badRequest", "RaceDetected", message);
}
