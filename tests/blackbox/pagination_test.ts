/** Pages as clients ask for them, over HTTP and, with journals, over the WebSocket. */
import assert from "node:assert/strict";
import type { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import type { Clients } from "../support/clients.ts";
import type { SyncSocket } from "../support/sync_socket.ts";

const { test } = appServer({
  app: "tests/fixtures/workshop",
  environment: { HULL_DOCUMENTS_READ_MAX: "500" },
});
const { notes, pages, counters } = api;

interface Page {
  page: { n: number }[];
  isDone: boolean;
  continueCursor: string;
  splitCursor: string | null;
  pageStatus: string | null;
}
const numbers = ({ page }: Page) => page.map(({ n }) => n);

async function fill(clients: Clients, documents: unknown[]): Promise<ConvexHttpClient> {
  const client = clients.http();
  await client.mutation(notes.clear);
  await client.mutation(notes.insertMany, { notes: documents });
  return client;
}
const upTo = (count: number) => Array.from({ length: count }, (_, n) => ({ n }));

const invalidCursor = (error: Error & { data?: unknown }) => {
  assert.match(error.message, /InvalidCursor: Tried to run a query starting from a cursor/);
  assert.deepEqual(error.data, { isConvexSystemError: true, paginationError: "InvalidCursor" });
  return true;
};

test("function-abi §6: pages of every source join to the whole, in both orders, filtered or not", async ({ clients }) => {
  const client = await fill(clients, [...upTo(90), ...upTo(30)]);
  for (const source of ["scan", "index", "range"]) {
    for (const order of ["asc", "desc"]) {
      for (const even of [false, true]) {
        const selection = { source, order, even };
        const joined: unknown[] = [];
        let page: Page | undefined;
        while (!page?.isDone) {
          const paginationOpts = { numItems: 17, cursor: page?.continueCursor ?? null };
          page = await client.query(pages.page, { ...selection, paginationOpts }) as Page;
          joined.push(...page.page);
        }
        assert.deepEqual(joined, await client.query(pages.whole, selection));
      }
    }
  }
});

test("function-abi 48, 49: sizes that no page can have are refused by name", async ({ clients }) => {
  const client = await fill(clients, upTo(3));
  const refusals: [Record<string, unknown>, RegExp][] = [
    [{ numItems: 0, cursor: null }, /Must request at least 1 document while paginating/],
    [{ numItems: 40_000, cursor: null }, /Requested too many items: 40000/],
    [{ numItems: 2.5, cursor: null }, /`numItems`.*expected a whole number, got 2\.5/],
    [{ numItems: Infinity, cursor: null }, /`numItems`.*expected a whole number, got Infinity/],
    [
      { numItems: -1, cursor: null },
      /`options\.numItems` must be a positive number. Received `-1`/,
    ],
    [{ numItems: 1, cursor: 5 }, /`cursor`.*expected a string, got number/],
    [{ numItems: 1, cursor: null, maximumRowsRead: 0 }, /must be greater than 0/],
    [{ numItems: 1, cursor: null, maximumBytesRead: -5 }, /`maximumBytesRead`.*whole number/],
  ];
  for (const [options, message] of refusals) {
    await assert.rejects(client.query(pages.anyOptions, { options }), message);
  }
  const first = await client.query(pages.anyOptions, { options: { numItems: 2 } });
  assert.deepEqual(numbers(first), [0, 1], "without a cursor a page is the first one");
});

test("function-abi 52: an end cursor fixes the page, whatever its size", async ({ clients }) => {
  const client = await fill(clients, upTo(8));
  const page = (paginationOpts: Record<string, unknown>): Promise<Page> =>
    client.query(pages.page, { paginationOpts });
  const first = await page({ numItems: 6, cursor: null });
  await client.mutation(pages.change, { insert: [0.5, 9], remove: [3], move: [] });
  const endCursor = first.continueCursor;
  const again = await page({ numItems: 1, cursor: null, endCursor });
  assert.deepEqual(numbers(again), [0, 0.5, 1, 2, 4, 5]);
  assert.equal(again.continueCursor, endCursor);
  const rest = await page({ numItems: 9, cursor: endCursor });
  assert.deepEqual([numbers(rest), rest.isDone], [[6, 7, 9], true]);
});

test("function-abi 54, 55: what was read bounds a page, and it can be split where it says", async ({ clients }) => {
  const client = await fill(clients, upTo(20));
  const page = (args: Record<string, unknown>): Promise<Page> =>
    client.query(pages.page, { even: true, ...args });
  const paginationOpts = { numItems: 10, cursor: null };
  const cut = await page({ paginationOpts, maximumRowsRead: 7 });
  assert.deepEqual([numbers(cut), cut.pageStatus, cut.isDone], [
    [0, 2, 4, 6],
    "SplitRequired",
    false,
  ]);
  const halves = [
    await page({ paginationOpts: { ...paginationOpts, endCursor: cut.splitCursor } }),
    await page({
      paginationOpts: { numItems: 1, cursor: cut.splitCursor, endCursor: cut.continueCursor },
    }),
  ];
  assert.deepEqual(halves.map(numbers), [[0, 2], [4, 6]]);
  const small = await page({ paginationOpts: { numItems: 2, cursor: null }, even: false });
  assert.deepEqual([small.splitCursor, small.pageStatus], [null, null]);
});

test("function-abi 56, sync-protocol 46, rule 75: foreign, forged and broken cursors let clients begin again", async ({ clients }) => {
  const client = await fill(clients, upTo(5));
  const page = (cursor: string, args: Record<string, unknown> = {}) =>
    client.query(pages.page, { ...args, paginationOpts: { numItems: 2, cursor } });
  const { continueCursor: cursor } = await client.query(pages.page, {
    paginationOpts: { numItems: 2, cursor: null },
  });
  await page(cursor);
  const middle = cursor.length >> 1;
  const forged = cursor.slice(0, middle) + (cursor[middle] === "A" ? "B" : "A") +
    cursor.slice(middle + 1);
  for (const broken of [forged, cursor.slice(0, 20), `${cursor}AAAA`, "", "garbage", "ü", "null"]) {
    await assert.rejects(page(broken), invalidCursor, broken);
  }
  await assert.rejects(page(cursor, { order: "desc" }), invalidCursor);
  await assert.rejects(page(cursor, { source: "range" }), invalidCursor);
  await assert.rejects(page(cursor, { even: true }), invalidCursor);
  const ends = client.query(pages.page, {
    paginationOpts: { numItems: 2, cursor: null, endCursor: forged },
  });
  await assert.rejects(ends, invalidCursor);
});

test("function-abi 57, sync-protocol 48: one paginated query for each execution", async ({ clients }) => {
  const client = await fill(clients, upTo(3));
  const paginationOpts = { numItems: 2, cursor: null };
  await assert.rejects(
    client.query(pages.twice, { paginationOpts }),
    /This query or mutation function ran multiple paginated queries\. Convex only supports a single paginated query in each function\./,
  );
  const [inner, outer] = await client.query(pages.nested, { paginationOpts });
  const shown = (page: { n: number }[]) => page.map(({ n }) => n);
  assert.deepEqual([shown(inner), shown(outer)], [[0, 1], [2, 1]]);
});

test("semantics 7.4: system tables have pages, too", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(pages.schedule, { count: 5 });
  const page = (cursor: string | null): Promise<Page> =>
    client.query(pages.jobs, { paginationOpts: { numItems: 3, cursor } });
  const first = await page(null);
  const second = await page(first.continueCursor);
  assert.deepEqual([first.page.length, first.isDone], [3, false]);
  assert.deepEqual([second.page.length, second.isDone], [2, true]);
});

// deno-lint-ignore no-explicit-any -- modifications are looked at in every way
async function modification(socket: SyncSocket): Promise<any> {
  return (await socket.transition()).modifications[0];
}

const watched = (udfPath: string, journal?: string | null) => ({
  type: "Add",
  queryId: 0,
  udfPath,
  args: [{ paginationOpts: { numItems: 3, cursor: null } }],
  ...(journal !== undefined && { journal }),
});

test("sync-protocol 41-45, 47: a page keeps its end through reruns and on a new connection", async ({ clients }) => {
  const client = await fill(clients, upTo(6));
  const socket = await clients.socket();
  socket.connect();
  socket.modifyQuerySet([
    watched("pages:page"),
    { type: "Add", queryId: 1, udfPath: "counters:read", args: [{ name: "plain" }] },
  ]);
  const [first, plain] = (await socket.transition()).modifications;
  assert.equal(first.journal, first.value.continueCursor);
  assert.equal(plain.journal, null);

  await client.mutation(pages.change, { insert: [0.5, 1.5], remove: [2], move: [] });
  const grown = await modification(socket);
  assert.deepEqual([numbers(grown.value), grown.journal], [[0, 0.5, 1, 1.5], first.journal]);
  socket.terminate();
  await client.mutation(pages.change, { insert: [1.7], remove: [0], move: [] });

  const again = async (change: Record<string, unknown>) => {
    const socket = await clients.socket();
    socket.connect();
    socket.modifyQuerySet([{ ...watched("pages:page"), ...change }]);
    return await modification(socket);
  };
  const kept = await again({ journal: grown.journal });
  assert.deepEqual([numbers(kept.value), kept.journal], [[0.5, 1, 1.5, 1.7], first.journal]);
  const fresh = await again({ journal: null });
  assert.deepEqual(numbers(fresh.value), [0.5, 1, 1.5]);
  const paginationOpts = { numItems: 3, cursor: null, endCursor: fresh.journal };
  const ended = await again({ journal: grown.journal, args: [{ paginationOpts }] });
  assert.deepEqual(numbers(ended.value), [0.5, 1, 1.5]);
  assert.equal(ended.journal, fresh.journal);
  const garbage = await again({ journal: "garbage" });
  assert.equal(garbage.type, "QueryFailed");
  assert.match(garbage.errorMessage, /InvalidCursor/);
});

test("sync-protocol rule 68, 74: a failure keeps the page's end, and another query refuses it", async ({ clients }) => {
  const client = await fill(clients, upTo(6));
  const socket = await clients.socket();
  socket.connect();
  socket.modifyQuerySet([watched("pages:steered")]);
  const first = await modification(socket);
  await client.mutation(counters.increment, { name: "steering" });
  const failed = await modification(socket);
  assert.deepEqual([failed.type, failed.journal], ["QueryFailed", first.journal]);
  await client.mutation(pages.change, { insert: [0.5], remove: [], move: [] });
  await client.mutation(counters.increment, { name: "steering" });
  const recovered = await modification(socket);
  assert.deepEqual(numbers(recovered.value), [0, 0.5, 1, 2]);
  await client.mutation(counters.increment, { name: "steering" });
  const turned = await modification(socket);
  assert.deepEqual(turned.errorData, {
    isConvexSystemError: true,
    paginationError: "InvalidCursor",
  });
});

// The last one: to remove so many notes would take more than the limit allows.
test("function-abi §6: the limits of the execution end a page, too", async ({ clients }) => {
  const client = await fill(clients, upTo(600));
  const limited = await client.query(pages.page, {
    paginationOpts: { numItems: 600, cursor: null },
    even: true,
  });
  assert.deepEqual([limited.page.length, limited.pageStatus], [250, "SplitRequired"]);
});
