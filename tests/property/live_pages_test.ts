/**
 * The unmodified client loads lists page by page, over connections that break at random bytes, while others
 * write. It also subscribes to each list as a whole. Whatever it shows is one snapshot, so the pages joined
 * must at every moment be the beginning of the whole list: no duplicates, no holes.
 */
import assert from "node:assert/strict";
import type { ConvexClient } from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { Clients } from "../support/clients.ts";
import { startFlakyProxy } from "../support/flaky_proxy.ts";
import { type SeededRandom, seededRandom } from "../support/random.ts";
import { eventually } from "../support/waiting.ts";

const { test } = appServer({ app: "tests/fixtures/workshop" });

const breaksMax = 3;
/** States of each list to compare. */
const comparisonsMin = 40;

type Selection = Record<string, unknown>;
interface Note {
  readonly _id: string;
  readonly n: number;
}

/** One list, in pages and as a whole, compared after every transition that changes either. */
class ComparedList {
  status = "LoadingFirstPage";
  failure: unknown;
  comparisons = 0;
  loadMore = (_numItems: number) => {};
  #pages: readonly Note[] = [];
  #whole: readonly Note[] | undefined;

  constructor(client: ConvexClient, readonly selection: Selection) {
    const fail = (error: unknown) => this.failure ??= error;
    client.onUpdate(api.pages.whole, selection, (whole) => {
      this.#whole = whole;
      this.#compareSoon();
    }, fail);
    client.onPaginatedUpdate_experimental(
      api.pages.page,
      selection,
      { initialNumItems: 4 },
      // The type speaks of what the query returns, not of what the client makes of it.
      (result) => {
        const { results, status, loadMore } = result as unknown as {
          results: Note[];
          status: string;
          loadMore(numItems: number): void;
        };
        this.#pages = results;
        this.status = status;
        this.loadMore = loadMore;
        this.#compareSoon();
      },
      fail,
    );
  }

  get length(): number {
    return this.#pages.length;
  }

  /** Callbacks of one transition run in one turn. */
  #compareSoon(): void {
    queueMicrotask(() => {
      if (this.#whole === undefined || this.failure !== undefined) return;
      try {
        const isWhole = this.status === "Exhausted";
        const expected = isWhole ? this.#whole : this.#whole.slice(0, this.#pages.length);
        assert.deepEqual(this.#pages, expected, `${this.status} ${JSON.stringify(this.selection)}`);
        this.comparisons++;
      } catch (error) {
        this.failure = error;
      }
    });
  }
}

function randomChange(random: SeededRandom) {
  const several = <T>(make: () => T) => Array.from({ length: random.integer(3) }, make);
  return {
    insert: several(() => random.integer(100)),
    remove: several(() => random.integer(1000)),
    move: several(() => ({ place: random.integer(1000), n: random.integer(100) })),
  };
}

test("sync-protocol 49, rule 70: lists loaded in pages have neither holes nor duplicates while others write", async ({ server, clients }) => {
  const random = seededRandom();
  console.log(`seed ${random.seed}`);
  const http = clients.http();
  await http.mutation(api.notes.insertMany, {
    notes: Array.from({ length: 60 }, () => ({ n: random.integer(100) })),
  });
  const proxy = await startFlakyProxy(server.url, {
    random,
    bytesMax: 400_000,
    breaksMax,
    delayMsMax: 5,
  });
  const flaky = new Clients(proxy);
  const client = flaky.live();
  const selections: Selection[] = [
    {},
    { order: "desc" },
    { source: "scan", order: "desc", even: true },
    { source: "range", even: true },
  ];
  const lists = selections.map((selection) => new ComparedList(client, selection));
  const check = () => {
    for (const { failure } of lists) if (failure !== undefined) throw failure;
  };

  // The test's own time limit ends this when nothing arrives.
  while (proxy.broken < breaksMax || lists.some((list) => list.comparisons < comparisonsMin)) {
    await http.mutation(api.pages.change, randomChange(random));
    const list = random.pick(lists);
    if (list.status === "CanLoadMore") list.loadMore(1 + random.integer(6));
    check();
  }
  for (const list of lists) {
    await eventually(async () => {
      check();
      if (list.status === "CanLoadMore") list.loadMore(20);
      return list.status === "Exhausted" ? true : undefined;
    }, "the whole list in pages");
    const whole = await http.query(api.pages.whole, list.selection);
    await eventually(
      async () => list.length === whole.length ? true : undefined,
      "the newest state",
    );
    check();
  }
  await flaky.close();
  await proxy.close();
});
