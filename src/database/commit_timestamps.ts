/** Puts the timestamp of a commit where its mutation wrote or returned the placeholder (function-abi 4.8). */
import { commitTimestampJson } from "../values/commit_timestamp.ts";
import { resolveKey } from "../values/index_key.ts";
import { encodeValue } from "../values/value.ts";
import type { Timestamp } from "./timestamp.ts";
import type { IndexPoint, WriteSet } from "./write_set.ts";

/** As functions see timestamps: in nanoseconds. */
export function toNanoseconds(timestamp: Timestamp): bigint {
  return BigInt(timestamp) * 1000n;
}

/** What to apply when the transaction commits at `timestamp`. */
export function resolveWrites(writes: WriteSet, timestamp: Timestamp): WriteSet {
  if (writes.isUnresolved !== true) return writes;
  const nanoseconds = toNanoseconds(timestamp);
  const resolve = ([index, key]: IndexPoint) => [index, resolveKey(key, nanoseconds)] as const;
  return {
    ...writes,
    documents: writes.documents.map((document) => ({
      ...document,
      json: document.json && resolveJson(document.json, timestamp),
      addedKeys: document.addedKeys.map(resolve),
      ...(document.searchKeys && { searchKeys: document.searchKeys.map(resolve) }),
    })),
  };
}

/** The JSON text of a value or document with the timestamp in its places. */
export function resolveJson(json: string, timestamp: Timestamp): string {
  if (!json.includes(commitTimestampJson)) return json;
  return json.replaceAll(commitTimestampJson, encodeValue(toNanoseconds(timestamp)).json);
}
