/**
 * What a query or mutation may do to the database. Native `ctx.db` and the syscalls are thin layers over
 * this class. Everything is synchronous; errors of the user are `DeveloperError`s with the documented
 * texts.
 *
 * 1. Made on a fresh snapshot, with the isolate's undecided transactions as pending layers.
 * 2. Read and written by one call; a nested mutation that fails is undone alone.
 * 3. `finish` gives what to commit, `toLayer` what the next transactions of the isolate build on.
 */
import { assert } from "../assert.ts";
import { DeveloperError, errorMessage } from "../errors.ts";
import { idTableNumber, mustIdTableNumber } from "../values/document_id.ts";
import { lowestKey, prefixInterval } from "../values/index_key.ts";
import type { ValueObject } from "../values/value.ts";
import {
  checkString,
  checkTableName,
  checkWritableTable,
  documentArgument,
  invalidArgument,
} from "./arguments.ts";
import {
  builtInIndexes,
  type CatalogData,
  isPrivateTable,
  isSystemTable,
  type systemTables,
  type TableDefinition,
  type TableNumber,
} from "./catalog.ts";
import { type CompiledQuery, compileQuery, queriedTable, type Reader } from "./compiled_query.ts";
import { appComponent, type ComponentId } from "./component.ts";
import { withoutHiddenFields } from "./hidden_fields.ts";
import { PageCursors } from "./page_cursor.ts";
import {
  checkPageOptions,
  emptyPage,
  type Page,
  pageInterval,
  type PageOptions,
  type QueryJournal,
  readPage,
} from "./pagination.ts";
import type { Query } from "./query.ts";
import {
  type ExistingDocument,
  type FinishedTransaction,
  type NestedTransaction,
  type PendingLayer,
  type TransactionOptions,
  TransactionState,
} from "./transaction_state.ts";
import type { LargestWrites, TransactionLimits, TransactionUsage } from "./usage.ts";

export type {
  FinishedTransaction,
  NestedTransaction,
  PendingLayer,
  TransactionOptions,
} from "./transaction_state.ts";
export type { TransactionLimits, TransactionUsage } from "./usage.ts";
export { type Page, type PageOptions, QueryJournal } from "./pagination.ts";

/** Documents of a query, one after the other. Each is a fresh object that belongs to the caller. */
export interface QueryCursor {
  /** The next document; null at the end. Sees writes made since the last call. */
  next(): ValueObject | null;
  /** All that are left. */
  collect(): ValueObject[];
}

export type SystemTable = keyof typeof systemTables;

const noDocuments: QueryCursor = { next: () => null, collect: () => [] };

export class Transaction {
  /** Access of the server itself to system tables, for scheduler and file storage. Counts towards no limit. */
  readonly system: SystemDocuments;
  readonly #state: TransactionState;
  /** The transaction as the app sees it. */
  readonly #whole: Transaction;
  /** The whole one's: itself as components see it. Made when the first is asked for, which hardly any is. */
  #views: Map<ComponentId, Transaction> | undefined;

  /** As the app sees it. `whole`: a transaction that this is the view of a component of. */
  constructor(
    readonly options: TransactionOptions,
    readonly component: ComponentId = appComponent,
    whole?: Transaction,
  ) {
    this.#state = whole === undefined ? new TransactionState(options) : whole.#state;
    this.#whole = whole ?? this;
    this.system = new SystemDocuments(this.#state, component);
  }

  /**
   * The same transaction as a component sees it: with its tables, under the same limits, in the same commit. The
   * same object whenever it is asked for.
   */
  ofComponent(component: ComponentId): Transaction {
    if (component === this.component) return this;
    const whole = this.#whole;
    if (component === appComponent) return whole;
    const views = whole.#views ??= new Map();
    let view = views.get(component);
    if (view === undefined) {
      views.set(component, view = new Transaction(this.options, component, whole));
    }
    return view;
  }

  get usage(): TransactionUsage {
    return this.#state.usage.usage;
  }

  get largestWrites(): LargestWrites {
    return this.#state.usage.largestWrites;
  }

  /**
   * The name of the table with this number, for `v.id(…)` in validators of arguments and results. Made when it is asked
   * for: a function in each transaction would make it slower by a tenth.
   */
  get tableName(): (tableNumber: number) => string | undefined {
    return (tableNumber) => this.#state.tableNumbered(this.component, tableNumber)?.name;
  }

  /** The number of a system table: each component has its own. */
  systemTable(name: SystemTable): TableNumber {
    return mustSystemTable(this.#state, this.component, name).number;
  }

  /** @throws DeveloperError where nothing may be written: in a query, in an unmounted component. */
  checkWritable(): void {
    this.#state.checkWritable();
    this.#state.checkMounted(this.component);
  }

  /**
   * The document with this id, or null. `table` is what the caller says its table is; `system`: asked
   * through `db.system`.
   */
  get(id: string, options: { table?: string; system?: boolean } = {}): ValueObject | null {
    const system = options.system ?? false;
    const method = system ? "db.system.get" : "db.get";
    const table = this.#tableOfId(id, method, options.table, system);
    const document = table === undefined ? null : this.#state.read(table, id, "user");
    return system && document !== null ? withoutHiddenFields(document) : document;
  }

  /** Adds a document and returns its id. Creates the table if need be. `value` is whatever user code passed. */
  insert(table: string, value: unknown): string {
    this.checkWritable();
    checkWritableTable(table);
    return this.#state.insert(this.component, table, documentArgument(value, "db.insert"));
  }

  /** Merges top-level fields; undefined removes one. Returns the JSON text of the new document. */
  patch(id: string, value: unknown, table?: string): string {
    const existing = this.#existing(id, "db.patch", "Update", table);
    const patch = documentArgument(value, "db.patch");
    return this.#state.update(existing, { ...existing.document, ...patch }, patch);
  }

  /** Puts a new document in the place of the old one. Returns its JSON text. */
  replace(id: string, value: unknown, table?: string): string {
    const existing = this.#existing(id, "db.replace", "Replace", table);
    const fields = documentArgument(value, "db.replace");
    return this.#state.update(existing, fields, fields);
  }

  /** Removes a document. Returns the JSON text it had. */
  delete(id: string, table?: string): string {
    const existing = this.#existing(id, "db.delete", "Delete", table);
    this.#state.remove(existing);
    return existing.revision.json;
  }

  /** The id in canonical form if it belongs to the table, else null. System tables are tables here too. */
  normalizeId(table: string, id: string): string | null {
    checkTableName(table, "db.normalizeId");
    checkString(id, "idString", "db.normalizeId");
    const definition = visible(this.#state.tableNamed(this.component, table));
    return definition !== undefined && idTableNumber(id) === definition.number ? id : null;
  }

  /**
   * Tables and components of the snapshot. What else it says is not read: who shows that has to hear of changes in
   * another way.
   */
  readCatalog(): CatalogData {
    return this.#state.readCatalog();
  }

  /** The user's tables, in the order of their creation. */
  userTables(): TableDefinition[] {
    return this.#state.userTables(this.component);
  }

  /** Number of documents in a table. */
  count(table: string): number {
    const definition = visible(this.#state.tableNamed(this.component, table));
    return definition === undefined ? 0 : this.#state.count(definition);
  }

  /** Compiles a query; errors of its range come from here. Reads nothing yet. */
  openQuery(query: Query): QueryCursor {
    const cursor = openQuery(this.#state, query, { component: this.component, reader: "user" });
    return isSystemTable(queriedTable(query.source)) ? hidingFields(cursor) : cursor;
  }

  /** One page of a query. `journal` is that of the execution. */
  paginate(query: Query, options: PageOptions, journal: QueryJournal): Page {
    checkPageOptions(options);
    const compiled = compile(this.#state, query, { component: this.component, reader: "user" });
    const cursors = new PageCursors(
      this.options.cursorKey,
      this.component,
      query,
      indexedFields(compiled?.index),
    );
    const cursor = options.cursor ?? null;
    const endCursor = options.endCursor ?? journal.given;
    const start = cursor === null ? null : cursors.decode(cursor);
    const end = endCursor === null ? null : cursors.decode(endCursor);

    let page = emptyPage(cursors);
    if (compiled !== undefined) {
      const interval = pageInterval(compiled, start, end);
      const run = this.#state.run({ ...compiled, interval }, query.operators, "user");
      page = readPage(run, compiled, cursors, options, end);
    }
    if (journal.result !== null) {
      throw new DeveloperError(
        "MultiplePaginatedDatabaseQueries",
        "This query or mutation function ran multiple paginated queries. Convex only supports a single paginated query in each function.",
      );
    }
    journal.result = page.continueCursor;
    if (isSystemTable(queriedTable(query.source))) page.page.forEach(withoutHiddenFields);
    return page;
  }

  /** Starts a nested call on the same state; `budgets` come on top of what is used by now. */
  nest(budgets: Partial<TransactionLimits> = {}): NestedTransaction {
    return this.#state.nest(budgets);
  }

  /** Ends it: what to commit. Nothing may be called afterwards but `toLayer`. */
  finish(): FinishedTransaction {
    return this.#state.finish();
  }

  /** Its writes, for transactions that build on it, under the sequence number it is committed with. */
  toLayer(sequence: number): PendingLayer {
    return this.#state.toLayer(sequence);
  }

  #existing(id: string, method: string, action: string, tableName?: string): ExistingDocument {
    this.checkWritable();
    const table = this.#tableOfId(id, method, tableName, false);
    if (table === undefined) {
      throw invalidArgument("id", method, `Table for ID "${id}" not found`);
    }
    const existing = this.#state.readForWrite(table, id);
    if (existing !== null) return existing;
    throw new DeveloperError(
      "NonexistentDocument",
      `${action} on nonexistent document ID ${id}`,
    );
  }

  /** The table of an id, if there is one and this kind of `db` gives access to it. */
  #tableOfId(
    id: string,
    method: string,
    expected: string | undefined,
    system: boolean,
  ): TableDefinition | undefined {
    checkString(id, "id", method);
    let table: TableDefinition | undefined;
    try {
      table = visible(this.#state.tableNumbered(this.component, mustIdTableNumber(id)));
    } catch (error) {
      throw invalidArgument("id", method, errorMessage(error));
    }
    if (table === undefined) return undefined;
    if (isSystemTable(table.name) !== system) {
      throw new DeveloperError(
        "SystemTableError",
        system
          ? "User tables cannot be accessed with db.system."
          : "System tables can only be accessed with db.system.",
      );
    }
    if (expected !== undefined && expected !== table.name) {
      throw invalidArgument(
        "id",
        method,
        `expected to be an Id<"${expected}">, got Id<"${table.name}"> instead.`,
      );
    }
    return table;
  }
}

export interface ClearOptions {
  readonly documentsMax: number;
  readonly bytesMax: number;
}

/**
 * Documents of system tables as the server itself reads and writes them inside a transaction: by id those of
 * everybody, by the name of their table those of the component. It may change those of an unmounted one, too.
 */
export class SystemDocuments {
  readonly #state: TransactionState;
  readonly #component: ComponentId;

  constructor(state: TransactionState, component: ComponentId) {
    this.#state = state;
    this.#component = component;
  }

  /** The document with this id, or null; null too for whatever is no id of a system table. */
  get(id: string): ValueObject | null {
    const table = this.#tableOf(id);
    return table === undefined ? null : this.#state.read(table, id, "server");
  }

  insert(table: SystemTable, fields: ValueObject): string {
    this.#state.checkWritable();
    mustSystemTable(this.#state, this.#component, table);
    return this.#state.insert(this.#component, table, fields);
  }

  /** Merges top-level fields of a document that exists; undefined removes one. */
  patch(id: string, fields: Readonly<Record<string, unknown>>): void {
    const existing = this.#mustExist(id);
    this.#state.update(existing, { ...existing.document, ...fields }, fields);
  }

  /** Removes a document that exists. */
  delete(id: string): void {
    this.#state.remove(this.#mustExist(id));
  }

  /**
   * Deletes documents of any table, up to what exceeds one of the bounds; true when none are left.
   * Unlike other methods it counts towards the limits of the transaction.
   */
  clear(table: TableDefinition, { documentsMax, bytesMax }: ClearOptions): boolean {
    const [, index] = builtInIndexes(table.number);
    const interval = prefixInterval(lowestKey);
    const run = this.#state.run({ index, interval, order: "asc" }, [], "server");
    for (let count = 0; count < documentsMax && run.bytesRead <= bytesMax; count++) {
      const document = run.next();
      if (document === null) return true;
      this.#state.remove(this.#state.readForWrite(table, String(document._id))!);
    }
    return false;
  }

  /**
   * Also by indexes that user code does not see, as `_scheduled_functions.by_state`; these hold the documents of the
   * app and of all components.
   */
  openQuery(query: Query): QueryCursor {
    return openQuery(this.#state, query, { component: this.#component, reader: "server" });
  }

  #tableOf(id: string): TableDefinition | undefined {
    const number = idTableNumber(id);
    const table = number === undefined ? undefined : this.#state.view.tableNumbered(number);
    return table !== undefined && isSystemTable(table.name) ? table : undefined;
  }

  #mustExist(id: string): ExistingDocument {
    this.#state.checkWritable();
    const table = this.#tableOf(id);
    const existing = table === undefined ? null : this.#state.readForWrite(table, id);
    assert(existing !== null, `no system document ${id}`);
    return existing;
  }
}

/** Who asks, and whose tables he names. */
interface Asker {
  readonly component: ComponentId;
  readonly reader: Reader;
}

function mustSystemTable(
  state: TransactionState,
  component: ComponentId,
  name: SystemTable,
): TableDefinition {
  const table = state.tableNamed(component, name);
  if (table !== undefined) return table;
  // It was deleted while its function was running.
  throw new DeveloperError("ComponentNotFound", `Component ${component} does not exist.`);
}

function openQuery(state: TransactionState, query: Query, asker: Asker): QueryCursor {
  return query.source.type === "Search"
    ? new LazyCursor(() => startQuery(state, query, asker))
    : startQuery(state, query, asker);
}

function hidingFields(cursor: QueryCursor): QueryCursor {
  return {
    next() {
      const document = cursor.next();
      return document && withoutHiddenFields(document);
    },
    collect: () => cursor.collect().map(withoutHiddenFields),
  };
}

/** Errors of a search come with its first document (function-abi 5). */
class LazyCursor implements QueryCursor {
  readonly #open: () => QueryCursor;
  #cursor: QueryCursor | undefined;

  constructor(open: () => QueryCursor) {
    this.#open = open;
  }

  next(): ValueObject | null {
    return (this.#cursor ??= this.#open()).next();
  }

  collect(): ValueObject[] {
    return (this.#cursor ??= this.#open()).collect();
  }
}

function startQuery(state: TransactionState, query: Query, asker: Asker): QueryCursor {
  const compiled = compile(state, query, asker);
  return compiled === undefined ? noDocuments : state.run(compiled, query.operators, asker.reader);
}

/** What a cursor's meaning depends on. */
function indexedFields(index: CompiledQuery["index"] | undefined): readonly string[] {
  if (index === undefined) return [];
  return index.kind === "search" ? [index.searchField, ...index.filterFields] : index.fields;
}

function compile(
  state: TransactionState,
  { source }: Query,
  { component, reader }: Asker,
): CompiledQuery | undefined {
  // Looking the table up records the read if there is none.
  const table = state.tableNamed(component, queriedTable(source));
  return compileQuery(source, reader === "user" ? visible(table) : table, state.view, reader);
}

/** The table if user code may know of it. */
function visible(table: TableDefinition | undefined): TableDefinition | undefined {
  return table !== undefined && isPrivateTable(table.name) ? undefined : table;
}
