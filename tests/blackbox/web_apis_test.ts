/** The web's APIs in queries, mutations and actions of the default runtime. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";

const { test } = appServer({ app: "tests/fixtures/web_apis" });

const refusal = (thing: string) =>
  `Can't use ${thing} in queries and mutations. Please consider using an action. ` +
  "See https://docs.convex.dev/functions/actions for more details.";

/** What each probe comes to in every kind of function. */
const everywhere: Record<string, unknown> = {
  blob: [4, "text/plain", "abcd", "bc", "x/y", "abcd"],
  formData: [["1", "2"], false, [["a", "1"], ["a", "2"], ["f", "x.txt"]]],
  urlEncodedForm: { a: "1 2", b: "ä" },
  headers: [
    [["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-a", "2"], ["x-b", "1, 3"]],
    "1, 3",
    ["a=1", "b=2"],
  ],
  request: ["POST", "https://x.test/p?q=1", { a: 1 }, `{"a":1}`, true],
  response: [201, true, "application/json", { a: [1] }, "https://x.test/"],
  responseStatus: ["RangeError", "RangeError", "RangeError"],
  url: [
    "https://user:pw@ex.test:8080/b?x=1&y=%C3%A4&z=a+b#h",
    "https://ex.test:8080",
    false,
    false,
  ],
  urlSearchParams: ["b=2&b=3", ["2", "3"], 2],
  streams: [["2", "4", "6", "end"], 1, true],
  byteStream: [true, [1, 2, 3]],
  writer: ["ab", "full"],
  textStreams: "hé😀",
  text: [[195, 169, 226, 130, 172], { read: 2, written: 2 }, "ab", "é", true],
  base64: ["aGkh", "hi!", "InvalidCharacterError"],
  structuredClone: [true, true, true, "DataCloneError"],
  events: [["x 5"], false],
  abort: [["enough"], true, "enough", "AbortError"],
  asyncLocalStorage: [[["a", "a!", "a"], ["b", "b!", "b"]], null, null],
  digest: ["a9993e36", "ba7816bf", "cb00753f", "ddaf35a1"],
  encryption: [22, "secret", true],
  randomValues: [true, true, ["QuotaExceededError", "TypeMismatchError"]],
  webAssembly: [[], false],
  domException: ["AbortError", 20, true],
  missing: [],
  self: [true, ["env"], []],
  processVersion: false,
  importMeta: "TypeError: import.meta unsupported",
  collection: [1, true],
  consoleMembers: [
    ...["debug", "error", "info", "log", "time", "timeEnd", "timeLog", "trace", "warn"],
  ],
};

/** What differs between actions and the two kinds that have to be repeatable. */
const byKind: Record<string, { transaction: unknown; action: unknown }> = {
  generateKey: { transaction: refusal("cryptographic randomness"), action: "secret" },
  multipart: { transaction: refusal("formData()"), action: ["c.txt", "text/plain", "content"] },
  fetch: {
    transaction: refusal("fetch()"),
    action: "Unsupported URL scheme -- http and https are supported (scheme was data)",
  },
};

const kinds = ["query", "mutation", "action"] as const;

for (const kind of kinds) {
  test(`semantics 5-7, 9-13, 16, 17: web APIs do in ${kind} functions what they do in browsers`, async ({ clients }) => {
    const client = clients.http();
    const call = (probe: string): Promise<unknown> => {
      switch (kind) {
        case "query":
          return client.query(api.probes.inQuery, { probe });
        case "mutation":
          return client.mutation(api.probes.inMutation, { probe });
        case "action":
          return client.action(api.probes.inAction, { probe });
      }
    };
    const expected = { ...everywhere };
    for (const [probe, outcomes] of Object.entries(byKind)) {
      expected[probe] = outcomes[kind === "action" ? "action" : "transaction"];
    }
    const actual: Record<string, unknown> = {};
    for (const probe of Object.keys(expected)) {
      actual[probe] = await call(probe).catch((error) => `failed: ${error.message}`);
    }
    assert.deepEqual(actual, expected);

    const [name, modified, isBlob, text, isNow] = await call("file") as unknown[];
    assert.deepEqual([name, modified, isBlob, text], ["a.txt", 5, true, "abc"]);
    assert.equal(
      await call("performanceAdvances"),
      kind !== "query",
      "time in queries stands still",
    );
    if (kind !== "action") assert.equal(isNow, true, "a file is made at the function's time");
    const [signature, isValid, isForged] = await call("hmac") as unknown[];
    assert.match(String(signature), /^[0-9a-f]{8}$/);
    assert.deepEqual([isValid, isForged], [true, false]);
    assert.match(String(await call("derivation")), /^[0-9a-f]{16}$/);
  });
}

test("semantics 8: timers work in actions and fail queries and mutations", async ({ clients }) => {
  const client = clients.http();
  const timers = { timeout: "xy", interval: 3, signalTimeout: "TimeoutError" };
  for (const [probe, expected] of Object.entries(timers)) {
    assert.equal(await client.action(api.probes.inAction, { probe }), expected);
    const refusal = /Can't use set(Timeout|Interval) in queries and mutations/;
    await assert.rejects(client.query(api.probes.inQuery, { probe }), refusal);
    await assert.rejects(client.mutation(api.probes.inMutation, { probe }), refusal);
  }
});
