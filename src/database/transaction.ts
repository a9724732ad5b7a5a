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
import type { ValueObject } from "../values/value.ts";
import {
  checkString,
  checkTableName,
  checkWritableTable,
  documentArgument,
  invalidArgument,
} from "./arguments.ts";
import { isPrivateTable, isSystemTable, systemTables, type TableDefinition } from "./catalog.ts";
import { type CompiledQuery, compileQuery, queriedTable, type Reader } from "./compiled_query.ts";
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

  constructor(readonly options: TransactionOptions) {
    this.#state = new TransactionState(options);
    this.system = new SystemDocuments(this.#state);
  }

  get usage(): TransactionUsage {
    return this.#state.usage.usage;
  }

  get largestWrites(): LargestWrites {
    return this.#state.usage.largestWrites;
  }

  /** The name of the table with this number, for `v.id(…)` in validators of arguments and results. */
  get tableName(): (tableNumber: number) => string | undefined {
    return this.#state.tableName;
  }

  /**
   * The document with this id, or null. `table` is what the caller says its table is; `system`: asked
   * through `db.system`.
   */
  get(id: string, options: { table?: string; system?: boolean } = {}): ValueObject | null {
    const system = options.system ?? false;
    const method = system ? "db.system.get" : "db.get";
    const table = this.#tableOfId(id, method, options.table, system);
    return table === undefined ? null : this.#state.read(table, id, "user");
  }

  /** Adds a document and returns its id. Creates the table if need be. `value` is whatever user code passed. */
  insert(table: string, value: unknown): string {
    this.#state.checkWritable();
    checkWritableTable(table);
    return this.#state.insert(table, documentArgument(value, "db.insert"));
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
    const definition = visible(this.#state.tableNamed(table));
    return definition !== undefined && idTableNumber(id) === definition.number ? id : null;
  }

  /** The user's tables, in the order of their creation. */
  userTables(): TableDefinition[] {
    return this.#state.userTables();
  }

  /** Number of documents in a table. */
  count(table: string): number {
    const definition = visible(this.#state.tableNamed(table));
    return definition === undefined ? 0 : this.#state.count(definition);
  }

  /** Compiles a query; errors of its range come from here. Reads nothing yet. */
  openQuery(query: Query): QueryCursor {
    return openQuery(this.#state, query, "user");
  }

  /** One page of a query. `journal` is that of the execution. */
  paginate(query: Query, options: PageOptions, journal: QueryJournal): Page {
    checkPageOptions(options);
    const compiled = compile(this.#state, query, "user");
    const cursors = new PageCursors(
      this.options.cursorKey,
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
    this.#state.checkWritable();
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
      table = visible(this.#state.tableNumbered(mustIdTableNumber(id)));
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

/** Documents of system tables as the server itself reads and writes them inside a transaction. */
export class SystemDocuments {
  readonly #state: TransactionState;

  constructor(state: TransactionState) {
    this.#state = state;
  }

  /** The document with this id, or null; null too for whatever is no id of a system table. */
  get(id: string): ValueObject | null {
    const table = this.#tableOf(id);
    return table === undefined ? null : this.#state.read(table, id, "server");
  }

  insert(table: SystemTable, fields: ValueObject): string {
    this.#state.checkWritable();
    return this.#state.insert(table, fields);
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

  /** Also by indexes that user code does not see, as `_scheduled_functions.by_state`. */
  openQuery(query: Query): QueryCursor {
    return openQuery(this.#state, query, "server");
  }

  #tableOf(id: string): TableDefinition | undefined {
    const number = idTableNumber(id);
    const table = number === undefined ? undefined : this.#state.tableNumbered(number);
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

function openQuery(state: TransactionState, query: Query, reader: Reader): QueryCursor {
  return query.source.type === "Search"
    ? new LazyCursor(() => startQuery(state, query, reader))
    : startQuery(state, query, reader);
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

function startQuery(state: TransactionState, query: Query, reader: Reader): QueryCursor {
  const compiled = compile(state, query, reader);
  return compiled === undefined ? noDocuments : state.run(compiled, query.operators, reader);
}

/** What a cursor's meaning depends on. */
function indexedFields(index: CompiledQuery["index"] | undefined): readonly string[] {
  if (index === undefined) return [];
  return index.kind === "search" ? [index.searchField, ...index.filterFields] : index.fields;
}

function compile(
  state: TransactionState,
  { source }: Query,
  reader: Reader,
): CompiledQuery | undefined {
  // Looking the table up records the read if there is none.
  const table = state.tableNamed(queriedTable(source));
  return compileQuery(source, reader === "user" ? visible(table) : table, state.view, reader);
}

/** The table if user code may know of it. */
function visible(table: TableDefinition | undefined): TableDefinition | undefined {
  return table !== undefined && isPrivateTable(table.name) ? undefined : table;
}
