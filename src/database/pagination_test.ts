import assert from "node:assert/strict";
import fc from "fast-check";
import type { Expression, Query, QueryOperator } from "./query.ts";
import { TestDatabase } from "./database_testing.ts";
import { type Page, type PageOptions, QueryJournal, type Transaction } from "./transaction.ts";

function query(order: "asc" | "desc", operators: QueryOperator[] = []): Query {
  return { source: { type: "IndexRange", indexName: "t.by_n", range: [], order }, operators };
}

function paginate(
  transaction: Transaction,
  query: Query,
  options: Partial<PageOptions>,
  journal = new QueryJournal(null),
): Page {
  return transaction.paginate(
    query,
    { cursor: null, endCursor: null, pageSize: 3, maximumRowsRead: null, ...options },
    journal,
  );
}

function databaseWith(count: number): TestDatabase {
  const database = new TestDatabase([{ name: "t", indexes: { by_n: ["n"] } }]);
  database.commit((transaction) => {
    for (let n = 0; n < count; n++) transaction.insert("t", { n });
  });
  return database;
}

const numbers = ({ page }: Page) => page.map(({ n }) => n);
const isEven: Expression = {
  $eq: [{ $mod: [{ $field: "n" }, { $literal: 2 }] }, { $literal: 0 }],
};

Deno.test("pages of any size join without gap or overlap to the whole query", () => {
  const order = fc.constantFrom("asc" as const, "desc" as const);
  const options = fc.record({
    pageSize: fc.integer({ min: 1, max: 5 }),
    maximumRowsRead: fc.option(fc.integer({ min: 1, max: 4 })),
  });
  fc.assert(fc.property(
    fc.nat(12),
    order,
    fc.boolean(),
    fc.array(options, { minLength: 1 }),
    (count, order, filtered, sizes) => {
      const wanted = query(order, filtered ? [{ filter: isEven }] : []);
      const transaction = databaseWith(count).begin({ kind: "query" });
      const joined: unknown[] = [];
      let page: Page | undefined;
      for (let i = 0; page === undefined || !page.isDone; i++) {
        const cursor = page?.continueCursor ?? null;
        page = paginate(transaction, wanted, { ...sizes[i % sizes.length], cursor });
        joined.push(...numbers(page));
        if (page.splitCursor === null) continue;
        const end = page.continueCursor;
        const halves = [
          paginate(transaction, wanted, { cursor, endCursor: page.splitCursor }),
          paginate(transaction, wanted, { cursor: page.splitCursor, endCursor: end }),
        ];
        assert.deepEqual(halves.flatMap(numbers), numbers(page));
        assert.equal(halves[1]!.continueCursor, end);
      }
      assert.deepEqual(joined, transaction.openQuery(wanted).collect().map(({ n }) => n));
    },
  ));
});

Deno.test("function-abi 50, 51: a full page is never done, the empty one after it is", () => {
  const transaction = databaseWith(3).begin();
  const first = paginate(transaction, query("asc"), {});
  assert.deepEqual([numbers(first), first.isDone], [[0, 1, 2], false]);
  const second = paginate(transaction, query("asc"), { cursor: first.continueCursor });
  assert.deepEqual([numbers(second), second.isDone], [[], true]);
  const beyond = paginate(transaction, query("asc"), { cursor: second.continueCursor });
  assert.deepEqual(beyond, second);
});

Deno.test("function-abi 48, 49: sizes that no page can have", () => {
  const transaction = databaseWith(1).begin();
  const cases: [Partial<PageOptions>, string][] = [
    [{ pageSize: 0 }, "Must request at least 1 document while paginating"],
    [{ pageSize: 40_000 }, "Requested too many items: 40000"],
    [{ maximumRowsRead: 0 }, "maximumRowsRead and maximumBytesRead must be greater than 0"],
    [{ maximumBytesRead: 0 }, "maximumRowsRead and maximumBytesRead must be greater than 0"],
    ...Object.entries({ 2.5: 2.5, NaN: NaN, Infinity: Infinity, "-1": -1 }).map((
      [shown, pageSize],
    ): [Partial<PageOptions>, string] => [
      { pageSize },
      `Invalid argument \`numItems\` for \`paginate\`: expected a whole number, got ${shown}`,
    ]),
    [
      { maximumRowsRead: -1 },
      "Invalid argument `maximumRowsRead` for `paginate`: expected a whole number, got -1",
    ],
    [
      { maximumBytesRead: "1" as unknown as number },
      "Invalid argument `maximumBytesRead` for `paginate`: expected a whole number, got 1",
    ],
    [
      { cursor: 5 as unknown as string },
      "Invalid argument `cursor` for `paginate`: expected a string, got number",
    ],
    [
      { endCursor: {} as unknown as string },
      "Invalid argument `endCursor` for `paginate`: expected a string, got object",
    ],
  ];
  for (const [options, message] of cases) {
    assert.throws(() => paginate(transaction, query("asc"), options), { message });
  }
});

Deno.test("function-abi 52, 53: the journal or an end cursor fixes where the page ends", () => {
  const database = databaseWith(5);
  const journal = new QueryJournal(null);
  const first = paginate(database.begin(), query("asc"), {}, journal);
  assert.equal(journal.result, first.continueCursor);
  database.commit((transaction) => transaction.insert("t", { n: 0.5 }));
  const again = new QueryJournal(journal.result);
  const second = paginate(database.begin(), query("asc"), {}, again);
  assert.deepEqual(numbers(second), [0, 0.5, 1, 2]);
  assert.equal(second.continueCursor, first.continueCursor);
  assert.equal(again.result, journal.result);

  const end = paginate(database.begin(), query("asc"), { pageSize: 10 }).continueCursor;
  const journalAndEnd = new QueryJournal(journal.result);
  const options = { pageSize: 1, endCursor: end };
  const all = paginate(database.begin(), query("asc"), options, journalAndEnd);
  assert.equal(all.page.length, 6);
  assert.equal(all.isDone, true);
});

Deno.test("function-abi 54, 55: read bounds end a page early, and large pages can be split", () => {
  const database = databaseWith(8);
  const filtered = query("asc", [{ filter: isEven }]);
  const early = paginate(database.begin(), filtered, { maximumRowsRead: 4 });
  assert.deepEqual(numbers(early), [0, 2]);
  assert.equal(early.pageStatus, "SplitRequired");
  assert.notEqual(early.splitCursor, null);
  const small = paginate(database.begin(), query("asc"), { pageSize: 2 });
  assert.deepEqual([small.pageStatus, small.splitCursor], [null, null]);
  const tiny = paginate(database.begin(), query("asc"), { maximumBytesRead: 1 });
  assert.deepEqual([numbers(tiny), tiny.pageStatus], [[0], "SplitRequired"]);
  assert.notEqual(tiny.splitCursor, null, "clients show such a page only when they have split it");
  const large = paginate(database.begin(), query("asc"), { maximumRowsRead: 3 });
  assert.deepEqual([numbers(large), large.pageStatus], [[0, 1, 2], "SplitRecommended"]);

  const limits = { ...database.begin().options.limits, documentsReadMax: 2 };
  const transaction = database.begin({ limits });
  const cut = paginate(transaction, query("asc"), {});
  assert.deepEqual([numbers(cut), cut.pageStatus, cut.isDone], [[0, 1], "SplitRequired", false]);
  assert.throws(() => paginate(transaction, query("asc"), {}), { code: "TooManyDocumentsRead" });
});

Deno.test("sync-protocol rule 70: a page that cannot be read to its end keeps that end and must be split", () => {
  const database = databaseWith(3);
  const journal = new QueryJournal(null);
  const first = paginate(database.begin(), query("asc"), { pageSize: 2 }, journal);
  database.commit((transaction) => transaction.insert("t", { n: 0.5 }));
  const limits = { ...database.begin().options.limits, documentsReadMax: 1 };
  const again = new QueryJournal(journal.result);
  const cut = paginate(database.begin({ limits }), query("asc"), { pageSize: 2 }, again);
  assert.deepEqual([numbers(cut), cut.pageStatus], [[0], "SplitRequired"]);
  assert.equal(cut.continueCursor, first.continueCursor);
  assert.equal(again.result, journal.result);
  const rest = paginate(database.begin(), query("asc"), {
    cursor: cut.splitCursor,
    endCursor: cut.continueCursor,
  });
  assert.deepEqual(numbers(rest), [0.5, 1]);
});

Deno.test("function-abi §6: a cursor tells nothing of the document that it stands behind", () => {
  const database = new TestDatabase([{ name: "t", indexes: { by_n: ["n"] } }]);
  database.commit((transaction) => transaction.insert("t", { n: "a secret name" }));
  const { continueCursor } = paginate(database.begin(), query("asc"), { pageSize: 1 });
  const bytes = Uint8Array.fromBase64(continueCursor, { alphabet: "base64url" });
  assert.ok(!String.fromCharCode(...bytes).includes("secret"));
  assert.equal(
    paginate(database.begin(), query("asc"), { pageSize: 1 }).continueCursor,
    continueCursor,
    "the same for the same position",
  );
});

Deno.test("function-abi 56: a cursor of another query, or a forged one, lets clients begin again", () => {
  const transaction = databaseWith(5).begin();
  const { continueCursor } = paginate(transaction, query("asc"), {});
  const changed = (at: number) =>
    continueCursor.slice(0, at) + (continueCursor[at] === "A" ? "B" : "A") +
    continueCursor.slice(at + 1);
  const attempts: [Query, string][] = [
    [query("desc"), continueCursor],
    [query("asc", [{ filter: isEven }]), continueCursor],
    [query("asc"), changed(0)],
    [query("asc"), changed(30)],
    [query("asc"), continueCursor.slice(0, -4)],
    [query("asc"), "A".repeat(22)],
    [query("asc"), ""],
    [query("asc"), "*"],
  ];
  for (const [other, cursor] of attempts) {
    assert.throws(() => paginate(transaction, other, { cursor }), {
      message:
        "InvalidCursor: Tried to run a query starting from a cursor, but it looks like this cursor is from a different query.",
      data: { isConvexSystemError: true, paginationError: "InvalidCursor" },
    });
  }
  assert.throws(() => paginate(transaction, query("asc"), {}, new QueryJournal("garbage")));
});

Deno.test("function-abi §6: a cursor means nothing once its index has other fields", () => {
  const cursorOf = (fields: string[]) => {
    const database = new TestDatabase([{ name: "t", indexes: { by_n: fields } }]);
    database.commit((transaction) => transaction.insert("t", { n: 1, m: 2 }));
    const transaction = database.begin();
    return {
      transaction,
      cursor: paginate(transaction, query("asc"), { pageSize: 1 }).continueCursor,
    };
  };
  const { cursor } = cursorOf(["n"]);
  const { transaction } = cursorOf(["n", "m"]);
  assert.throws(() => paginate(transaction, query("asc"), { cursor }), { code: "InvalidCursor" });
});

Deno.test("semantics 7.4: pages of a mutation hold its own writes, in order", () => {
  for (const order of ["asc", "desc"] as const) {
    const transaction = databaseWith(6).begin();
    const documents = transaction.openQuery(query("asc")).collect();
    for (const n of [2.5, -1, 9]) transaction.insert("t", { n });
    transaction.delete(documents[0]!._id as string);
    transaction.patch(documents[4]!._id as string, { n: 0.5 });
    const joined: unknown[] = [];
    let page: Page | undefined;
    while (!page?.isDone) {
      page = paginate(transaction, query(order), {
        pageSize: 2,
        cursor: page?.continueCursor ?? null,
      });
      joined.push(...numbers(page));
    }
    const expected = [-1, 0.5, 1, 2, 2.5, 3, 5, 9];
    assert.deepEqual(joined, order === "asc" ? expected : expected.reverse());
  }
});

Deno.test("function-abi 57: one paginated query for each execution", () => {
  const transaction = databaseWith(5).begin();
  const journal = new QueryJournal(null);
  paginate(transaction, query("asc"), {}, journal);
  assert.throws(() => paginate(transaction, query("desc"), {}, journal), {
    message:
      "This query or mutation function ran multiple paginated queries. Convex only supports a single paginated query in each function.",
  });
  paginate(transaction, query("desc"), {});
});

Deno.test("a table that does not exist has one empty page", () => {
  const source = { type: "FullTableScan", tableName: "missing", order: null } as const;
  const page = paginate(databaseWith(0).begin(), { source, operators: [] }, {});
  assert.deepEqual([page.page, page.isDone], [[], true]);
});

Deno.test("a page that fails has read what it came across, so that a subscription sees it recover", () => {
  const transaction = databaseWith(2).begin({ kind: "query" });
  const failing: Expression = { $add: [{ $field: "n" }, { $literal: null }] };
  assert.throws(() => paginate(transaction, query("asc", [{ filter: failing }]), {}), {
    code: "EvalError",
  });
  assert.equal(transaction.finish().reads.length, 1);
});
