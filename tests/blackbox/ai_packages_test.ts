/** Published components for language models at work, with models that run inside of the functions. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { packageApp } from "../support/package_app.ts";
import { eventually, within } from "../support/waiting.ts";

const { test } = packageApp();
const soonMs = 40_000;
const firstPage = { cursor: null, numItems: 20 };

test("components §13: agent answers in a thread, knows what was said before, and counts usage", async ({ clients }) => {
  const client = clients.http();
  const userId = "ada";
  const threadId = await client.mutation(api.agents.createThread, { userId, title: "Two parrots" });
  const ask = (prompt: string) => client.action(api.agents.ask, { threadId, userId, prompt });
  assert.equal((await ask("Hello")).text, "You said Hello");
  assert.equal((await ask("Again")).text, "You said Hello | Again");
  assert.deepEqual(await client.action(api.agents.askForObject, { threadId }), { colour: "red" });
  // Each answer, and the vector of each message.
  const usage = await client.query(api.agents.usage, { userId });
  const tokens = usage.map((each: { agentName: string; tokens: number }) => {
    assert.equal(each.agentName, "Parrot");
    return each.tokens;
  });
  assert.deepEqual(tokens.filter((count: number) => count > 1), [13, 13, 13]);

  await assert.rejects(ask("fail"), /out of order/);
  const { page } = await client.query(api.agents.messages, { threadId, paginationOpts: firstPage });
  assert.equal(page.at(-1).status, "failed");
  const titles = await client.query(api.agents.searchTitles, { userId, query: "parr" });
  assert.deepEqual(titles, ["Two parrots"]);
});

test("components §13: agent calls tools that are queries and mutations, step by step", async ({ clients }) => {
  const client = clients.http();
  const thread = { threadId: await client.mutation(api.agents.createThread, {}), userId: "bob" };
  const ask = (prompt: string) => client.action(api.agents.ask, { ...thread, prompt });
  assert.deepEqual(await ask('use remember with {"thing":"pear","price":3}'), {
    text: 'It came back with ["bob in a thread"]',
    steps: 2,
  });
  assert.equal((await ask('use lookUp with {"thing":"pear"}')).text, "It came back with [3]");
  const { page } = await client.query(api.agents.messages, {
    threadId: thread.threadId,
    paginationOpts: firstPage,
  });
  const tools = page.flatMap(({ parts }: { parts: { type: string; state?: string }[] }) =>
    parts.filter(({ type }) => type.startsWith("tool-"))
  );
  assert.deepEqual(tools.map(({ type, state }: { type: string; state: string }) => [type, state]), [
    ["tool-remember", "output-available"],
    ["tool-lookUp", "output-available"],
  ]);
});

test("components §13: agent streams an answer into a subscription while the model still works", async ({ clients }) => {
  const client = clients.http();
  const live = clients.live();
  const threadId = await client.mutation(api.agents.createThread, {});
  const changes = new EventTarget();
  const watch = (streamArgs: object, onStreams: (streams: Streams) => void) =>
    live.onUpdate(
      api.agents.messages,
      { threadId, paginationOpts: firstPage, streamArgs },
      ({ streams }) => {
        onStreams(streams);
        changes.dispatchEvent(new Event("change"));
      },
    );
  const until = async <T>(what: string, find: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      await within(new Promise((r) => changes.addEventListener("change", r)), soonMs, what);
    }
  };
  let streamId: string | undefined;
  const stopList = watch({ kind: "list" }, ({ messages }) => streamId ??= messages?.[0]?.streamId);
  const gate = `gate of ${threadId}`;
  const prompt = `use wait with ${JSON.stringify({ gate })}`;
  await client.mutation(api.agents.send, { threadId, prompt });
  const found = await until("the stream", () => streamId);
  stopList();

  let text = "";
  const cursors = [{ streamId: found, cursor: 0 }];
  watch({ kind: "deltas", cursors }, ({ deltas }) => {
    const parts = (deltas ?? []).flatMap((delta) => delta.parts);
    text = parts.map(({ type, delta }) => type === "text-delta" ? delta : "").join("");
  });
  // The model has called a tool that waits: what it said before is all that can be there.
  await until("the first words", () => text === "Let me see." ? text : undefined);
  await client.mutation(api.agents.open, { gate });
  await eventually(
    async () => {
      const { page } = await client.query(api.agents.messages, {
        threadId,
        paginationOpts: firstPage,
      });
      return page.at(-1).status === "success" && page.at(-1).text.endsWith('["open"]') || undefined;
    },
    "the whole answer",
    soonMs,
  );
});

interface Streams {
  readonly messages?: { streamId: string }[];
  readonly deltas?: { parts: { type: string; delta?: string }[] }[];
}

test("components §13: agent ends a stream that was aborted", async ({ clients }) => {
  const client = clients.http();
  const threadId = await client.mutation(api.agents.createThread, {});
  await client.mutation(api.agents.send, { threadId, prompt: 'use wait with {"gate":"never"}' });
  const page = () =>
    client.query(api.agents.messages, {
      ...{ threadId, paginationOpts: firstPage, streamArgs: { kind: "list" } },
    });
  const [{ streamId }] = await eventually(
    async () => {
      const { messages } = (await page()).streams;
      return messages.length > 0 ? messages : undefined;
    },
    "the stream",
    soonMs,
  );
  assert.equal(await client.mutation(api.agents.abort, { streamId }), true);
  assert.deepEqual((await page()).streams.messages, []);
  await client.mutation(api.agents.open, { gate: "never" });
  await eventually(
    async () => (await page()).page.at(-1).status === "failed" || undefined,
    "the failed message",
    soonMs,
  );
});

test("components §13: agent finds messages of other threads by text and by vector", async ({ clients }) => {
  const client = clients.http();
  const userId = "searcher";
  const thread = () => client.mutation(api.agents.createThread, { userId });
  const [first, second] = [await thread(), await thread()];
  for (const prompt of ["Apples are sour", "The moon is far away", "Trains run late"]) {
    await client.action(api.agents.ask, { threadId: first, userId, prompt });
  }
  const find = (by: string, prompt: string) =>
    client.action(api.agents.askWithSearch, { threadId: second, userId, prompt, by });
  assert.match(await find("vector", "how far away is the moon"), /The moon is far away/);
  assert.match(await find("text", "sour apples"), /Apples are sour/);
  const stranger = { threadId: await client.mutation(api.agents.createThread, {}), userId: "eve" };
  const unknown = { ...stranger, prompt: "sour apples", by: "vector" };
  assert.equal(
    await client.action(api.agents.askWithSearch, unknown),
    "You said sour apples",
  );
});

test("components §13: agent lists threads and messages page by page, and deletes a thread in the background", async ({ clients }) => {
  const client = clients.http();
  const userId = "reader";
  for (const title of ["one", "two", "three"]) {
    await client.mutation(api.agents.createThread, { userId, title });
  }
  const threads = (paginationOpts: object) =>
    client.query(api.agents.threads, { userId, paginationOpts });
  const titles = ({ page }: { page: { title: string }[] }) => page.map(({ title }) => title);
  const start = await threads({ cursor: null, numItems: 2 });
  assert.deepEqual([titles(start), start.isDone], [["one", "two"], false]);
  const rest = await threads({ cursor: start.continueCursor, numItems: 2 });
  assert.deepEqual([titles(rest), rest.isDone], [["three"], true]);

  const threadId = start.page[0]._id;
  for (const prompt of ["a", "b", "c"]) {
    await client.action(api.agents.ask, { threadId, userId, prompt });
  }
  const messages = (paginationOpts: object) =>
    client.query(api.agents.messages, { threadId, paginationOpts });
  const newest = await messages({ cursor: null, numItems: 2 });
  const older = await messages({ cursor: newest.continueCursor, numItems: 10 });
  const texts = [...older.page, ...newest.page].map(({ text }) => text);
  const parrot = ["You said a", "You said a | b", "You said a | b | c"];
  assert.deepEqual(texts, ["a", parrot[0], "b", parrot[1], "c", parrot[2]]);
  await client.mutation(api.agents.remove, { threadId });
  await eventually(
    async () => titles(await threads(firstPage)).join() === "two,three" || undefined,
    "the thread to be gone",
    soonMs,
  );
});

test("components §13: agent keeps a file once and shows it to the model", async ({ clients }) => {
  const client = clients.http();
  const threadId = await client.mutation(api.agents.createThread, {});
  assert.deepEqual(await client.action(api.agents.showFile, { threadId, content: "pixels" }), {
    text: "You said <file> | See?",
    isSame: true,
  });
});

const texts = {
  tides: "The moon pulls the sea. Tides rise and fall twice a day.",
  bread: "Flour, water, salt and yeast make bread. Bake it hot.",
  cheese: "Milk curdles, whey drains, cheese ripens in a cellar.",
};

test("components §13: rag finds by vector, by text and by both, within a namespace and a filter", async ({ clients }) => {
  const client = clients.http();
  const namespace = "library";
  for (const [key, text] of Object.entries(texts)) {
    const kind = key === "tides" ? "nature" : "food";
    const { status, created } = await client.action(api.knowledge.add, {
      ...{ namespace, key, text, kind },
    });
    assert.deepEqual([status, created], ["ready", true]);
  }
  const find = async (query: string, options = {}) =>
    (await client.action(api.knowledge.search, { namespace, query, ...options })).keys;
  const one = { limit: 1 };
  assert.deepEqual(await find("tides and the moon", one), ["tides"]);
  for (const searchType of ["text", "hybrid"]) {
    assert.deepEqual(await find("yeast", { searchType, ...one }), ["bread"], searchType);
  }
  assert.deepEqual((await find("moon", { kind: "food" })).sort(), ["bread", "cheese"]);
  assert.deepEqual(await find("moon", { namespace: "elsewhere" }), []);
  const prompt = "What does the moon do to the sea?";
  assert.match(
    await client.action(api.knowledge.answer, { namespace, prompt }),
    /Tides rise and fall twice a day/,
  );
});

test("components §13: rag replaces what has the same key, keeps what is the same, and deletes", async ({ clients }) => {
  const client = clients.http();
  const [namespace, key] = ["notes", "plan"];
  const add = (text: string) =>
    client.action(api.knowledge.add, { namespace, key, text, kind: "plan" });
  const first = await add("Swim in the lake on Monday");
  const same = await add("Swim in the lake on Monday");
  assert.deepEqual([same.entryId, same.created], [first.entryId, false]);
  const second = await add("Climb a mountain on Tuesday");
  assert.deepEqual([second.created, second.replaced], [true, first.entryId]);
  const search = { namespace, query: "lake" };
  const { text } = await client.action(api.knowledge.search, search);
  assert.match(text, /Climb a mountain/);
  assert.doesNotMatch(text, /lake/);
  assert.deepEqual(await client.query(api.knowledge.entries, { namespace }), [
    { key, status: "ready" },
  ]);
  await client.action(api.knowledge.remove, { entryId: second.entryId });
  assert.deepEqual(await client.query(api.knowledge.entries, { namespace }), []);
  assert.deepEqual((await client.action(api.knowledge.search, search)).keys, []);
});

test("components §13: rag takes in and deletes a large text in the background", async ({ clients }) => {
  const client = clients.http();
  const [namespace, key, lines] = ["archive", "long", 250];
  const entryId = await client.mutation(api.knowledge.addLater, { namespace, key, lines });
  await eventually(
    async () => (await client.query(api.knowledge.additions, { key })).length > 0 || undefined,
    "the end of the addition",
    soonMs,
  );
  assert.deepEqual(await client.query(api.knowledge.additions, { key }), [
    { status: "ready", error: null, replaced: null },
  ]);
  assert.equal(await client.query(api.knowledge.chunks, { entryId }), lines);
  const found = await client.action(api.knowledge.search, {
    ...{ namespace, query: "number123", searchType: "text", limit: 1, around: 1 },
  });
  assert.deepEqual(found.first, [122, 123, 124].map((line) => `line number${line} of long`));
  await client.mutation(api.knowledge.removeLater, { entryId });
  await eventually(
    async () => await client.query(api.knowledge.chunks, { entryId }) === 0 || undefined,
    "the chunks to be gone",
    soonMs,
  );
});
