/** The documented limits of one call, each just kept and just passed, with its text. */
import assert from "node:assert/strict";
import { api } from "../support/api.ts";
import { appServer } from "../support/app_server.ts";
import { watch } from "../support/clients.ts";
import { postJson } from "../support/http.ts";
import { read, write } from "../support/steps.ts";

const { test } = appServer({ app: "tests/fixtures/values" });
const MiB = 1024 * 1024;
const { limits } = api;
const help =
  "Consider using smaller limits in your queries, paginating your queries, or using indexed " +
  "queries with a selective index range expressions.";

test("semantics 57, 60-62: 16,000 documents may be written, 32,000 read, and system tables besides", async ({ clients }) => {
  const client = clients.http();
  const insert = (count: number) =>
    client.mutation(limits.insertMany, { count, bytes: 0, group: "many" });
  const tooManyWrites = "Too many writes in a single function execution (limit: 16000)";
  assert.equal(await insert(16_000), 16_000);
  await assert.rejects(insert(16_001), containing(tooManyWrites));
  assert.equal(await insert(16_000), 16_000);

  const text = `Too many documents read in a single function execution (limit: 32000). ${help}`;
  const outcome = await client.query(limits.readGroup, { group: "many" });
  assert.deepEqual(outcome, {
    documentsRead: 32_000,
    remaining: 0,
    systemDocuments: 0,
    again: text,
  });
  await insert(1);
  await assert.rejects(client.query(limits.readGroup, { group: "many" }), containing(text));
});

test("semantics 58: 16 MiB of documents may be read", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(limits.insertMany, { count: 15, bytes: MiB - 500, group: "bytes" });
  const text = `Too many bytes read in a single function execution (limit: ${
    16 * MiB
  } bytes). ${help}`;
  const { again } = await client.query(limits.readGroup, { group: "bytes" });
  assert.ok(!again.includes(text), again);
  await client.mutation(limits.insertMany, { count: 2, bytes: MiB - 500, group: "bytes" });
  await assert.rejects(client.query(limits.readGroup, { group: "bytes" }), containing(text));
});

test("semantics 59: 4,096 index ranges may be read; those that are read again or adjoin are one", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(limits.insertMany, { count: 4097, bytes: 0, group: "ids" });
  const ids: string[] = await client.query(limits.idsOf, { group: "ids" });
  const get = (ids: string[], times: number) => client.query(limits.getEach, { ids, times });
  assert.equal(await get(ids.slice(1), 1), 4096);
  await assert.rejects(
    get(ids, 1),
    containing(`Too many reads in a single function execution (limit: 4096). ${help}`),
  );
  assert.equal(await get(ids.slice(0, 1), 5000), 1);
});

test("semantics 9.1: 16 MiB of documents may be written", async ({ clients }) => {
  const insert = (count: number) =>
    clients.http().mutation(limits.insertMany, { count, bytes: MiB - 500, group: "written" });
  await insert(16);
  await assert.rejects(
    insert(17),
    containing("Too many bytes written in a single function execution (limit: 16 MiB)"),
  );
});

test("function-abi 63: 1,000 functions may be scheduled, with 16 MiB of arguments", async ({ clients }) => {
  const client = clients.http();
  await client.mutation(limits.scheduleMany, { count: 1000, bytes: 0 });
  await assert.rejects(
    client.mutation(limits.scheduleMany, { count: 1001, bytes: 0 }),
    containing("Too many functions scheduled by this mutation (limit: 1000)"),
  );
  await assert.rejects(
    client.mutation(limits.scheduleMany, { count: 9, bytes: 2 * MiB }),
    containing(
      "Too large total size of the arguments of scheduled functions from this mutation " +
        `(limit: ${16 * MiB} bytes)`,
    ),
  );
  const [jobs] = await read(client, ["systemQuery", { table: "_scheduled_functions" }]);
  assert.equal(jobs!.value.length, 1000, "what failed scheduled nothing");
});

test("semantics 66: a result may have 16 MiB, and so may the arguments", async ({ clients, server }) => {
  const client = clients.http();
  // The text's own two bytes count, too.
  assert.equal((await client.query(limits.give, { bytes: 16 * MiB - 2 })).length, 16 * MiB - 2);
  await assert.rejects(
    client.query(limits.give, { bytes: 16 * MiB }),
    containing(
      "Function limits.js:give return value is too large (actual: 16.00 MiB, limit: 16 MiB)",
    ),
  );
  const call = (bytes: number) =>
    postJson(`${server.url}/api/query`, {
      path: "limits:measure",
      args: { text: "x".repeat(bytes) },
    });
  // The array of arguments 2, the object 2, the field's name 5, the text's own 2.
  const { body } = await call(16 * MiB - 1000);
  assert.equal(body.value, 16 * MiB - 1000);
  const { body: refused } = await call(16 * MiB + 500);
  assert.match(
    refused.errorMessage,
    /Arguments for limits\.js:measure are too large \(actual: 16\.00 MiB, limit: 16 MiB\)/,
  );
});

test("semantics A11: 6 MiB reach a live query's client, and a query that an action calls", async ({ clients }) => {
  const client = clients.live();
  const given = watch(client, limits.give, { bytes: 6 * MiB });
  await given.until((text) => text.length === 6 * MiB, "the large result");
  assert.equal(await client.action(limits.measureFromAction, { bytes: 6 * MiB }), 6 * MiB);
});

test("semantics 67: usage above 80 % of a limit is warned of, and no other", async ({ clients, server }) => {
  const warnings = async (kind: "query" | "mutation", path: string, args: unknown) => {
    const { body } = await postJson(`${server.url}/api/${kind}`, { path, args });
    assert.equal(body.status, "success", JSON.stringify(body));
    return (body.logLines ?? []).filter((line: string) => line.startsWith("[WARN]"));
  };
  const insert = (count: number, bytes = 0, depth = 0) =>
    warnings("mutation", "limits:insertMany", { count, bytes, depth, group: "warned" });
  assert.match(
    (await insert(14, MiB - 500)).join("\n"),
    /^\[WARN\] Many bytes written in a single function execution \(actual: 14\d{6} bytes, limit: 16777216 bytes\)\.\n\[WARN\] Large document written with ID "\w+" \(actual: 10\d{5} bytes, limit: 1048576 bytes\)\.$/,
  );
  assert.deepEqual(await insert(1, 800_000, 11), []);
  assert.match(
    (await insert(1, 0, 13)).join("\n"),
    /^\[WARN\] Deeply nested document written with ID "\w+" \(actual: 14 levels, limit: 16 levels\)\.$/,
  );
  const ids: string[] = await clients.http().query(limits.idsOf, { group: "ids" });
  const get = (count: number) =>
    warnings("query", "limits:getEach", { ids: ids.slice(0, count), times: 1 });
  assert.deepEqual(await get(3276), []);
  assert.deepEqual(await get(3277), [
    "[WARN] Many reads in a single function execution (actual: 3277, limit: 4096).",
  ]);
  assert.deepEqual(await warnings("query", "limits:give", { bytes: 14 * MiB }), [
    `[WARN] Large size of the function return value (actual: ${14 * MiB + 2} bytes, limit: ${
      16 * MiB
    } bytes).`,
  ]);
  assert.match(
    (await warnings("query", "limits:measure", { text: "x".repeat(14 * MiB) })).join("\n"),
    /^\[WARN\] Large size of the function arguments \(actual: 1468\d{4} bytes, limit: 16777216 bytes\)\.$/,
  );
  assert.match(
    (await warnings("mutation", "limits:scheduleMany", { count: 1, bytes: 3.5 * MiB })).join("\n"),
    /^\[WARN\] Large size of the arguments of a scheduled function \(actual: 367\d{4} bytes, limit: 4194304 bytes\)\.$/,
  );
});

test("function-abi 77: budgets of the whole transaction are told while it runs", async ({ clients }) => {
  const [, metrics] = await write(clients.http(), ["insert", "items", { a: 1 }], ["metrics"]);
  const { documentsWritten, functionsScheduled } = metrics!.value;
  assert.deepEqual(documentsWritten, { used: 1, remaining: 15_999 });
  assert.deepEqual(functionsScheduled, { used: 0, remaining: 1000 });
});

/** An error whose message holds this text. */
function containing(text: string): (error: Error) => boolean {
  return (error) => {
    assert.ok(error.message.includes(text), error.message);
    return true;
  };
}
