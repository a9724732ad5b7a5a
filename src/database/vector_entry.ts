/**
 * What a vector index holds of a document (semantics 16): its vector, and what filters compare with. Pure;
 * the writer stores it, a search looks for it.
 */
import { createHash } from "node:crypto";
import { encodeKeyValue, keyToBytes, valueAtPath } from "../values/index_key.ts";
import type { Value, ValueObject } from "../values/value.ts";
import type { VectorIndexSpec } from "./catalog.ts";

export interface VectorEntry {
  readonly vector: Float32Array<ArrayBuffer>;
  /** The digests of the values at the index's filter fields, in the order of the fields. */
  readonly filters: Uint8Array<ArrayBuffer>;
}

/** Enough that nobody finds a second value with a given digest. */
export const filterDigestBytes = 16;

/** Null when the index leaves the document out, because there is no vector of its dimensions at its field. */
export function vectorEntryOf(index: VectorIndexSpec, document: ValueObject): VectorEntry | null {
  const value = valueAtPath(document, index.vectorField);
  if (!Array.isArray(value) || value.length !== index.dimensions) return null;
  if (!value.every((element) => typeof element === "number")) return null;
  const vector = Float32Array.from(value);
  // What is infinite or no number has no direction.
  if (!vector.every(Number.isFinite)) return null;
  const filters = new Uint8Array(index.filterFields.length * filterDigestBytes);
  for (const [i, field] of index.filterFields.entries()) {
    filters.set(filterDigest(valueAtPath(document, field)), i * filterDigestBytes);
  }
  return { vector, filters };
}

/** Stands for a value, or for a missing field, in filters: they compare types too, as index keys do. */
export function filterDigest(value: Value | undefined): Uint8Array<ArrayBuffer> {
  const digest = createHash("sha256").update(keyToBytes(encodeKeyValue(value))).digest();
  return new Uint8Array(digest.subarray(0, filterDigestBytes));
}
