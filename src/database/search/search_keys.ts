/**
 * Keys that stand for what full-text queries read and writes change, in the same read sets and write logs as
 * keys of other indexes. They are stored nowhere.
 *
 * A document has a key for each of its terms alone, and for each of its terms with the value of one filter
 * field. A query without filters reads its terms and its prefix in the former, one with filters in those of
 * its first filter: so a write that has none of the terms, or another value of that filter, does not touch it.
 */
import { encodeKey, type IndexKey, pointInterval, prefixInterval } from "../../values/index_key.ts";
import type { ValueObject } from "../../values/value.ts";
import type { SearchIndexSpec } from "../catalog.ts";
import type { KeyInterval } from "../read_set.ts";
import { searchEntry } from "./search_entry.ts";
import type { SearchQuery } from "./search_query.ts";

/** A document with more keys stands for every term: keys cross processes and fill the write log. */
const keysMax = 1024;
const everyTerm = "";

/** The keys of a document; none when it has no text. */
export function searchKeys(index: SearchIndexSpec, document: ValueObject): IndexKey[] {
  const entry = searchEntry(index, document);
  if (entry === null) return [];
  const groups = [
    groupKey(-1, ""),
    ...entry.filters.map((digest, field) => groupKey(field, digest)),
  ];
  const isLarge = entry.terms.size * groups.length > keysMax;
  const terms = isLarge ? [everyTerm] : [...entry.terms.keys()];
  return groups.flatMap((group) => terms.map((term) => termKey(group, term)));
}

/** What a query reads. */
export function searchIntervals({ terms, prefix, filters: [filter] }: SearchQuery): KeyInterval[] {
  if (terms.length === 0) return [];
  const group = filter === undefined ? groupKey(-1, "") : groupKey(filter.field, filter.digest);
  const intervals = [everyTerm, ...terms].map((term) => pointInterval(termKey(group, term)));
  if (prefix !== null) intervals.push(prefixInterval(beginning(termKey(group, prefix))));
  return intervals;
}

function groupKey(field: number, digest: string): IndexKey {
  return encodeKey([field, digest]);
}

function termKey(group: IndexKey, term: string): IndexKey {
  return (group + encodeKey([term])) as IndexKey;
}

/** The key of a text without its terminator: what the keys of all texts that go on have in common. */
function beginning(key: IndexKey): IndexKey {
  return key.slice(0, -1) as IndexKey;
}
