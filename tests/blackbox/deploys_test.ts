/** Deploys that nobody notices, that leave nothing behind, or that fail as a whole. */
import assert from "node:assert/strict";
import { ApiClient, ApiError } from "../../cli/api_client.ts";
import { api } from "../support/api.ts";
import { Clients } from "../support/clients.ts";
import { DeployLoad } from "../support/deploy_load.ts";
import { childrenOf, ServerProcess, sideBySide } from "../support/server_process.ts";
import { VersionedPushes } from "../support/versioned_pushes.ts";
import { eventually } from "../support/waiting.ts";

const options = { sanitizeOps: false, sanitizeResources: false };

Deno.test({
  name: "deploys of a loaded server: no call fails, every subscriber moves, no file stays",
  ...options,
  async fn(t) {
    await using server = await ServerProcess.start({ environment: sideBySide });
    await using pushes = await VersionedPushes.open();
    const http = new Clients(server).http();
    await pushes.push(server, "v0");

    await t.step("calls and subscriptions of three versions", async () => {
      const load = new DeployLoad({
        url: server.url,
        callsPerSecond: 60,
        outstandingMax: 30,
        subscriptions: 200,
        subscriptionsPerSocket: 20,
        withNode: true,
      }, "v0");
      await load.start();
      for (const version of ["v1", "v2", "v3"]) {
        await load.during(version, () => pushes.push(server, version));
        await load.everybodySees(version);
      }
      await load.stop();
      load.assertNothingFailed();
      assert.ok(load.calls.length > 60, `${load.calls.length} calls`);
    });

    await t.step("a call in flight finishes on the code it began with", async () => {
      const slow = http.action(api.version.through, { slot: 1, waitMs: 3000 });
      await pushes.push(server, "v4");
      await pushes.push(server, "v5");
      assert.equal((await http.query(api.version.current, { slot: 1 })).version, "v5");
      assert.deepEqual(await slow, { version: "v3", label: "label of v3", late: "late v3" });
    });

    await t.step(
      "files, processes and isolates of old code go when its calls have ended",
      async () => {
        for (const version of ["v6", "v7", "v8"]) await pushes.push(server, version);
        await eventually(
          async () =>
            (await moduleFiles(server)) === filesOf(await configHashes(server)) || undefined,
          "the files of the live code alone",
        );
        await eventually(
          async () => childrenOf(server.pid).length <= 3 ? true : undefined,
          "one executor of each kind at most",
        );
        const layouts = await namesIn(`${server.dataFolder}/node`);
        assert.ok(layouts.length <= 2, `the program and one layout: ${layouts}`);
        await pushes.push(server, "v8");
        assert.equal((await http.query(api.version.current, { slot: 1 })).version, "v8");
      },
    );
  },
});

Deno.test({
  name: "a push that fails changes nothing, and says what is wrong and where",
  ...options,
  async fn(t) {
    // Nothing of the fixture is larger; `ServerProcess` of its own because the limit is one of the process.
    await using server = await ServerProcess.start({
      environment: { HULL_PUSH_BODY_BYTES_MAX: "600000" },
    });
    await using good = await VersionedPushes.open();
    await good.push(server, "good");
    const http = new Clients(server).http();
    await http.mutation(api.version.write, { slot: 1, text: "kept" });
    const before = await configHashes(server);

    for (const { what, files, message } of failures) {
      await t.step(what, async () => {
        await using pushes = await VersionedPushes.open(files);
        const error = await pushes.push(server, "bad").then(() => null, (error) => error);
        assert.ok(error instanceof ApiError, `the push is refused, not: ${error}`);
        for (const pattern of message) assert.match(error.message, pattern);
        assert.deepEqual(await configHashes(server), before);
        const answer = await http.query(api.version.current, { slot: 1 });
        assert.deepEqual(answer, {
          ...{ version: "good", label: "label of good", slot: 1, text: "kept" },
        });
        assert.equal(await (await fetch(`${server.url}/deployed`)).text(), "good");
      });
    }

    await t.step("cron jobs go on as they were", async () => {
      const ticks = (await http.query(api.version.ticks)).length;
      const later = await eventually(async () => {
        const versions = await http.query(api.version.ticks);
        return versions.length > ticks ? versions : undefined;
      }, "another run");
      assert.deepEqual([...new Set(later)], ["good"]);
    });

    await t.step("what failed pushes left is deleted by the next one that does not", async () => {
      await good.push(server, "better");
      assert.equal((await http.query(api.version.current, { slot: 1 })).version, "better");
      await eventually(
        async () =>
          (await moduleFiles(server)) === filesOf(await configHashes(server)) || undefined,
        "the files of the live code alone",
      );
    });
  },
});

const failures: readonly {
  readonly what: string;
  readonly files: Readonly<Record<string, string>>;
  readonly message: readonly RegExp[];
}[] = [
  {
    what: "a module that throws when it is imported",
    files: {
      "convex/broken.ts":
        `const start = "begin";\nthrow new Error("no " + start);\nexport const never = 1;\n`,
    },
    message: [/Failed to analyze broken\.js/, /no begin/, /broken\.ts:2/],
  },
  {
    what: "documents that contradict the schema",
    files: {
      "convex/schema.ts": `import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
export default defineSchema({
  notes: defineTable({ slot: v.string(), text: v.string(), tag: v.string() })
    .index("by_slot", ["slot"]),
});`,
    },
    message: [/table "notes"/, /slot/, /v\.string\(\)/],
  },
  {
    what: "a schema that throws",
    files: { "convex/schema.ts": `throw new Error("no schema");\nexport default {};` },
    message: [/no schema/, /schema\.ts:1/],
  },
  {
    what: "an auth.config.ts that is none",
    files: { "convex/auth.config.ts": `export default { providers: [{ domain: 5 }] };` },
    message: [/auth\.config\.js/, /domain/],
  },
  {
    what: "an auth.config.ts that reads a variable that is not set",
    files: {
      "convex/auth.config.ts": `export default {
  providers: [{ domain: process.env.ISSUER!, applicationID: "a" }],
};`,
    },
    message: [/ISSUER/, /auth config file/],
  },
  {
    what: "a cron job of a function that is not there",
    files: {
      "convex/crons.ts": `import { cronJobs } from "convex/server";
import { anyApi } from "convex/server";
const crons = cronJobs();
crons.interval("nothing to do", { minutes: 1 }, anyApi.version.missing);
export default crons;`,
    },
    message: [/nothing to do/, /version:missing/],
  },
  {
    what: "a router that is none",
    files: { "convex/http.ts": `export default { routes: 5 };` },
    message: [/http\.js/],
  },
  {
    what: "more code than a push may have",
    files: { "convex/large.ts": `export const text = ${JSON.stringify(noise(700_000))};` },
    message: [/HULL_PUSH_BODY_BYTES_MAX|600000|too large/i],
  },
];

Deno.test({
  name:
    "deploy-protocol 17: of pushes that race one wins whole; killed at any moment, one is there whole",
  ...options,
  async fn(t) {
    await using pushes = await VersionedPushes.open();
    const dataFolder = await Deno.makeTempDir({ prefix: "hull-data-" });
    let server = await ServerProcess.start({ dataFolder });
    await pushes.push(server, "v0");
    await new Clients(server).http().mutation(api.version.add, { count: 3000 });

    await t.step("four at once", async () => {
      const names = ["a", "b", "c", "d"];
      const results = await Promise.allSettled(names.map((name) => pushes.push(server, name)));
      const winners = names.filter((_, n) => results[n]!.status === "fulfilled");
      assert.ok(winners.length > 0);
      for (const result of results) {
        if (result.status === "rejected") assert.match(String(result.reason.code), /RaceDetected/);
      }
      assert.ok(winners.includes(await wholeVersion(server)));
    });

    for (let round = 0; round < 6; round++) {
      await t.step(`killed in the middle, ${round}`, async () => {
        const before = await wholeVersion(server);
        const name = `r${round}`;
        const pushed = pushes.push(server, name).then(() => true, () => false);
        await new Promise((resolve) => setTimeout(resolve, 40 + Math.random() * 350));
        await server.kill();
        const wasAnswered = await pushed;
        server = await ServerProcess.start({ dataFolder });
        const after = await wholeVersion(server);
        assert.ok(wasAnswered ? after === name : [before, name].includes(after), after);
      });
    }

    await t.step("the next push finds nothing in its way", async () => {
      await pushes.push(server, "last");
      assert.equal(await wholeVersion(server), "last");
      await eventually(
        async () =>
          (await moduleFiles(server)) === filesOf(await configHashes(server)) || undefined,
        "the files of the live code alone",
      );
    });
    await server.stop();
    await Deno.remove(dataFolder, { recursive: true });
  },
});

/** The version that runs, of which queries, HTTP actions, indexes and cron jobs must all be. */
async function wholeVersion(server: ServerProcess): Promise<string> {
  const http = new Clients(server).http();
  const { version, label } = await http.query(api.version.current, { slot: 1 });
  assert.equal(label, `label of ${version}`);
  assert.equal(await (await fetch(`${server.url}/deployed`)).text(), version);
  assert.equal(await http.query(api.version.countByTag), 3000);
  await eventually(
    async () => (await http.query(api.version.ticks)).at(-1) === version || undefined,
    `the cron job of ${version}`,
  );
  return version;
}

interface ConfigHashes {
  readonly moduleHashes: readonly { readonly hash: string; readonly path: string }[];
}

async function configHashes({ url, adminKey }: ServerProcess): Promise<ConfigHashes> {
  const body = { version: "1.48.0" };
  return await new ApiClient(url, adminKey).post("/api/get_config_hashes", body) as ConfigHashes;
}

/** Of each module the one that runs, and of each different text the source. */
function filesOf({ moduleHashes }: ConfigHashes): number {
  return moduleHashes.length + new Set(moduleHashes.map(({ hash }) => hash)).size;
}

async function moduleFiles({ dataFolder }: ServerProcess): Promise<number> {
  return (await namesIn(`${dataFolder}/modules`)).length;
}

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
}

/** Text that does not compress. */
function noise(length: number): string {
  const bytes = new Uint8Array(length / 2);
  for (let at = 0; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  }
  return bytes.toHex();
}
