import { Buffer } from "node:buffer";
import assert from "node:assert/strict";
import { commitTimestamp } from "../values/commit_timestamp.ts";
import { encodeKey, type IndexKey, keyToBytes } from "../values/index_key.ts";
import { encodeValue, type Value } from "../values/value.ts";
import type { IndexId, TableNumber } from "./catalog.ts";
import { resolveJson, resolveWrites } from "./commit_timestamps.ts";
import type { Timestamp } from "./timestamp.ts";

const timestamp = 1_795_370_134_479_001 as Timestamp;
const nanoseconds = 1_795_370_134_479_001_000n;
const index = 7 as IndexId;

Deno.test("function-abi 4.8: resolveWrites() fills in texts and keys, wherever the placeholder stands", () => {
  const values = (at: Value): Value[] => [at, [1, { deep: at }], "text", at];
  const write = (at: Value, key: IndexKey) => ({
    table: 1 as TableNumber,
    id: "id",
    row: null,
    json: encodeValue({ values: values(at) }).json,
    existed: false,
    removedKeys: [],
    addedKeys: [[index, key] as const],
    keptKeys: [],
  });
  const unresolved = {
    documents: [write(commitTimestamp, encodeKey(values(commitTimestamp)))],
    tables: [],
    isUnresolved: true as const,
  };
  assert.deepEqual(
    resolveWrites(unresolved, timestamp).documents,
    [write(nanoseconds, encodeKey(values(nanoseconds)))],
  );
});

Deno.test("function-abi 4.8: what merely looks like the placeholder stays", () => {
  const bytes = Uint8Array.of(0x0c, 0xff, 0, 0, 0, 0, 0, 0, 0, 0).buffer;
  const values: Value[] = ['{"$commitTs":null}', bytes, "\u0100", 2n ** 63n - 1n];
  const { json } = encodeValue(values);
  assert.equal(resolveJson(json, timestamp), json);
  const document = {
    table: 1 as TableNumber,
    id: "id",
    row: null,
    json,
    existed: false,
    removedKeys: [],
    addedKeys: [[index, encodeKey(values)] as const],
    keptKeys: [],
  };
  const writes = { documents: [document], tables: [], isUnresolved: true as const };
  assert.deepEqual(resolveWrites(writes, timestamp).documents, [document]);
});

Deno.test("function-abi 4.8: as the end of a range the placeholder lies above every integer on disk", () => {
  const above = keyToBytes(encodeKey([commitTimestamp]));
  const compare = (value: Value) => Buffer.compare(keyToBytes(encodeKey([value])), above);
  assert.equal(compare(2n ** 63n - 1n), -1);
  assert.equal(compare(-Infinity), 1);
});
