/** convex-helpers as published: what apps build their functions, queries and routes with. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { type AppContext, appServer } from "../support/app_server.ts";
import { installedPackages } from "../support/installed_packages.ts";
import { eventually } from "../support/waiting.ts";

const { test } = appServer({
  app: "tests/fixtures/auth_packages/convex_helpers",
  prepare: async (app) => {
    const packages = await installedPackages("tests/fixtures/auth_packages");
    await Deno.symlink(packages, `${app}/node_modules`);
  },
});

type HttpClient = ReturnType<AppContext["clients"]["http"]>;

interface PageOfTitles {
  readonly page: string[];
  readonly isDone: boolean;
  readonly continueCursor: string;
}

const books = [
  ["Woolf", "Orlando", 1928, "novel", "england", "time"],
  ["Woolf", "The Waves", 1931, "novel", "time"],
  ["Beckett", "Endgame", 1957, "play", "france"],
  ["Beckett", "Molloy", 1951, "novel"],
  ["Dickinson", "Hope", 1891, "poem", "time"],
] as const;
const ids = new Map<string, string>();

async function library(client: HttpClient): Promise<void> {
  if (ids.size > 0) return;
  for (const [author, title, year, genre, ...tags] of books) {
    ids.set(
      title,
      await client.mutation(api.library.addBook, { author, title, year, genre, tags }),
    );
  }
}

test("components §13: convex-helpers: custom functions, with validators and with Zod", async ({ clients }) => {
  const client = clients.http();
  const greeting = { greeting: "Hello", as: "ada" };
  assert.equal(await client.query(api.guarded.greet, greeting), "Hello, ada");
  assert.equal(await client.action(api.guarded.greetLater, greeting), "Hello, ADA");
  await assert.rejects(
    client.query(api.guarded.greet, { greeting: "Hello" }),
    /missing the required field `as`/,
  );

  const email = "ada@example.com";
  const added = await client.mutation(api.guarded.zodAdd, { name: " Ada ", email });
  assert.deepEqual(added, { id: added.id, name: "ADA", count: 1 });
  assert.equal(await client.query(api.guarded.zodGet, { id: added.id }), "ADA");
  await assert.rejects(
    client.mutation(api.guarded.zodAdd, { name: "A", email: "nowhere" }),
    (error: { data?: { ZodError: { path: string[] }[] } }) => {
      assert.deepEqual(error.data?.ZodError.map(({ path }) => path[0]), ["name", "email"]);
      return true;
    },
  );
  assert.equal(await client.action(api.guarded.zodRun, { items: ["a", 1] }), "a,1");
  await assert.rejects(client.action(api.guarded.zodRun, { items: [1, 2, 3, 4] }), /ZodError/);
});

test("components §13: convex-helpers: row-level security", async ({ clients }) => {
  const client = clients.http();
  const note = (as: string, text: string, isPublic: boolean, owner = as) =>
    client.mutation(api.guarded.add, { as, owner, text, isPublic });
  const [open, secret] = [await note("ada", "open", true), await note("ada", "secret", false)];
  await note("bob", "other", false);
  await assert.rejects(note("bob", "forged", true, "ada"), /insert access not allowed/);
  const seenBy = (as: string) => client.query(api.guarded.list, { as });
  assert.deepEqual([await seenBy("ada"), await seenBy("bob")], [["open", "secret"], [
    "open",
    "other",
  ]]);
  const change = (as: string, id: string) =>
    client.mutation(api.guarded.change, { as, id, text: "changed" });
  await assert.rejects(change("bob", open), /write access not allowed/);
  await assert.rejects(change("bob", secret), /no read access or doc does not exist/);
  await change("ada", secret);
  await client.mutation(api.guarded.remove, { as: "ada", id: open });
  assert.deepEqual([await seenBy("ada"), await seenBy("bob")], [["changed"], ["other"]]);
});

test("components §13: convex-helpers: sessions", async ({ clients }) => {
  const client = clients.http();
  const [sessionId, other] = [crypto.randomUUID(), crypto.randomUUID()];
  await client.mutation(api.guarded.visit, { sessionId, page: "home" });
  assert.deepEqual(await client.action(api.guarded.visitTwice, { sessionId, page: "shop" }), [
    "home",
    "shop",
    "shop",
  ]);
  assert.deepEqual(await client.query(api.guarded.visited, { sessionId: other }), []);
});

test("components §13: convex-helpers: relationships, triggers, validators, CRUD", async ({ clients }) => {
  const client = clients.http();
  await library(client);
  const [orlando, hope] = [ids.get("Orlando")!, ids.get("Hope")!];
  const { name, bookCount } = await client.query(api.library.authorOf, { id: orlando });
  assert.deepEqual([name, bookCount], ["Woolf", 2]);
  assert.deepEqual(
    await client.query(api.library.booksOf, { author: "Woolf", ids: [hope, orlando] }),
    {
      described: ["Orlando,england,time", "The Waves,time"],
      given: ["Hope", "Orlando"],
    },
  );
  await assert.rejects(
    client.query(api.library.booksOf, { author: "Nobody", ids: [] }),
    /Can't find a document in authors/,
  );

  const authorId = (await client.query(api.library.authorOf, { id: hope }))._id;
  await client.mutation(api.library.changeBook, { id: orlando, change: { authorId } });
  assert.equal((await client.query(api.library.authorOf, { id: orlando })).bookCount, 2);
  const back = (await client.query(api.library.authorOf, { id: ids.get("The Waves")! }))._id;
  await client.mutation(api.library.changeBook, { id: orlando, change: { authorId: back } });
  assert.equal((await client.query(api.library.authorOf, { id: hope })).bookCount, 1);

  const created = await client.mutation(api.library.create, { name: "Nobody", bookCount: 0 });
  await client.mutation(api.library.update, { id: created._id, patch: { bookCount: 7 } });
  assert.equal((await client.query(api.library.read, { id: created._id })).bookCount, 7);
  await client.mutation(api.library.destroy, { id: created._id });
  assert.equal(await client.query(api.library.read, { id: created._id }), null);
  const paginationOpts = { cursor: null, numItems: 2 };
  assert.equal((await client.query(api.library.paginate, { paginationOpts })).page.length, 2);
  assert.equal(await client.query(api.library.isBook, { value: { title: "?" } }), false);
});

test("components §13: convex-helpers: streams, merged and joined, in pages", async ({ clients }) => {
  const client = clients.http();
  await library(client);
  const pages = async (
    name: "byGenres" | "byAuthors" | "withLongTitles",
    args: object,
    numItems: number,
  ) => {
    const all: string[][] = [];
    for (let cursor: string | null = null, isDone = false; !isDone;) {
      const paginationOpts: { cursor: string | null; numItems: number } = { cursor, numItems };
      const page: PageOfTitles = await client.query(api.library[name]!, {
        ...args,
        paginationOpts,
      });
      all.push(page.page);
      ({ isDone, continueCursor: cursor } = page);
      assert.ok(all.length < 10, "it comes to an end");
    }
    return all.filter((page) => page.length > 0);
  };
  const genres = ["novel", "play"];
  assert.deepEqual(await pages("byGenres", { genres }, 3), [["Orlando", "The Waves", "Molloy"], [
    "Endgame",
  ]]);
  assert.deepEqual((await pages("byGenres", { genres, even: true }, 3)).flat(), ["Orlando"]);
  assert.deepEqual(await pages("byAuthors", {}, 10), [
    ["Molloy 1951", "Endgame 1957", "Hope 1891", "Orlando 1928", "The Waves 1931"],
  ]);
  assert.deepEqual((await pages("withLongTitles", { length: 7 }, 2)).flat(), [
    "Orlando",
    "The Waves",
    "Endgame",
  ]);
  assert.deepEqual(await client.query(api.library.twoPages, {}), {
    ...{ books: 2, rest: 3, isDone: true, authors: ["Woolf"], hasMore: true },
  });
});

test("components §13: convex-helpers: migrations one after the other, and retries of actions", async ({ clients }) => {
  const client = clients.http();
  await library(client);
  await client.mutation(api.work.begin, { name: "works", failures: 2 });
  await client.mutation(api.work.begin, { name: "never", failures: 100 });
  await client.mutation(api.work.migrate, {});
  const progress = await eventually(
    async () => {
      const progress = await client.query(api.work.progress, {});
      const isDone = progress.states.length === 2 &&
        progress.states.every((each: { isDone: boolean }) => each.isDone);
      return isDone ? progress : undefined;
    },
    "both migrations",
    20_000,
  );
  assert.deepEqual(progress.shelves, [
    ...["Orlando: O", "The Waves: T", "Endgame: E", "Molloy: M", "Hope: null"],
  ]);
  assert.deepEqual(progress.states.map(({ processed }: { processed: number }) => processed), [
    5,
    1,
  ]);
  const attempts = (name: string, count: number) =>
    eventually(
      async () => await client.query(api.work.attempts, { name }) === count || undefined,
      `${count} attempts`,
      20_000,
    );
  await attempts("works", 3);
  await attempts("never", 4);
});

test("components §13: convex-helpers: routes by Hono, and for other origins", async ({ server }) => {
  const page = "http://page.example";
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(`${server.url}${path}`, init);
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const greeted = await get("/hono/greet/ada");
  assert.deepEqual([JSON.parse(greeted.text), greeted.headers.get("x-served-by")], [{
    text: "Hi, ada",
  }, "hono"]);
  const body = JSON.stringify({ sessionId: "s", page: "p" });
  assert.equal((await get("/hono/visits", { method: "POST", body })).status, 201);
  const broken = await get("/hono/broken");
  assert.deepEqual([broken.status, broken.text], [418, "broken on purpose"]);
  assert.equal((await get("/hono/greet/42")).status, 404);
  assert.equal((await get("/plain")).text, "plain");

  const shared = await get("/shared", { headers: { origin: page } });
  assert.deepEqual([shared.text, shared.headers.get("access-control-allow-origin")], [
    "shared",
    page,
  ]);
  assert.equal(
    (await get("/shared", { method: "POST", headers: { origin: page } })).text,
    "written",
  );
  const asked = await get("/shared", { method: "OPTIONS", headers: { origin: page } });
  assert.equal(asked.status, 204);
  assert.match(asked.headers.get("access-control-allow-methods")!, /GET.*POST|POST.*GET/);
  assert.equal(asked.headers.get("access-control-max-age"), "60");
  const strange = await get("/shared", { headers: { origin: "http://evil.example" } });
  assert.equal(strange.headers.get("access-control-allow-origin"), null);
  const open = await get("/open/door", { headers: { origin: "http://any.example" } });
  assert.deepEqual([open.text, open.headers.get("access-control-allow-origin")], [
    "open",
    "http://any.example",
  ]);
});
