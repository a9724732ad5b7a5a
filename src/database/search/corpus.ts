/**
 * All documents of a full-text index: those of the snapshot with the writes of the layers above it, counted as
 * they would be if the layers were committed. So what a transaction wrote itself ranks like anything else.
 */
import { encodeKeyValue } from "../../values/index_key.ts";
import { parseDocument } from "../../values/value.ts";
import { byIdIndexId, type SearchIndex } from "../catalog.ts";
import type { LayeredSnapshot } from "../layered_snapshot.ts";
import { scoreOf } from "./ranking.ts";
import { type SearchEntry, searchEntry } from "./search_entry.ts";
import type { RankRequest, SearchHit, SearchStatistics, TermCount } from "./search_snapshot.ts";

interface WrittenDocument {
  readonly id: string;
  readonly creationTime: number;
  readonly entry: SearchEntry;
}

export class Corpus {
  readonly #view: LayeredSnapshot;
  readonly #index: SearchIndex;
  /** Documents of the snapshot that a layer knows better, by id. */
  readonly #hidden = new Map<string, SearchEntry>();
  readonly #written: WrittenDocument[] = [];
  readonly statistics: SearchStatistics;

  constructor(view: LayeredSnapshot, index: SearchIndex) {
    this.#view = view;
    this.#index = index;
    for (const { id, json } of view.newestWrites(index.table)) {
      const stored = view.snapshot.get(byIdIndexId(index.table), encodeKeyValue(id));
      const hidden = stored && searchEntry(index, parseDocument(stored.json));
      if (hidden) this.#hidden.set(id, hidden);
      if (json === null) continue;
      const document = parseDocument(json);
      const entry = searchEntry(index, document);
      const creationTime = document._creationTime as number;
      if (entry !== null) this.#written.push({ id, creationTime, entry });
    }
    const { documents, tokens } = view.snapshot.search.statistics(index);
    const tokensOf = (entries: Iterable<SearchEntry>) =>
      [...entries].reduce((sum, { length }) => sum + length, 0);
    this.statistics = {
      documents: documents - this.#hidden.size + this.#written.length,
      tokens: tokens - tokensOf(this.#hidden.values()) +
        tokensOf(this.#written.map(({ entry }) => entry)),
    };
  }

  /** Up to `limit` terms that begin with `prefix`, in the order of their UTF-8 bytes. */
  terms(prefix: string, limit: number): TermCount[] {
    const change = new Map<string, number>();
    const count = ({ terms }: SearchEntry, difference: number) => {
      for (const term of terms.keys()) {
        if (term.startsWith(prefix)) change.set(term, (change.get(term) ?? 0) + difference);
      }
    };
    for (const entry of this.#hidden.values()) count(entry, -1);
    for (const { entry } of this.#written) count(entry, 1);
    const { search } = this.#view.snapshot;
    if (change.size === 0) return search.terms(this.#index, prefix, limit);

    // Even if every changed term is one that no document has any more, the first ones are among these.
    const stored = search.terms(this.#index, prefix, limit + change.size);
    const counts = new Map(stored.map(({ term, documents }) => [term, documents]));
    for (const [term, difference] of change) {
      counts.set(term, (counts.get(term) ?? 0) + difference);
    }
    return [...counts].filter(([, documents]) => documents > 0)
      .map(([term, documents]) => ({ term, documents, order: encodeKeyValue(term) }))
      .sort((a, b) => a.order < b.order ? -1 : 1)
      .slice(0, limit)
      .map(({ term, documents }) => ({ term, documents }));
  }

  /** How many documents a term occurs in. */
  count(term: string): number {
    // Of all terms that begin with it, it is the first.
    const [first] = this.#view.snapshot.search.terms(this.#index, term, 1);
    let count = first?.term === term ? first.documents : 0;
    for (const { terms } of this.#hidden.values()) if (terms.has(term)) count--;
    for (const { entry } of this.#written) if (entry.terms.has(term)) count++;
    return count;
  }

  /** The best documents, in no order: `limit` of those in the snapshot, and all of the layers. */
  rank(request: RankRequest, limit: number): SearchHit[] {
    const layers = this.#view.layersOf(this.#index.table);
    const { search } = this.#view.snapshot;
    const stored = search.rank(this.#index, request, limit + this.#hidden.size);
    const hits = stored.filter(({ id }) => !this.#view.hides(id, layers));
    for (const { id, creationTime, entry } of this.#written) {
      const score = scoreOf(entry, request);
      if (score !== null) hits.push({ id, creationTime, score });
    }
    return hits;
  }
}
