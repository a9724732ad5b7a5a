/** npm clients of several years against one server: each speaks the protocol of its time. */
import assert from "node:assert/strict";
import * as v17 from "convex-1.17/browser";
import * as v21 from "convex-1.21/browser";
import * as v25 from "convex-1.25/browser";
import * as v28 from "convex-1.28/browser";
import * as v34 from "convex-1.34/browser";
import * as v48 from "convex/browser";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch, type Watched } from "../support/clients.ts";

const large = `
import { query } from "./_generated/server";

export const text = query((_ctx, { length }: { length: number }) => "y".repeat(length));
`;

const { test } = appServer({ app: "tests/fixtures/workshop", files: { "convex/large.ts": large } });

const versions = { "1.17": v17, "1.21": v21, "1.25": v25, "1.28": v28, "1.34": v34, "1.48": v48 };

const silent = { logVerbose() {}, log() {}, warn() {}, error() {} };

interface Client {
  readonly version: string;
  readonly live: v48.ConvexClient;
  readonly http: v48.ConvexHttpClient;
}

/** Clients of all versions side by side. What differs in their types is not used. */
async function withClients(url: string, body: (clients: Client[]) => Promise<void>): Promise<void> {
  const clients = Object.entries(versions).map(([version, package_]) => {
    const { ConvexClient, ConvexHttpClient } = package_ as unknown as typeof v48;
    return {
      version,
      live: new ConvexClient(url, { logger: silent }),
      http: new ConvexHttpClient(url, { logger: silent }),
    };
  });
  try {
    await body(clients);
  } finally {
    await Promise.all(clients.map(({ live }) => live.close()));
  }
}

test("clients of six versions see the same data live, and each other's writes", async ({ server }) => {
  await withClients(server.url, async (clients) => {
    const name = "versions";
    const watched = clients.map(({ live }) => watch(live, api.counters.read, { name }));
    const allSee = (value: number) =>
      Promise.all(
        watched.map((one: Watched<number>, i) =>
          one.until((seen) => seen === value, `${value} on ${clients[i]!.version}`)
        ),
      );
    await allSee(0);
    for (const [i, { live, version }] of clients.entries()) {
      assert.equal(await live.mutation(api.counters.increment, { name }), i + 1, version);
      await allSee(i + 1);
    }
    for (const { http, version } of clients) {
      assert.equal(await http.query(api.counters.read, { name }), clients.length, version);
    }
  });
});

test("errors, their data and actions reach clients of every version", async ({ server }) => {
  await withClients(server.url, async (clients) => {
    for (const { live, http, version } of clients) {
      for (const call of [live, http]) {
        await assert.rejects(
          call.mutation(api.errors.throwData, { data: { code: 7n } }),
          // Each version has a class of its own.
          (error: Error & { data?: unknown }) => {
            assert.equal(error.name, "ConvexError", version);
            assert.deepEqual(error.data, { code: 7n }, version);
            return true;
          },
        );
        await assert.rejects(
          call.action(api.errors.throwFromAction, {}),
          /from an action/,
          version,
        );
        await assert.rejects(call.mutation(api.none.such, {}), /Could not find public function/);
      }
      const failing = watch(live, api.errors.throwError, {});
      assert.match((await failing.untilError()).message, /plain error/, version);
    }
  });
});

test("sync-protocol 98, 99: a result of 12 MB reaches clients of every version, in pieces or whole", async ({ server }) => {
  await withClients(server.url, async (clients) => {
    const length = 12_000_000;
    for (const { live, version } of clients) {
      const watched = watch(live, api.large.text, { length });
      await watched.until((text: string) => text.length === length, `12 MB on ${version}`);
      watched.unsubscribe();
    }
  });
});

test("http-api 41: consistentQuery of every version that has it reads one moment", async ({ server }) => {
  await withClients(server.url, async (clients) => {
    const name = "consistent versions";
    for (const { http, version } of clients) {
      if (!("consistentQuery" in http)) continue;
      const before = await http.consistentQuery(api.counters.read, { name });
      await http.mutation(api.counters.increment, { name });
      assert.equal(await http.consistentQuery(api.counters.read, { name }), before, version);
    }
  });
});
