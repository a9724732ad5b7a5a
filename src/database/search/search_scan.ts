/**
 * Documents that a full-text query finds, the best match first. Each has a key of its own kind, made of score,
 * creation time and id, whose order is that of the results; so pages of a search are intervals like any others.
 */
import { encodeKey, type IndexKey, keySuccessor, lowestKey } from "../../values/index_key.ts";
import { parseDocument, type ValueObject } from "../../values/value.ts";
import { DeveloperError } from "../../errors.ts";
import type { CompiledSearch } from "../compiled_query.ts";
import type { LayeredSnapshot } from "../layered_snapshot.ts";
import type { Scan } from "../query_run.ts";
import type { KeyInterval } from "../read_set.ts";
import { Corpus } from "./corpus.ts";
import { expansionFactor, inverseFrequency } from "./ranking.ts";
import { searchIntervals } from "./search_keys.ts";
import type { SearchQuery } from "./search_query.ts";
import type { SearchHit, WeightedTerm } from "./search_snapshot.ts";

const candidatesMax = 1024;
/** Terms that a prefix stands for. */
const expansionsMax = 16;

/** The score is what the key of a result begins with. */
const scoreKeyLength = encodeKey([0]).length;

interface Candidate {
  readonly id: string;
  readonly key: IndexKey;
}

export class SearchScan implements Scan {
  readonly #view: LayeredSnapshot;
  readonly #query: CompiledSearch;
  /** Found with the first document that is asked for; one more than may be read, if there are that many. */
  #candidates: readonly Candidate[] | undefined;
  #page: KeyInterval | undefined;
  #position = 0;
  readonly #keys = new Map<string, IndexKey>();

  constructor(view: LayeredSnapshot, query: CompiledSearch) {
    this.#view = view;
    this.#query = query;
  }

  /** @throws DeveloperError when there are more documents than a search may read. */
  next(): ValueObject | undefined {
    const { index } = this.#query;
    this.#candidates ??= this.#findCandidates();
    const { lower, upper } = this.#page ??= currentPage(this.#query.interval, this.#candidates);
    for (let candidate; (candidate = this.#candidates[this.#position]) !== undefined;) {
      const { id, key } = candidate;
      if (upper !== null && key >= upper) return undefined;
      if (this.#position === candidatesMax) throw tooManyDocuments();
      this.#position++;
      if (key < lower) continue;
      // The transaction may have changed or deleted it since the search began.
      const revision = this.#view.revision(index.table, id);
      if (revision === null) continue;
      this.#keys.set(id, key);
      return parseDocument(revision.json);
    }
    return undefined;
  }

  settle(): readonly KeyInterval[] {
    return this.#candidates === undefined ? [] : searchIntervals(this.#query.search);
  }

  keyOf({ _id }: ValueObject): IndexKey {
    return this.#keys.get(_id as string)!;
  }

  #findCandidates(): Candidate[] {
    const { index, search } = this.#query;
    if (search.terms.length === 0) return [];
    const corpus = new Corpus(this.#view, index);
    const terms = weightedTerms(search, corpus);
    if (terms.length === 0) return [];
    const { documents, tokens } = corpus.statistics;
    const request = { terms, averageLength: tokens / documents, filters: search.filters };
    return corpus.rank(request, candidatesMax + 1)
      .map((hit) => ({ id: hit.id, key: rankKey(hit) }))
      .sort((a, b) => a.key < b.key ? -1 : 1)
      .slice(0, candidatesMax + 1);
  }
}

/** The terms to look for that some document has: those of the query, and what its prefix stands for. */
function weightedTerms({ terms, prefix }: SearchQuery, corpus: Corpus): WeightedTerm[] {
  const weights = new Map<string, number>();
  for (const term of terms) {
    const documents = corpus.count(term);
    if (documents > 0) weights.set(term, inverseFrequency(documents, corpus.statistics));
  }
  if (prefix !== null) {
    // However rare a longer word is, it must not outweigh the word itself.
    const weightMax = weights.get(prefix) ?? Infinity;
    for (const { term, documents } of corpus.terms(prefix, expansionsMax)) {
      if (weights.has(term)) continue;
      const weight = inverseFrequency(documents, corpus.statistics);
      weights.set(term, expansionFactor * Math.min(weight, weightMax));
    }
  }
  return [...weights].map(([term, weight]) => ({ term, weight }));
}

/** Best first, of equals the one created last. In single precision, because sums are not exact to the last bit. */
function rankKey({ score, creationTime, id }: SearchHit): IndexKey {
  return encodeKey([-Math.fround(score), -creationTime, id]);
}

/**
 * Where a page begins and ends now. Scores change with every document of the index, so an end is found
 * again by the document that it lies behind, and by its key only when that document is no longer found.
 */
function currentPage({ lower, upper }: KeyInterval, candidates: readonly Candidate[]): KeyInterval {
  const ends = candidates.map(({ key }) => keySuccessor(key));
  const current = (end: IndexKey) =>
    ends.find((now) => now.slice(scoreKeyLength) === end.slice(scoreKeyLength)) ?? end;
  return {
    lower: lower === lowestKey ? lower : current(lower),
    upper: upper === null ? null : current(upper),
  };
}

function tooManyDocuments(): DeveloperError {
  return new DeveloperError(
    "SearchQueryScannedTooManyDocumentsError",
    `Search query scanned too many documents (fetched ${candidatesMax}). Consider using a smaller limit, paginating the query, or using a filter field to limit the number of documents pulled from the search index.`,
  );
}
