/** The examples of the chapters "Argument and Return Value Validation", "Runtimes" and "Debugging". */
import assert from "node:assert/strict";
import type { FunctionReference } from "convex/server";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { dump, seedApp } from "../support/seed_app.ts";

const { test } = appServer(seedApp);

test("send validates its arguments and its null return value", async ({ clients }) => {
  const client = clients.http();
  assert.equal(await client.mutation(api.message.send, { body: "hi", author: "Ada" }), null);
  assert.equal((await dump(client, "messages")).length, 1);
  await assert.rejects(
    client.mutation(api.message.send, { body: "hi", author: "Ada", extra: 1 }),
    /ArgumentValidationError: Object contains extra field `extra` that is not in the validator\./,
  );
  assert.equal((await dump(client, "messages")).length, 1);
});

interface ValidatorCase {
  readonly name: string;
  readonly mutation: FunctionReference<"mutation">;
  readonly field: string;
  readonly accepted: readonly unknown[];
  readonly refused: readonly unknown[];
}

const cases: readonly ValidatorCase[] = [
  {
    name: "v.union",
    mutation: api.validators.union.default,
    field: "stringOrNumber",
    accepted: ["text", 3.5, Number.NaN, -0],
    refused: [true, null, 3n, ["text"]],
  },
  {
    name: "v.literal",
    mutation: api.validators.literals.default,
    field: "oneTwoOrThree",
    accepted: ["one", "two", "three"],
    refused: ["four", 1, null],
  },
  {
    name: "v.record",
    mutation: api.validators.record.default,
    field: "simpleMapping",
    accepted: [{}, { a: true, "b c": false }],
    refused: [{ a: 1 }, [], "text"],
  },
  {
    name: "v.any",
    mutation: api.validators.any.default,
    field: "anyValue",
    accepted: [
      null,
      12345678901234567n,
      Number.POSITIVE_INFINITY,
      "héé😀",
      Uint8Array.of(0, 16, 131).buffer,
      [1, [2n, { deep: null }]],
      { z: 1, a: "sorted by name on the way" },
    ],
    refused: [],
  },
  {
    name: "v.object and Infer",
    mutation: api.validators.nested.default,
    field: "nested",
    accepted: [{ property: "x" }],
    refused: [{}, { property: 1 }, { property: "x", other: 1 }],
  },
];

for (const { name, mutation, field, accepted, refused } of cases) {
  test(`${name} accepts and refuses values`, async ({ clients }) => {
    const client = clients.http();
    for (const value of accepted) {
      assert.deepEqual(await client.mutation(mutation, { [field]: value }), value);
    }
    for (const value of refused) {
      await assert.rejects(
        // deno-lint-ignore no-explicit-any -- wrong on purpose
        client.mutation(mutation, { [field]: value } as any),
        /ArgumentValidationError: /,
      );
    }
  });
}

test("v.optional accepts what is absent, and refuses null", async ({ clients }) => {
  const client = clients.http();
  const call = (args: Record<string, unknown>) =>
    client.mutation(api.validators.optional.default, args);
  assert.deepEqual(await call({}), { optionalString: null, optionalNumber: null });
  assert.deepEqual(await call({ optionalString: "s" }), {
    optionalString: "s",
    optionalNumber: null,
  });
  assert.deepEqual(await call({ optionalString: undefined, optionalNumber: 2 }), {
    optionalString: null,
    optionalNumber: 2,
  });
  await assert.rejects(call({ optionalString: null }), /ArgumentValidationError: /);
});

test("semantics 1-4: time is frozen while a function runs, module state is frozen at the push", async ({ clients }) => {
  const client = clients.http();
  const before = Date.now();
  const first = await client.mutation(api.runtimes.updateSomething);
  const second = await client.mutation(api.runtimes.updateSomething);
  assert.equal(first.now1, first.now2);
  assert.notEqual(first.rand1, first.rand2);
  assert.notEqual(first.rand1, second.rand1);
  assert.ok(first.now1 >= before && first.now1 <= Date.now());
  assert.ok(second.now1 >= first.now1);
  assert.equal(second.globalRand, first.globalRand);
  assert.equal(second.globalNow, first.globalNow);
  assert.ok(first.globalNow <= before, "the push was before the call");
});

test("function-abi 82-85: every console method makes a log line of its level", async ({ server }) => {
  const response = await fetch(`${server.url}/api/query`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Convex ${server.adminKey}`,
    },
    body: JSON.stringify({ path: "debugging:everyMethod", args: {} }),
  });
  const { logLines } = await response.json();
  assert.deepEqual(logLines.slice(0, 5), [
    "[LOG] 'log' {\n  a: 1\n}",
    "[INFO] 'info' [ 1, 2 ]",
    "[WARN] 'warn' null",
    "[ERROR] 'error' 'it\\'s'",
    "[DEBUG] 'debug' 1n",
  ]);
  assert.match(logLines[5], /^\[LOG\] 'trace' \n {4}at .*debugging\.ts/);
  assert.match(logLines[6], /^\[INFO\] timer: \d+ms 'half way'$/);
  assert.match(logLines[7], /^\[INFO\] timer: \d+ms$/);
  assert.equal(logLines.length, 8);
});
