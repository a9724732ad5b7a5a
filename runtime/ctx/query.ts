/** `ctx.db.query(table)`: queries as user code builds and consumes them, each once. */
import {
  checkedLimit,
  checkedOrder,
  type Query as EngineQuery,
  type QueryOperator,
  type QuerySource,
} from "../../src/database/query.ts";
import type { QueryCursor } from "../../src/database/transaction.ts";
import type { ValueObject } from "../../src/values/value.ts";
import { requireArgument } from "./arguments.ts";
import { checked } from "./checked_value.ts";
import { filterBuilder, toExpression } from "./filter_builder.ts";
import { IndexRangeBuilder } from "./index_range.ts";
import { SearchFilterBuilder } from "./search_filter.ts";
import type { TransactionHost } from "./transaction_host.ts";

const operatorsMax = 256;

/** A table before it is said how to read it. */
export class QueryInitializer {
  readonly #host: TransactionHost;
  readonly #tableName: string;

  constructor(host: TransactionHost, tableName: string) {
    this.#host = host;
    this.#tableName = tableName;
  }

  withIndex(
    indexName: string,
    indexRange?: (q: IndexRangeBuilder) => IndexRangeBuilder,
  ): Query {
    requireArgument(indexName, 1, "withIndex", "indexName");
    const builder = new IndexRangeBuilder();
    const range = (indexRange === undefined ? builder : indexRange(builder)).export();
    return this.#read({
      type: "IndexRange",
      indexName: `${this.#tableName}.${indexName}`,
      range,
      order: null,
    });
  }

  withSearchIndex(
    indexName: string,
    searchFilter: (q: SearchFilterBuilder) => SearchFilterBuilder,
  ): Query {
    requireArgument(indexName, 1, "withSearchIndex", "indexName");
    requireArgument(searchFilter, 2, "withSearchIndex", "searchFilter");
    const filters = searchFilter(new SearchFilterBuilder()).export();
    return this.#read({
      type: "Search",
      indexName: `${this.#tableName}.${indexName}`,
      filters,
      lastTermIsPrefix: true,
    });
  }

  fullTableScan(): Query {
    return this.#read({ type: "FullTableScan", tableName: this.#tableName, order: null });
  }

  order(order: "asc" | "desc"): Query {
    return this.fullTableScan().order(order);
  }

  filter(predicate: (q: typeof filterBuilder) => unknown): Query {
    return this.fullTableScan().filter(predicate);
  }

  limit(n: number): Query {
    return this.fullTableScan().limit(n);
  }

  async count(): Promise<number> {
    return await this.#host.operation((transaction) => transaction.count(this.#tableName));
  }

  collect(): Promise<ValueObject[]> {
    return this.fullTableScan().collect();
  }

  take(n: number): Promise<ValueObject[]> {
    return this.fullTableScan().take(n);
  }

  paginate(options: PaginationOptions): Promise<unknown> {
    return this.fullTableScan().paginate(options);
  }

  first(): Promise<ValueObject | null> {
    return this.fullTableScan().first();
  }

  unique(): Promise<ValueObject | null> {
    return this.fullTableScan().unique();
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<ValueObject> {
    return this.fullTableScan()[Symbol.asyncIterator]();
  }

  #read(source: QuerySource): Query {
    return new Query(this.#host, this.#tableName, { source, operators: [] });
  }
}

interface PaginationOptions {
  readonly numItems: number;
  readonly cursor: string | null;
  readonly endCursor?: string | null;
  readonly maximumRowsRead?: number;
  readonly maximumBytesRead?: number;
}

type QueryState =
  | { readonly type: "preparing" }
  | { readonly type: "executing"; readonly cursor: QueryCursor }
  /** Another query was made of it. */
  | { readonly type: "chained" }
  | { readonly type: "consumed" };

export class Query implements AsyncIterableIterator<ValueObject> {
  readonly #host: TransactionHost;
  readonly #tableName: string;
  readonly #query: EngineQuery;
  #state: QueryState = { type: "preparing" };

  constructor(host: TransactionHost, tableName: string, query: EngineQuery) {
    this.#host = host;
    this.#tableName = tableName;
    this.#query = query;
  }

  order(order: "asc" | "desc"): Query {
    requireArgument(order, 1, "order", "order");
    const { source, operators } = this.#take();
    if (source.type === "Search") {
      throw new Error(
        "Search queries must always be in relevance order. Can not set order manually.",
      );
    }
    if (source.order !== null) throw new Error("Queries may only specify order at most once");
    return new Query(this.#host, this.#tableName, {
      source: { ...source, order: checked(checkedOrder, order) },
      operators,
    });
  }

  filter(predicate: (q: typeof filterBuilder) => unknown): Query {
    requireArgument(predicate, 1, "filter", "predicate");
    const query = this.#take();
    if (query.operators.length >= operatorsMax) {
      throw new Error(`Can't construct query with more than ${operatorsMax} operators`);
    }
    return this.#with(query, { filter: toExpression(predicate(filterBuilder)) });
  }

  limit(n: number): Query {
    requireArgument(n, 1, "limit", "n");
    return this.#with(this.#take(), { limit: checked(checkedLimit, n) });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<ValueObject> {
    this.#start();
    return this;
  }

  async next(): Promise<IteratorResult<ValueObject>> {
    // Whoever does without `for await` starts the query by the first call.
    const cursor = this.#state.type === "executing" ? this.#state.cursor : this.#start();
    const value = await this.#host.operation(() => cursor.next());
    if (value !== null) return { value, done: false };
    this.#state = { type: "consumed" };
    return { value: null, done: true };
  }

  return(): Promise<IteratorResult<ValueObject>> {
    this.#state = { type: "consumed" };
    return Promise.resolve({ done: true, value: undefined });
  }

  async collect(): Promise<ValueObject[]> {
    this.#checkUnused();
    this.#state = { type: "consumed" };
    return await this.#host.operation((transaction) =>
      transaction.openQuery(this.#query).collect()
    );
  }

  async take(n: number): Promise<ValueObject[]> {
    requireArgument(n, 1, "take", "n");
    if (!Number.isInteger(n) || n < 0) {
      throw new TypeError("Arg 1 `n` to `take` must be a non-negative integer");
    }
    return await this.limit(n).collect();
  }

  async first(): Promise<ValueObject | null> {
    const [first] = await this.take(1);
    return first ?? null;
  }

  async unique(): Promise<ValueObject | null> {
    const [first, second] = await this.take(2);
    if (second !== undefined) {
      throw new Error(
        `unique() query returned more than one result from table ${this.#tableName}:\n ` +
          `[${first!._id}, ${second._id}, ...]`,
      );
    }
    return first ?? null;
  }

  async paginate(options: PaginationOptions): Promise<unknown> {
    requireArgument(options, 1, "paginate", "options");
    const { numItems, ...limits } = options ?? {};
    if (typeof numItems !== "number" || numItems < 0) {
      throw new Error(
        `\`options.numItems\` must be a positive number. Received \`${numItems}\`.`,
      );
    }
    const query = this.#take();
    return await this.#host.operation((transaction) =>
      transaction.paginate(query, { ...limits, pageSize: numItems }, this.#host.journal)
    );
  }

  #with(query: EngineQuery, operator: QueryOperator): Query {
    return new Query(this.#host, this.#tableName, {
      ...query,
      operators: [...query.operators, operator],
    });
  }

  #take(): EngineQuery {
    if (this.#state.type !== "preparing") {
      throw new Error(
        "A query can only be chained once and can't be chained after iteration begins.",
      );
    }
    this.#state = { type: "chained" };
    return this.#query;
  }

  #start(): QueryCursor {
    this.#checkUnused();
    const cursor = this.#host.perform((transaction) => transaction.openQuery(this.#query));
    this.#state = { type: "executing", cursor };
    return cursor;
  }

  #checkUnused(): void {
    switch (this.#state.type) {
      case "preparing":
        return;
      case "executing":
        throw new Error("Iteration can only begin on a query once.");
      case "chained":
        throw new Error("This query has been chained with another operator and can't be reused.");
      case "consumed":
        throw new Error("This query is closed and can't emit any more values.");
    }
  }
}
