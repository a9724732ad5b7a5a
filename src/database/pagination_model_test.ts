/**
 * A list that a client loads page by page while others write, as the npm client does it: each page is run
 * again, with its journal, when a commit touches what it read; what is too large is split. At every moment
 * the pages joined must be the beginning of the query's whole result, and all of it once the last is done.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { tableNameKey, tableNamesIndex } from "./catalog.ts";
import { TestDatabase } from "./database_testing.ts";
import type { Expression, Query, QuerySource, RangeExpression } from "./query.ts";
import { type ReadSet, readSetContains } from "./read_set.ts";
import { type Page, type PageOptions, QueryJournal, type Transaction } from "./transaction.ts";
import type { WriteSet } from "./write_set.ts";

interface Settings {
  readonly query: Query;
  readonly maximumRowsRead: number | null;
  readonly maximumBytesRead: number | null;
  /** Of the whole execution. */
  readonly documentsReadMax: number;
}

/** Pages larger than this are split without need, as clients do. */
const pageLengthMax = 6;

class WatchedPage {
  readonly #options: PageOptions;
  #journal: string | null = null;
  #reads: ReadSet = [];
  result!: Page;

  constructor(
    readonly database: TestDatabase,
    readonly settings: Settings,
    options: Pick<PageOptions, "cursor" | "endCursor" | "pageSize">,
  ) {
    const { maximumRowsRead, maximumBytesRead } = settings;
    this.#options = { ...options, maximumRowsRead, maximumBytesRead };
    this.run();
  }

  get cursor(): string | null {
    return this.#options.cursor ?? null;
  }

  run(): void {
    const transaction = beginQuery(this.database, this.settings);
    const journal = new QueryJournal(this.#journal);
    this.result = transaction.paginate(this.settings.query, this.#options, journal);
    this.#journal = journal.result;
    this.#reads = transaction.finish().reads;
  }

  isTouchedBy({ documents, tables }: WriteSet): boolean {
    return tables.some((table) =>
      readSetContains(this.#reads, tableNamesIndex, tableNameKey(table))
    ) ||
      documents.some(({ removedKeys, addedKeys, keptKeys }) =>
        [...removedKeys, ...addedKeys, ...keptKeys].some(([index, key]) =>
          readSetContains(this.#reads, index, key)
        )
      );
  }

  /** The pages that take its place, if it is too large. */
  split(): WatchedPage[] {
    const { page, splitCursor, pageStatus, continueCursor } = this.result;
    assert.ok(pageStatus !== "SplitRequired" || splitCursor !== null, "no way to split");
    if (splitCursor === null || (pageStatus === null && page.length <= pageLengthMax)) {
      return [this];
    }
    const { pageSize } = this.#options;
    const half = (cursor: string | null, endCursor: string) =>
      new WatchedPage(this.database, this.settings, { pageSize, cursor, endCursor });
    const halves = [half(this.cursor, splitCursor), half(splitCursor, continueCursor)];
    if (pageStatus !== "SplitRequired") {
      assert.deepEqual(halves.flatMap(({ result }) => result.page), page);
    }
    return halves.flatMap((page) => page.split());
  }
}

class PagedList {
  #pages: WatchedPage[];

  constructor(readonly database: TestDatabase, readonly settings: Settings) {
    this.#pages = [new WatchedPage(database, settings, { cursor: null, pageSize: 3 })];
  }

  loadMore(pageSize: number): void {
    const { isDone, continueCursor } = this.#pages.at(-1)!.result;
    if (isDone) return;
    this.#pages.push(
      new WatchedPage(this.database, this.settings, { cursor: continueCursor, pageSize }),
    );
  }

  commit(work: (transaction: Transaction) => void): void {
    const transaction = this.database.begin();
    work(transaction);
    const { writes } = transaction.finish();
    this.database.apply(writes);
    for (const page of this.#pages) if (page.isTouchedBy(writes)) page.run();
  }

  reconnect(): void {
    for (const page of this.#pages) page.run();
  }

  check(): void {
    this.#pages = this.#pages.flatMap((page) => page.split());
    const whole = this.database.begin().openQuery(this.settings.query).collect();
    const joined = this.#pages.flatMap(({ result }) => result.page);
    const { isDone } = this.#pages.at(-1)!.result;
    assert.deepEqual(joined, isDone ? whole : whole.slice(0, joined.length));
    this.#pages.forEach(({ cursor, result }, i) => {
      assert.equal(cursor, this.#pages[i - 1]?.result.continueCursor ?? null);
      assert.equal(result.isDone, i === this.#pages.length - 1 && isDone);
    });
  }
}

function beginQuery(database: TestDatabase, { documentsReadMax }: Settings): Transaction {
  const { limits } = database.begin().options;
  return database.begin({ kind: "query", limits: { ...limits, documentsReadMax } });
}

const order = fc.constantFrom("asc" as const, "desc" as const, null);
const indexRanges: Record<string, RangeExpression[][]> = {
  "t.by_id": [[]],
  "t.by_creation_time": [[]],
  "t.by_n": [[], [
    { type: "Gt", fieldPath: "n", value: 1 },
    { type: "Lte", fieldPath: "n", value: 7 },
  ]],
  "t.by_group": [[], [{ type: "Eq", fieldPath: "group", value: undefined }], [
    { type: "Eq", fieldPath: "group", value: "a" },
    { type: "Lt", fieldPath: "n", value: 6 },
  ]],
};
const source: fc.Arbitrary<QuerySource> = fc.oneof(
  fc.record({
    type: fc.constant("FullTableScan" as const),
    // The second one exists once somebody has written into it.
    tableName: fc.constantFrom("t", "u"),
    order,
  }),
  ...Object.entries(indexRanges).map(([indexName, ranges]) =>
    fc.record({
      type: fc.constant("IndexRange" as const),
      indexName: fc.constant(indexName),
      range: fc.constantFrom(...ranges),
      order,
    })
  ),
);
const isEven: Expression = {
  $eq: [{ $mod: [{ $field: "n" }, { $literal: 2 }] }, { $literal: 0 }],
};
const settings: fc.Arbitrary<Settings> = fc.record({
  query: fc.record({
    source,
    operators: fc.constantFrom([], [{ filter: isEven }]),
  }),
  maximumRowsRead: fc.option(fc.integer({ min: 1, max: 5 })),
  maximumBytesRead: fc.option(fc.integer({ min: 1, max: 400 })),
  documentsReadMax: fc.constantFrom(32_000, 1, 2, 5),
});

const n = fc.nat(9);
const group = fc.constantFrom("a", "b", undefined);
const which = fc.nat(100);
const write = fc.oneof(
  { weight: 3, arbitrary: fc.record({ type: fc.constant("insert" as const), n, group }) },
  fc.record({ type: fc.constant("delete" as const), which }),
  fc.record({ type: fc.constant("move" as const), which, n, group }),
);
type Write = typeof write extends fc.Arbitrary<infer T> ? T : never;
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant("write" as const),
      table: fc.constantFrom("t", "t", "u"),
      writes: fc.array(write, { minLength: 1, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("load" as const),
      pageSize: fc.integer({ min: 1, max: 5 }),
    }),
  },
  fc.record({ type: fc.constant("reconnect" as const) }),
);

function apply(transaction: Transaction, table: string, write: Write): void {
  if (write.type === "insert") {
    transaction.insert(table, { n: write.n, group: write.group });
    return;
  }
  const source = { type: "FullTableScan", tableName: table, order: null } as const;
  const documents = transaction.openQuery({ source, operators: [] }).collect();
  const id = documents[write.which % documents.length]?._id as string | undefined;
  if (id === undefined) return;
  if (write.type === "delete") transaction.delete(id);
  else transaction.patch(id, { n: write.n, group: write.group });
}

Deno.test("function-abi §6, semantics 7.4: pages stay gapless while the data changes", () => {
  fc.assert(
    fc.property(settings, fc.array(step, { maxLength: 25 }), (settings, steps) => {
      const indexes = { by_n: ["n"], by_group: ["group", "n"] };
      const list = new PagedList(new TestDatabase([{ name: "t", indexes }]), settings);
      list.check();
      for (const step of steps) {
        if (step.type === "load") list.loadMore(step.pageSize);
        else if (step.type === "reconnect") list.reconnect();
        else {
          list.commit((transaction) => {
            for (const write of step.writes) apply(transaction, step.table, write);
          });
        }
        list.check();
      }
    }),
    { numRuns: 300 },
  );
});
