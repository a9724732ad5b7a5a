/** What a full-text index knows of a document. */
import { createHash } from "node:crypto";
import { encodeKeyValue, keyToBytes, valueAtPath } from "../../values/index_key.ts";
import type { Value, ValueObject } from "../../values/value.ts";
import type { SearchIndexSpec } from "../catalog.ts";
import { tokenize } from "./tokens.ts";

export interface SearchEntry {
  /** How often each term occurs in the text. */
  readonly terms: ReadonlyMap<string, number>;
  /** Number of tokens of the text. */
  readonly length: number;
  /** `filterDigest` of the value at each filter field, in the order of the index. */
  readonly filters: readonly string[];
}

/** Null for a document without a text, which no search finds. */
export function searchEntry(
  { searchField, filterFields }: SearchIndexSpec,
  document: ValueObject,
): SearchEntry | null {
  const text = valueAtPath(document, searchField);
  if (typeof text !== "string") return null;
  const tokens = tokenize(text);
  const terms = new Map<string, number>();
  for (const token of tokens) terms.set(token, (terms.get(token) ?? 0) + 1);
  const filters = filterFields.map((field) => filterDigest(valueAtPath(document, field)));
  return { terms, length: tokens.length, filters };
}

/** Whether the index holds the same of both documents. */
export function hasSameEntry(
  { searchField, filterFields }: SearchIndexSpec,
  a: ValueObject,
  b: ValueObject,
): boolean {
  return [searchField, ...filterFields].every((field) =>
    encodeKeyValue(valueAtPath(a, field)) === encodeKeyValue(valueAtPath(b, field))
  );
}

const digestBytes = 32;

/** A text of bounded length that equal values share, and no others; undefined is a missing field. */
export function filterDigest(value: Value | undefined): string {
  const key = keyToBytes(encodeKeyValue(value));
  return key.length < digestBytes ? key.toHex() : createHash("sha256").update(key).digest("hex");
}
