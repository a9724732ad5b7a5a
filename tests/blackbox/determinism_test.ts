/**
 * Queries and mutations are repeatable: time stands still, randomness comes from a seed, module state is that after
 * import, and the same call on the same data gives the same bytes on any isolate, before and after a restart.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { copyApp } from "../support/apps.ts";
import { postJson } from "../support/http.ts";
import { RestartingServer } from "../support/restarting_server.ts";

const fixture = "tests/fixtures/determinism";

type Endpoint = "query" | "mutation" | "action";

/** The value, as the bytes that were sent. */
async function call(
  url: string,
  endpoint: Endpoint,
  name: string,
  args: object = {},
): Promise<string> {
  const response = await fetch(`${url}/api/${endpoint}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ path: `values:${name}`, args }),
  });
  return await response.text();
}

/** The value, parsed. */
async function value(url: string, endpoint: Endpoint, name: string, args: object = {}) {
  const text = await call(url, endpoint, name, args);
  const body = JSON.parse(text);
  assert.equal(body.status, "success", text);
  return body.value;
}

const kinds = [["query", "InQuery"], ["mutation", "InMutation"], ["action", "InAction"]] as const;

Deno.test("I5, semantics 1.1: determinism", async (t) => {
  // Several isolates, and nothing answered from the cache.
  await using server = await RestartingServer.start(fixture, {
    HULL_TRANSACTION_ISOLATES: "3",
    HULL_QUERY_CACHE_BYTES_MAX: "0",
    HULL_FUNCTION_TIMEOUT_MS: "5000",
  });
  const url = () => server.current.url;

  await t.step(
    "semantics 1: time stands still in queries and mutations and runs in actions",
    async () => {
      for (const [endpoint, suffix] of kinds) {
        const { first, second, origin } = await value(url(), endpoint, `clocks${suffix}`);
        const { performance: before, event: _before, ...frozen } = first;
        const { performance: after, event: _after, ...later } = second;
        if (endpoint === "action") assert.ok(later.now > frozen.now);
        else assert.deepEqual([later, frozen.date, frozen.file], [frozen, frozen.now, frozen.now]);
        assert.ok(frozen.text.includes("GMT+0000"));
        assert.ok(Math.abs(frozen.now - origin - before) < 60_000);
        // semantics 5
        assert.equal(after > before, endpoint !== "query");
      }
    },
  );

  await t.step(
    "semantics 5: performance.now() is constant in a query and advances in a mutation",
    async () => {
      const { first, second } = await value(url(), "query", "clocksInQuery");
      assert.equal(first.performance, second.performance);
      const inMutation = await value(url(), "mutation", "clocksInMutation");
      assert.ok(inMutation.second.performance > inMutation.first.performance);
    },
  );

  await t.step("semantics 4, 6: each run has randomness of its own", async () => {
    for (
      const [endpoint, name] of [["query", "randomInQuery"], [
        "mutation",
        "randomInMutation",
      ]] as const
    ) {
      const args = (n: number) => endpoint === "query" ? { n } : {};
      const [a, b] = [
        await value(url(), endpoint, name, args(1)),
        await value(url(), endpoint, name, args(2)),
      ];
      assert.notDeepEqual(a.random, b.random);
      assert.notEqual(a.uuid, b.uuid);
      assert.notDeepEqual(a.bytes, b.bytes);
      assert.equal(new Set(a.random).size, 3);
      assert.match(a.uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }
    const refusal = await value(url(), "query", "generateKey");
    assert.match(refusal, /Can't use cryptographic randomness in queries and mutations/);
  });

  await t.step(
    "semantics 1.1: nested calls share the time and have randomness of their own",
    async () => {
      const { outer, inner } = await value(url(), "query", "nested");
      assert.deepEqual(inner.map(({ now }: { now: number }) => now), [outer.now, outer.now]);
      assert.equal(new Set([outer.random, inner[0].random, inner[1].random]).size, 3);
    },
  );

  const probes = [
    "weakReferences",
    "consoleTable",
    "process",
    "importMeta",
    "asyncLocalStorage",
    "responseStatus",
  ];
  for (const [endpoint, suffix] of kinds) {
    await t.step(`semantics 9, 10, 11, 13, 16, 17: globals in a ${endpoint}`, async () => {
      const outcomes = await value(url(), endpoint, `probes${suffix}`);
      assert.deepEqual(outcomes, Object.fromEntries(probes.map((name) => [name, true])));
    });
  }

  await t.step("semantics 18: a chain of 21 redirects is too long", async () => {
    await using web = redirectingServer();
    const follow = (hops: number) =>
      value(url(), "action", "follow", { url: `${web.url}/${hops}` });
    assert.equal(await follow(20), 200);
    assert.equal(await follow(21), "TypeError: fetch too many redirects");
  });

  await t.step(
    "semantics A4: what nobody awaits belongs to the transaction all the same",
    async () => {
      assert.equal(await value(url(), "mutation", "forget", { fails: false }), "returned");
      assert.equal(await value(url(), "query", "count", { n: 1001 }), 3);
      const failed = JSON.parse(await call(url(), "mutation", "forget", { fails: true }));
      assert.equal(failed.status, "error");
      assert.equal(await value(url(), "query", "count", { n: 1001 }), 3);
    },
  );

  await t.step(
    "semantics 2, 3: module-level time and randomness are the same everywhere, restarts and pushes included",
    async () => {
      const everywhere = async () => {
        const asked = [
          ...Array.from({ length: 8 }, () => value(url(), "query", "moduleState")),
          value(url(), "mutation", "moduleStateInMutation"),
          value(url(), "action", "moduleStateInAction"),
        ];
        const [first, ...others] = await Promise.all(asked);
        for (const other of others) assert.deepEqual(other, first);
        return first;
      };
      const before = await everywhere();
      assert.equal(before.performance, 0);
      await server.stop();
      await server.startAgain();
      assert.deepEqual(await everywhere(), before);
      const app = await copyApp(fixture);
      const source = `${app}/convex/values.ts`;
      await Deno.writeTextFile(
        source,
        `${await Deno.readTextFile(source)}\nexport const more = 1;\n`,
      );
      await server.current.deploy(app);
      await Deno.remove(app, { recursive: true });
      // deploy-protocol: the seed and the time are those of the first push with this version of the library.
      assert.deepEqual(await everywhere(), before);
    },
  );

  await t.step(
    "semantics 1: the same call on the same data gives the same bytes anywhere",
    async () => {
      const stored = fc.sample(storedValue, { numRuns: 60, seed: 20261122 });
      await postJson(`${url()}/api/mutation`, { path: "values:put", args: { values: stored } });
      const ranges = fc.sample(fc.tuple(fc.nat(59), fc.nat(59)), { numRuns: 6, seed: 7 });
      const answers = () =>
        Promise.all(
          ranges.flatMap(([from, to]) =>
            // Asked together they spread over the isolates.
            [0, 1].map(async (again) => {
              const text = await call(url(), "query", "digest", { from, to, again });
              assert.equal(JSON.parse(text).status, "success", text);
              return text;
            })
          ),
        );
      const before = await answers();
      for (let range = 0; range < ranges.length; range++) {
        assert.equal(before[2 * range], before[2 * range + 1]);
      }
      await server.stop();
      await server.startAgain();
      assert.deepEqual(await answers(), before);
    },
  );
});

const storedValue: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constant(null),
    fc.boolean(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((n) => !Object.is(n, -0)),
    fc.string({ unit: "grapheme" }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/), tie("value"), { maxKeys: 4 }),
  ),
})).value;

/** Answers `/N` with a redirect to `/N-1`, and `/0` with 200. */
function redirectingServer() {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, ({ url }) => {
    const hops = Number(new URL(url).pathname.slice(1));
    if (hops === 0) return new Response("there");
    return new Response(null, { status: 302, headers: { location: `/${hops - 1}` } });
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
