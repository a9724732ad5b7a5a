/**
 * The state of a running transaction: what it reads through, what it read, wrote and used. Knows nothing
 * of who may do what; `Transaction` puts those rules in front of it.
 */
import { assert } from "../assert.ts";
import { DeveloperError } from "../errors.ts";
import { generateId, randomIdBytes } from "../values/document_id.ts";
import {
  encodeKeyValue,
  indexKeyOf,
  lowestKey,
  pointInterval,
  prefixInterval,
} from "../values/index_key.ts";
import { sizeOf } from "../values/size.ts";
import { parseDocument, type ValueObject } from "../values/value.ts";
import {
  byCreationTimeIndexId,
  byIdIndexId,
  type CatalogData,
  componentOf,
  type IndexId,
  isDatabaseIndex,
  isSystemTable,
  qualifiedName,
  type SearchIndex,
  type TableDefinition,
  tableNameKey,
  tableNamesIndex,
  type TableNumber,
} from "./catalog.ts";
import type { CompiledQuery, Reader } from "./compiled_query.ts";
import { appComponent, type ComponentId } from "./component.ts";
import {
  checkDocumentSize,
  type EncodedDocument,
  encodeDocument,
  type SystemFields,
} from "./document.ts";
import { IndexScan } from "./index_scan.ts";
import { LayeredSnapshot } from "./layered_snapshot.ts";
import type { QueryOperator } from "./query.ts";
import { QueryRun, rowsWanted } from "./query_run.ts";
import { type KeyInterval, ReadRecorder, type ReadSet } from "./read_set.ts";
import { hasSameEntry } from "./search/search_entry.ts";
import { searchKeys } from "./search/search_keys.ts";
import { SearchScan } from "./search/search_scan.ts";
import type { Snapshot } from "./snapshot.ts";
import { type TransactionLimits, type TransactionUsage, UsageMeter } from "./usage.ts";
import { documentWrite, type LayerWrite, type Revision, WriteLayer } from "./write_layer.ts";
import type { DocumentWrite, IndexPoint, SchemaViolation, WriteSet } from "./write_set.ts";

export interface TransactionOptions {
  readonly snapshot: Snapshot;
  readonly kind: "query" | "mutation";
  readonly limits: TransactionLimits;
  /** Frozen time of the call: makes creation times and the day in new ids. */
  readonly nowMs: number;
  /** Randomness of new ids; not the seeded generator of the function. */
  readonly randomBytes: (length: number) => Uint8Array;
  /** Any secret text of the deployment; signs pagination cursors. */
  readonly cursorKey: string;
  /** Earlier transactions of the same isolate that `snapshot` does not hold yet, oldest first; mutations only. */
  readonly pending?: readonly PendingLayer[];
}

/** The writes of a finished transaction that is not decided yet, visible to later ones of the same isolate. */
export interface PendingLayer {
  readonly sequence: number;
  readonly layer: WriteLayer;
  /** What of the indexes it changed. */
  readonly points: readonly IndexPoint[];
  /** Documents of later transactions are newer. */
  readonly nextCreationTime: number;
}

export interface FinishedTransaction {
  readonly reads: ReadSet;
  readonly writes: WriteSet;
  /** Sequence numbers of the pending layers whose writes it read. */
  readonly dependsOn: readonly number[];
  readonly usage: TransactionUsage;
}

/** A nested mutation on the same state. Reads and counters stay either way. End the innermost first. */
export interface NestedTransaction {
  commit(): void;
  /** Undoes its writes. */
  rollback(): void;
}

/** A document as it is now, about to be changed. */
export interface ExistingDocument {
  readonly table: TableDefinition;
  readonly id: string;
  readonly revision: Revision;
  readonly document: ValueObject;
}

export class TransactionState {
  readonly view: LayeredSnapshot;
  readonly usage: UsageMeter;
  readonly #options: TransactionOptions;
  readonly #written = new WriteLayer();
  readonly #reads = { user: new ReadRecorder(), server: new ReadRecorder() };
  /** How to take back what the running nested mutations wrote, in the order it was written. */
  readonly #undo: (() => void)[] = [];
  #nestingDepth = 0;
  /** Whether a document that was written holds a placeholder for the commit timestamp. */
  #isUnresolved = false;
  #nextCreationTime: number;

  constructor(options: TransactionOptions) {
    const { snapshot, limits, nowMs, pending = [] } = options;
    this.#options = options;
    this.usage = new UsageMeter(limits);
    this.view = new LayeredSnapshot(snapshot, [
      ...pending.map(({ layer }) => layer),
      this.#written,
    ]);
    this.#nextCreationTime = Math.max(
      nowMs,
      (snapshot.timestamp + 1) / 1000,
      pending.at(-1)?.nextCreationTime ?? 0,
    );
  }

  /** A table by name. That there is none, or that only a pending transaction made it, is a read. */
  tableNamed(component: ComponentId, name: string): TableDefinition | undefined {
    const known = this.view.snapshot.catalog.tableNamed(component, name);
    if (known !== undefined) return known;
    this.#record("server", tableNamesIndex, pointInterval(tableNameKey({ component, name })));
    return this.view.tableNamed(component, name);
  }

  /** A table by number; undefined when it belongs to somebody else, whose ids mean nothing to the component. */
  tableNumbered(component: ComponentId, number: number): TableDefinition | undefined {
    const table = this.view.tableNumbered(number);
    return table !== undefined && componentOf(table) === component ? table : undefined;
  }

  /** Which tables and components there are. That there are no others is a read. */
  readCatalog(): CatalogData {
    this.#record("server", tableNamesIndex, prefixInterval(lowestKey));
    return this.view.snapshot.catalog.data;
  }

  /** The user's tables. That there are no others is a read. */
  userTables(component: ComponentId): TableDefinition[] {
    this.#record("server", tableNamesIndex, prefixInterval(lowestKey));
    return this.view.userTables(component);
  }

  /** The current document with this id; reading it counts. */
  read(table: TableDefinition, id: string, reader: Reader): ValueObject | null {
    this.#record(reader, byIdIndexId(table.number), pointInterval(encodeKeyValue(id)));
    const revision = this.view.revision(table.number, id);
    if (revision === null) return null;
    const document = parseDocument(revision.json);
    if (!isSystemTable(table.name)) this.usage.countRead(sizeOf(document));
    return document;
  }

  /** The current document with this id in order to change it, which counts as a write only. */
  readForWrite(table: TableDefinition, id: string): ExistingDocument | null {
    this.#record("server", byIdIndexId(table.number), pointInterval(encodeKeyValue(id)));
    const revision = this.view.revision(table.number, id);
    return revision && { table, id, revision, document: parseDocument(revision.json) };
  }

  count(table: TableDefinition): number {
    this.#record("user", byCreationTimeIndexId(table.number), prefixInterval(lowestKey));
    return this.view.count(table.number);
  }

  /** Starts reading a query. */
  run(query: CompiledQuery, operators: readonly QueryOperator[], reader: Reader): QueryRun {
    const { index } = query;
    const isCounted = !isSystemTable(this.view.tableNumbered(index.table)!.name);
    const scan = "search" in query
      ? new SearchScan(this.view, query)
      : new IndexScan(this.view, { ...query, rowsWanted: rowsWanted(operators) });
    return new QueryRun(scan, operators, {
      countDocument: (bytes) => {
        if (isCounted) this.usage.countRead(bytes);
      },
      recordInterval: (interval) => this.#record(reader, index.id, interval),
    });
  }

  #record(reader: Reader, index: IndexId, interval: KeyInterval): void {
    const reads = this.#reads[reader];
    reads.add(index, interval);
    if (reader === "user") this.usage.setIntervalsRead(reads.intervals);
  }

  /** @throws DeveloperError in a query. The function library leaves this check to its host. */
  checkWritable(): void {
    if (this.#options.kind === "mutation") return;
    throw new DeveloperError("WriteInQuery", "Queries cannot write to the database.");
  }

  /** @throws DeveloperError for a component that the app does not use any more (components 5). */
  checkMounted(component: ComponentId): void {
    if (this.view.snapshot.catalog.isMounted(component)) return;
    throw new DeveloperError(
      "UnmountedComponent",
      "Cannot perform write operations in an unmounted component. " +
        "Make sure your component is installed in your `convex.config.ts` file.",
    );
  }

  /** Adds a document, and the table if there is none, and returns its id. */
  insert(
    component: ComponentId,
    tableName: string,
    fields: Readonly<Record<string, unknown>>,
  ): string {
    const { nowMs, randomBytes } = this.#options;
    const table = this.tableNamed(component, tableName) ?? this.#newTable(component, tableName);
    const id = generateId(table.number, randomBytes(randomIdBytes), nowMs);
    const _creationTime = this.#nextCreationTime;
    this.#nextCreationTime = nextUp(_creationTime);
    const encoded = this.#encode(table, fields, { _id: id, _creationTime }, fields);
    this.#write(table, id, null, encoded);
    return id;
  }

  /** Gives a document new fields and returns its text; one that stays equal is not written. `original`: see `encodeDocument`. */
  update(
    { table, id, revision, document }: ExistingDocument,
    fields: Readonly<Record<string, unknown>>,
    original: unknown,
  ): string {
    const _creationTime = document._creationTime as number;
    const encoded = this.#encode(table, fields, { _id: id, _creationTime }, original);
    if (encoded.json !== revision.json) this.#write(table, id, { revision, document }, encoded);
    return encoded.json;
  }

  #encode(
    table: TableDefinition,
    fields: Readonly<Record<string, unknown>>,
    systemFields: SystemFields,
    original: unknown,
  ): EncodedDocument {
    const encoded = encodeDocument(fields, systemFields, original);
    if (!isSystemTable(table.name)) checkDocumentSize(encoded);
    return encoded;
  }

  remove({ table, id, revision, document }: ExistingDocument): void {
    this.#write(table, id, { revision, document }, null);
  }

  #newTable(component: ComponentId, name: string): TableDefinition {
    // Any other table that is created meanwhile might take the same number.
    this.#record("server", tableNamesIndex, prefixInterval(lowestKey));
    const number = this.view.nextTableNumber;
    return component === appComponent ? { name, number } : { name, number, component };
  }

  /** Every write ends here: checked, counted, then put into the layer. */
  #write(
    table: TableDefinition,
    id: string,
    current: Omit<ExistingDocument, "table" | "id"> | null,
    encoded: EncodedDocument | null,
  ): void {
    const json = encoded?.json ?? null;
    const document = json === null ? null : parseDocument(json);
    if (document !== null) this.#checkSchema(table, document);
    if (!isSystemTable(table.name)) this.#countWrite(id, encoded);
    this.#isUnresolved ||= encoded?.isUnresolved ?? false;

    if (this.view.tableNumbered(table.number) === undefined) {
      const name = qualifiedName(table);
      this.#written.tables.set(name, table);
      this.#undoable(() => this.#written.tables.delete(name));
    }
    const previous = this.#written.get(id);
    this.#undoable(() => this.#written.set(id, previous));
    const base = previous === undefined ? current?.revision ?? null : previous.base;
    const write: LayerWrite = {
      table: table.number,
      id,
      base,
      baseKeys: previous?.baseKeys ?? this.#keysOf(table, current?.document ?? null),
      json,
      keys: this.#keysOf(table, document),
      baseSearchKeys: previous?.baseSearchKeys ??
        this.#searchKeysOf(table, current?.document ?? null),
      searchKeys: this.#searchKeysOf(table, document),
    };
    const leavesNothing = base === null && json === null;
    this.#written.set(id, leavesNothing ? undefined : write);
  }

  #countWrite(id: string, encoded: EncodedDocument | null): void {
    this.usage.countWrite(encoded?.bytes ?? 0);
    if (encoded !== null) this.usage.noteDocument(id, encoded.bytes, encoded.nesting);
  }

  #keysOf(table: TableDefinition, document: ValueObject | null): IndexPoint[] {
    if (document === null) return [];
    return this.view.indexesOf(table.number).filter(isDatabaseIndex)
      .map((index) => [index.id, indexKeyOf(index, document)] as const);
  }

  #searchKeysOf(table: TableDefinition, document: ValueObject | null): IndexPoint[] {
    if (document === null) return [];
    return this.#searchIndexesOf(table.number).flatMap((index) =>
      searchKeys(index, document).map((key) => [index.id, key] as const)
    );
  }

  #searchIndexesOf(table: TableNumber): SearchIndex[] {
    return this.view.indexesOf(table).filter((index) => index.kind === "search");
  }

  #checkSchema(table: TableDefinition, document: ValueObject): void {
    const problem = this.#schemaProblem("active", table, document);
    if (problem === null) return;
    throw new DeveloperError(
      "SchemaEnforcementError",
      `Failed to insert or update a document in table "${table.name}" because it does not match the schema: ${problem}`,
    );
  }

  #schemaProblem(
    schema: "active" | "pending",
    table: TableDefinition,
    document: ValueObject,
  ): string | null {
    const validator = this.view.snapshot.catalog.documentValidator(schema, table);
    if (validator === null) return null;
    const { _id, _creationTime, ...fields } = document;
    const component = componentOf(table);
    return validator.check(fields, (number) => this.tableNumbered(component, number)?.name);
  }

  #undoable(undo: () => void): void {
    if (this.#nestingDepth > 0) this.#undo.push(undo);
  }

  /** Starts a nested mutation, with budgets on top of what is used by now. */
  nest(budgets: Partial<TransactionLimits>): NestedTransaction {
    const { limits } = this.usage;
    const undoFrom = this.#undo.length;
    const depth = ++this.#nestingDepth;
    this.usage.lowerLimits(budgets);
    const end = () => {
      assert(depth === this.#nestingDepth, "nested transactions end innermost first");
      this.#nestingDepth--;
      this.usage.limits = limits;
    };
    return {
      // What it wrote can still be undone with the mutation around it.
      commit: end,
      rollback: () => {
        end();
        for (const undo of this.#undo.splice(undoFrom).reverse()) undo();
      },
    };
  }

  /** What to commit. */
  finish(): FinishedTransaction {
    const { user, server } = this.#reads;
    const wasRead = ([index, key]: IndexPoint) => user.has(index, key) || server.has(index, key);
    const dependsOn = (this.#options.pending ?? [])
      .filter(({ layer, points }) => this.view.hasHidden(layer) || points.some(wasRead))
      .map(({ sequence }) => sequence);
    const { usage } = this.usage;
    user.addAll(server);
    return { reads: user.toReadSet(), writes: this.#writeSet(), dependsOn, usage };
  }

  /** What later transactions of the isolate build on. */
  toLayer(sequence: number): PendingLayer {
    return {
      sequence,
      layer: this.#written,
      points: this.#written.points(),
      nextCreationTime: this.#nextCreationTime,
    };
  }

  #writeSet(): WriteSet {
    const documents: DocumentWrite[] = [];
    let violation: SchemaViolation | undefined;
    for (const write of this.#written.writes) {
      if (write.base?.json === write.json) continue;
      documents.push(documentWrite(write, this.#changedSearchIndexes(write)));
      violation ??= this.#pendingSchemaViolation(write);
    }
    const tables = [...this.#written.tables.values()];
    return {
      documents,
      tables,
      ...(this.#isUnresolved && { isUnresolved: true as const }),
      ...(violation !== undefined && { pendingSchemaViolation: violation }),
    };
  }

  #changedSearchIndexes({ table, base, json }: LayerWrite): IndexId[] {
    const indexes = this.#searchIndexesOf(table);
    if (indexes.length === 0) return [];
    const [before, after] = [base?.json ?? null, json].map((json) => json && parseDocument(json));
    return indexes.filter((index) => !before || !after || !hasSameEntry(index, before, after))
      .map(({ id }) => id);
  }

  #pendingSchemaViolation({ table: number, json }: LayerWrite): SchemaViolation | undefined {
    const { catalog } = this.view.snapshot;
    if (json === null || !catalog.hasPendingSchema) return undefined;
    const table = this.view.tableNumbered(number)!;
    const problem = this.#schemaProblem("pending", table, parseDocument(json));
    if (problem === null) return undefined;
    const { name, component } = table;
    return {
      error: `New document in table "${name}" does not match the schema: ${problem}`,
      ...component !== undefined && { component },
      tableName: name,
    };
  }
}

/** The next larger number that a double can hold. */
function nextUp(value: number): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  view.setBigUint64(0, view.getBigUint64(0) + 1n);
  return view.getFloat64(0);
}
