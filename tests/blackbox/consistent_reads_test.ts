/** Reads at an older timestamp: `consistentQuery` of the npm client, `/api/query_ts` and `/api/query_at_ts`. */
import assert from "node:assert/strict";
import { ConvexHttpClient } from "convex/browser";
import { api } from "../support/api.ts";
import { makeApp } from "../support/apps.ts";
import { type JsonAnswer, postJson } from "../support/http.ts";
import { ServerProcess } from "../support/server_process.ts";

const accounts = 20;
const files = {
  "convex/schema.ts": `
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  accounts: defineTable({ name: v.string(), balance: v.number() })
    .index("by_balance", ["balance"])
    .searchIndex("by_name", { searchField: "name" }),
});
`,
  "convex/bank.ts": `
import { mutation, query } from "./_generated/server";

export const open = mutation(async (ctx, { count }) => {
  for (let i = 0; i < count; i++) {
    await ctx.db.insert("accounts", { name: "Account Number" + i, balance: 100 });
  }
});
export const transfer = mutation(async (ctx, { from, to, amount }) => {
  const all = await ctx.db.query("accounts").collect();
  await ctx.db.patch(all[from]._id, { balance: all[from].balance - amount });
  await ctx.db.patch(all[to]._id, { balance: all[to].balance + amount });
});
/** Everything comes and goes but the sum. */
export const churn = mutation(async (ctx) => {
  const [first] = await ctx.db.query("accounts").collect();
  await ctx.db.delete(first._id);
  await ctx.db.insert("accounts", { name: first.name, balance: first.balance });
});
export const rename = mutation(async (ctx, { name }) => {
  for (const { _id } of await ctx.db.query("accounts").collect()) await ctx.db.patch(_id, { name });
});
export const empty = mutation(async (ctx) => {
  for (const { _id } of await ctx.db.query("accounts").collect()) await ctx.db.delete(_id);
});
export const balances = query(async (ctx) =>
  (await ctx.db.query("accounts").collect()).map(({ balance }) => balance));
export const richestFirst = query(async (ctx) =>
  (await ctx.db.query("accounts").withIndex("by_balance").order("desc").collect())
    .map(({ balance }) => balance));
export const pages = query(async (ctx, { cursor }) => {
  const { page, continueCursor, isDone } = await ctx.db.query("accounts")
    .withIndex("by_balance").paginate({ cursor, numItems: 7 });
  return { ids: page.map(({ _id }) => _id), continueCursor, isDone };
});
export const named = query(async (ctx, { words }) =>
  (await ctx.db.query("accounts").withSearchIndex("by_name", (q) => q.search("name", words)).collect()).length);
export const fails = query(async (ctx) => {
  throw new Error("there were " + (await ctx.db.query("accounts").collect()).length);
});
`,
};

async function withBank(
  name: string,
  body: (bank: Bank) => Promise<void>,
  environment: Record<string, string> = {},
): Promise<void> {
  Deno.test(name, async () => {
    const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
    const app = await makeApp({ files });
    const bank = await Bank.start(dataFolder, app, environment);
    try {
      await body(bank);
    } finally {
      await bank.server.stop();
      for (const folder of [dataFolder, app]) await Deno.remove(folder, { recursive: true });
    }
  });
}

interface Page {
  readonly ids: readonly string[];
  readonly continueCursor: string;
  readonly isDone: boolean;
}

class Bank {
  private constructor(
    public server: ServerProcess,
    readonly options: { dataFolder: string; environment: Record<string, string> },
  ) {}

  static async start(dataFolder: string, app: string, environment: Record<string, string>) {
    const options = { dataFolder, environment };
    const server = await ServerProcess.start(options);
    await server.deploy(app);
    return new Bank(server, options);
  }

  get client(): ConvexHttpClient {
    return new ConvexHttpClient(this.server.url, { logger: false });
  }

  async restart(how: "stop" | "kill"): Promise<void> {
    await this.server[how]();
    this.server = await ServerProcess.start(this.options);
  }

  async timestamp(): Promise<string> {
    return (await postJson(`${this.server.url}/api/query_ts`, "")).body.ts;
  }

  async at(ts: string, path: string, args: Record<string, unknown> = {}): Promise<JsonAnswer> {
    return await postJson(`${this.server.url}/api/query_at_ts`, { path, args, ts });
  }
}

withBank(
  "http-api 39-41: reads at a timestamp agree with each other and with the past, whatever writers do",
  async (bank) => {
    const { client } = bank;
    await client.mutation(api.bank.open, { count: accounts });
    let isWriting = true;
    const writers = [0, 1].map(async (writer) => {
      const own = bank.client;
      for (let i = 0; isWriting; i++) {
        const to = (i * 7 + writer) % accounts;
        await own.mutation(api.bank.transfer, { from: (to + 1) % accounts, to, amount: i });
        if (i % 5 === 0) await own.mutation(api.bank.churn, {});
      }
    });
    try {
      for (let round = 0; round < 15; round++) {
        const reader = bank.client;
        const balances: number[] = await reader.consistentQuery(api.bank.balances, {});
        assert.equal(balances.reduce((sum, balance) => sum + balance, 0), 100 * accounts);
        // Later than the first, and yet of the same moment.
        const sorted: number[] = await reader.consistentQuery(api.bank.richestFirst, {});
        assert.deepEqual(sorted, balances.toSorted((a, b) => b - a));
        assert.deepEqual(await reader.consistentQuery(api.bank.balances, {}), balances);
        const ids = new Set<string>();
        for (let cursor: string | null = null, isDone = false; !isDone;) {
          const page: Page = await reader.consistentQuery(api.bank.pages, { cursor });
          for (const id of page.ids) ids.add(id);
          ({ continueCursor: cursor, isDone } = page);
        }
        assert.equal(ids.size, accounts);
      }
    } finally {
      isWriting = false;
      await Promise.all(writers);
    }
  },
);

withBank(
  "http-api 40: the past stays what it was when everything is gone and after restarts",
  async (bank) => {
    await bank.client.mutation(api.bank.open, { count: accounts });
    const before = await bank.timestamp();
    await bank.client.mutation(api.bank.rename, { name: "Renamed" });
    const renamed = await bank.timestamp();
    await bank.client.mutation(api.bank.empty, {});
    const check = async () => {
      const value = async (ts: string, path: string, args = {}) =>
        (await bank.at(ts, path, args)).body.value;
      assert.equal((await value(before, "bank:balances")).length, accounts);
      assert.deepEqual(await value(before, "bank:richestFirst"), Array(accounts).fill(100));
      assert.equal(await value(before, "bank:named", { words: "account" }), accounts);
      assert.equal(await value(before, "bank:named", { words: "Number3" }), 1);
      assert.equal(await value(before, "bank:named", { words: "renamed" }), 0);
      assert.equal(await value(renamed, "bank:named", { words: "account" }), 0);
      assert.equal(await value(renamed, "bank:named", { words: "rena" }), accounts);
      assert.deepEqual(await value(await bank.timestamp(), "bank:balances"), []);
      const { body } = await bank.at(before, "bank:fails");
      assert.equal(body.status, "error");
      assert.deepEqual(await bank.client.query(api.bank.balances, {}), []);
    };
    await check();
    await bank.restart("stop");
    await check();
    await bank.client.mutation(api.bank.open, { count: 3 });
    await bank.client.mutation(api.bank.empty, {});
    await bank.restart("kill");
    await check();
  },
);

withBank(
  "http-api 42: a timestamp that is too old answers 503, a future or malformed one 500",
  async (bank) => {
    await bank.client.mutation(api.bank.open, { count: 1 });
    const ts = await bank.timestamp();
    assert.deepEqual((await bank.at(ts, "bank:balances")).body.value, [100]);
    for (;;) {
      await bank.client.mutation(api.bank.churn, {});
      const { status, body } = await bank.at(ts, "bank:balances");
      if (status === 503) {
        assert.equal(body.code, "InternalServerError");
        assert.match(body.message, /too old.*Ask for a new timestamp/);
        break;
      }
      assert.deepEqual([status, body.value], [200, [100]]);
    }
    for (const bad of ["//////////8=", "soon", ""]) {
      const { status, body } = await bank.at(bad, "bank:balances");
      assert.deepEqual([status, body.code], [500, "InternalServerError"]);
    }
    assert.deepEqual((await bank.at(await bank.timestamp(), "bank:balances")).body.value, [100]);
  },
  { HULL_HISTORY_S: "1" },
);
