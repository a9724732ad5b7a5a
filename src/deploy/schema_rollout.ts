/**
 * Brings the new schemas of a push, the app's and those of its components, to the database: checks documents against
 * them and fills their indexes while the old ones are still in force. At most one push's are on their way; another
 * push with others overwrites them. A component that is new has no documents, so its tables and indexes are made by
 * the end of the push.
 */
import { Buffer } from "node:buffer";
import type { CommitterClient } from "../committer/protocol.ts";
import {
  byIdIndexId,
  type CatalogData,
  componentOf,
  type IndexDefinition,
  type IndexId,
  isFilled,
  type SchemaDefinition,
  schemasOf,
} from "../database/catalog.ts";
import { appComponent, type Component, type ComponentId } from "../database/component.ts";
import type { SchemaViolation } from "../database/write_set.ts";
import type { Environment } from "../environment.ts";
import { errorMessage, RequestError } from "../errors.ts";
import { log } from "../logger.ts";
import {
  type CatalogChange,
  changesPendingSchema,
  pendingSchemaViolationKey,
  type SnapshotReader,
  type TablesChange,
} from "../persistence/persistence.ts";
import { lowestKey } from "../values/index_key.ts";
import { type IndexPlan, isUnfinished, planIndexes } from "./index_plan.ts";
import { type DeclaredSchema, PendingSchema, type SchemaStatus } from "./pending_schema.ts";
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

  /** What the indexes of a schema of the app, or of a component that may be new, ask for as things are now. */
  plan(next: ParsedSchema | null, component: ComponentId = appComponent): IndexPlan {
    return planIndexes(this.#catalog(), component, next);
  }

  /** How many documents a table has; 0 when there is no such table. */
  countDocuments(tableName: string, component: ComponentId): number {
    const snapshot = this.#options.reader.open();
    try {
      const table = snapshot.catalog.tableNamed(component, tableName);
      if (table === undefined) return 0;
      return snapshot.count(byIdIndexId(table.number), { lower: lowestKey, upper: null });
    } finally {
      snapshot.close();
    }
  }

  /**
   * Creates what the schemas need and starts to check and fill. The same schemas pushed twice go on.
   * @param schemas the app's, and one for each component that the push uses, new ones included.
   */
  async begin(schemas: readonly DeclaredSchema[]): Promise<PendingSchema> {
    const previous = this.#pending;
    if (previous !== null) this.#takeViolation(previous);
    const before = this.#catalog();
    const known = schemas.filter(({ component }) => isKnown(before, component));
    if (previous?.isOver === false && isSameSchemas(previous.parts, known)) return previous;
    previous?.overwrite();
    const catalog = await this.#prepareCatalog(known);
    const parts = known.map((declared) => ({
      ...declared,
      enable: planIndexes(catalog, declared.component, parsedOf(declared)).enable,
    }));
    const id = Buffer.from(this.#options.environment.randomBytes(16)).toString("hex");
    const pending = new PendingSchema(
      id,
      parts.map(({ enable, ...declared }) => ({ ...declared, indexesTotal: enable.length })),
    );
    this.#pending = pending;
    this.#fill(parts.flatMap(({ enable }) => enable).filter((index) => !isFilled(index)));
    for (const { component, enable } of parts) {
      for (const { id } of enable) {
        this.#inBackground(pending, async () => {
          await this.#filling.get(id);
          pending.markIndexComplete(component);
        });
      }
    }
    this.#inBackground(pending, () => this.#validate(pending, catalog));
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
   * The change that puts the schemas of a push into force, and mounts and unmounts components.
   * @throws RequestError unless `pending` is complete.
   */
  finish(pending: PendingSchema, { schemas, components }: RolloutEnd): CatalogChange {
    this.#takeViolation(pending);
    if (!pending.isComplete) throw notComplete(pending.status);
    const catalog = this.#catalog();
    const parts = schemas.map(({ component, schema }) => {
      const next = schema?.parsed ?? null;
      const plan = planIndexes(catalog, component, next);
      return isKnown(catalog, component)
        ? finishKnown(catalog, component, { plan, next })
        : finishNew(component, { plan, next });
    });
    const app = parts.find(({ component }) => component === appComponent);
    const setComponents = changedComponents(catalog, components);
    return {
      ...app?.tables,
      ...setComponents.length > 0 && { setComponents },
      components: parts.filter((part) => part !== app && Object.keys(part.tables).length > 0)
        .map(({ component, tables }) => ({ component, ...tables })),
      setIndexState: parts.flatMap(({ setIndexState }) => setIndexState),
      dropIndexes: parts.flatMap(({ dropIndexes }) => dropIndexes),
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
    const catalog = this.#catalog();
    const dropIndexes = catalog.indexes.filter(isUnfinished).map(({ id }) => id);
    const change = { ...withoutPendingSchemas(catalog, []), dropIndexes };
    if (!changesPendingSchema(change) && dropIndexes.length === 0) return;
    await this.#options.committer.changeCatalog(change);
  }

  async #prepareCatalog(schemas: readonly DeclaredSchema[]): Promise<CatalogData> {
    const catalog = this.#catalog();
    const parts = schemas.map((declared) => {
      const { component } = declared;
      const next = parsedOf(declared);
      const { createTables, createIndexes, dropAtStart } = planIndexes(catalog, component, next);
      const { activeSchema, pendingSchema: before } = schemasOf(catalog, component);
      // Every write of user code has to look at a pending schema, so there is none without need.
      const mustCheck = next !== null && tablesToCheck(next, parsed(activeSchema)).length > 0;
      const pendingSchema = mustCheck ? next : null;
      return {
        component,
        dropAtStart,
        tables: {
          ...createTables.length > 0 && { createTables },
          ...createIndexes.length > 0 && { createIndexes },
          ...(pendingSchema !== null || before !== null) && { pendingSchema },
        },
      };
    });
    // A push before may have left something in components that this one does not use.
    const used = new Set(schemas.map(({ component }) => component));
    const left = catalog.indexes.filter((index) =>
      isUnfinished(index) && !used.has(ownerOf(catalog, index))
    );
    const dropIndexes = [
      ...parts.flatMap(({ dropAtStart }) => dropAtStart),
      ...left.map(({ id }) => id),
    ];
    const { components: cleared = [], ...app } = withoutPendingSchemas(catalog, [...used]);
    const components = [
      ...cleared,
      ...parts.filter(({ component, tables }) =>
        component !== appComponent && Object.keys(tables).length > 0
      ).map(({ component, tables }) => ({ component, ...tables })),
    ];
    const ofApp = parts.find(({ component }) => component === appComponent)?.tables;
    const change: CatalogChange = { ...app, ...ofApp, components, dropIndexes };
    const changesNothing = components.length + dropIndexes.length === 0 &&
      Object.keys({ ...app, ...ofApp }).length === 0;
    if (changesNothing) return catalog;
    return (await this.#options.committer.changeCatalog(change)).catalog;
  }

  async #validate(pending: PendingSchema, catalog: CatalogData): Promise<void> {
    const { reader, environment } = this.#options;
    for (const { component, schema } of pending.parts) {
      const active = parsed(schemasOf(catalog, component).activeSchema);
      const violation = schema === null ? null : await findViolation(schema.parsed, {
        reader,
        environment,
        component,
        active,
        isCancelled: () => pending.isOver,
      });
      if (violation !== null) return pending.fail(violation);
      pending.markValid(component);
    }
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

/** What a push leads to. */
export interface RolloutEnd {
  /** As `begin` got them from the same push. */
  readonly schemas: readonly DeclaredSchema[];
  /** All that the app uses from then on, parents before their children; others are unmounted. */
  readonly components: readonly Omit<Component, "state">[];
}

interface PartEnd {
  readonly plan: IndexPlan;
  readonly next: ParsedSchema | null;
}

function finishKnown(catalog: CatalogData, component: ComponentId, { plan, next }: PartEnd) {
  const { createTables, createIndexes, atFinish } = plan;
  if (createTables.length + createIndexes.length > 0) {
    throw raceDetected("A table of this push has been deleted since the push started.");
  }
  const { activeSchema, pendingSchema } = schemasOf(catalog, component);
  const tables: TablesChange = {
    ...atFinish.createIndexes.length > 0 && { createIndexes: atFinish.createIndexes },
    ...!isSameSchema(next, activeSchema) && { activeSchema: next },
    ...pendingSchema !== null && { pendingSchema: null },
  };
  const { setIndexState, dropIndexes } = atFinish;
  return { component, tables, setIndexState, dropIndexes };
}

function finishNew(component: ComponentId, { plan, next }: PartEnd) {
  const tables: TablesChange = {
    createTables: plan.createTables,
    createIndexes: [...plan.createIndexes, ...plan.atFinish.createIndexes],
    activeSchema: next,
  };
  return { component, tables, setIndexState: [], dropIndexes: [] };
}

/** The components whose entry in the catalog changes: new, moved to another state, or not used any more. */
function changedComponents(
  { components: before = [] }: CatalogData,
  used: RolloutEnd["components"],
): Component[] {
  const mounted = used.map(({ id, parent, name }): Component => ({
    id,
    parent,
    name,
    state: "active",
  }));
  const unmounted = before.filter(({ id }) => !used.some((component) => component.id === id))
    .map((component): Component => ({ ...component, state: "unmounted" }));
  return [...mounted, ...unmounted].filter((component) =>
    before.find(({ id }) => id === component.id)?.state !== component.state
  );
}

/** What clears the pending schemas of all but `kept`. */
function withoutPendingSchemas(
  catalog: CatalogData,
  kept: readonly ComponentId[],
): Pick<CatalogChange, "pendingSchema" | "components"> {
  const pending = [appComponent, ...(catalog.components ?? []).map(({ id }) => id)]
    .filter((id) => !kept.includes(id) && schemasOf(catalog, id).pendingSchema !== null);
  return {
    ...pending.includes(appComponent) && { pendingSchema: null },
    components: pending.filter((id) => id !== appComponent)
      .map((component) => ({ component, pendingSchema: null })),
  };
}

function ownerOf({ tables }: CatalogData, { table }: IndexDefinition): ComponentId {
  const owner = tables.find(({ number }) => number === table);
  return owner === undefined ? appComponent : componentOf(owner);
}

function isKnown({ components = [] }: CatalogData, component: ComponentId): boolean {
  return component === appComponent || components.some(({ id }) => id === component);
}

function parsedOf({ schema }: DeclaredSchema): ParsedSchema | null {
  return schema?.parsed ?? null;
}

/** What the catalog holds was parsed by `parseSchema`. */
function parsed(schema: SchemaDefinition | null): ParsedSchema | null {
  return schema as ParsedSchema | null;
}

function isSameSchemas(a: readonly DeclaredSchema[], b: readonly DeclaredSchema[]): boolean {
  const described = (schemas: readonly DeclaredSchema[]) =>
    JSON.stringify(schemas.map(({ component, schema }) => [component, schema?.json]));
  return described(a) === described(b);
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
