/** `SearchSnapshot` over plain documents: looks at every one of them. For databases in memory. */
import { encodeKeyValue } from "../../values/index_key.ts";
import { parseDocument } from "../../values/value.ts";
import type { SearchIndex } from "../catalog.ts";
import { scoreOf } from "./ranking.ts";
import { type SearchEntry, searchEntry } from "./search_entry.ts";
import type {
  RankRequest,
  SearchHit,
  SearchSnapshot,
  SearchStatistics,
  TermCount,
} from "./search_snapshot.ts";

interface IndexedDocument {
  readonly id: string;
  readonly creationTime: number;
  readonly entry: SearchEntry;
}

export class NaiveSearch implements SearchSnapshot {
  /** `documentsOf` gives the JSON text of every document of the index's table. */
  constructor(readonly documentsOf: (index: SearchIndex) => Iterable<string>) {}

  statistics(index: SearchIndex): SearchStatistics {
    let [documents, tokens] = [0, 0];
    for (const { entry } of this.#entries(index)) {
      documents++;
      tokens += entry.length;
    }
    return { documents, tokens };
  }

  terms(index: SearchIndex, prefix: string, limit: number): TermCount[] {
    const counts = new Map<string, number>();
    for (const { entry } of this.#entries(index)) {
      for (const term of entry.terms.keys()) {
        if (term.startsWith(prefix)) counts.set(term, (counts.get(term) ?? 0) + 1);
      }
    }
    return [...counts].map(([term, documents]) => ({ term, documents }))
      .sort((a, b) => encodeKeyValue(a.term) < encodeKeyValue(b.term) ? -1 : 1)
      .slice(0, limit);
  }

  rank(index: SearchIndex, request: RankRequest, limit: number): SearchHit[] {
    const hits: SearchHit[] = [];
    for (const { id, creationTime, entry } of this.#entries(index)) {
      const score = scoreOf(entry, request);
      if (score !== null) hits.push({ id, creationTime, score });
    }
    return hits.sort((a, b) => b.score - a.score || b.creationTime - a.creationTime)
      .slice(0, limit);
  }

  *#entries(index: SearchIndex): Iterable<IndexedDocument> {
    for (const json of this.documentsOf(index)) {
      const document = parseDocument(json);
      const entry = searchEntry(index, document);
      if (entry === null) continue;
      yield { id: document._id as string, creationTime: document._creationTime as number, entry };
    }
  }
}
