/** BM25: how well documents match. Persistence has the same formula in its own language. */
import type { SearchEntry } from "./search_entry.ts";
import type { RankRequest, SearchStatistics } from "./search_snapshot.ts";

/** How soon further occurrences of a term stop to count, and how much long texts are held back. */
export const saturation = 1.2;
export const lengthInfluence = 0.75;

/** A term that occurs more often in a text counts as this often. */
export const occurrencesMax = 16;

/** What a term that only begins like the last word of the query counts, compared with the word itself. */
export const expansionFactor = 0.5;

/** The weight of a term that occurs in so many documents: the rarer the more. */
export function inverseFrequency(documents: number, statistics: SearchStatistics): number {
  return Math.log(1 + (statistics.documents - documents + 0.5) / (documents + 0.5));
}

/** The score of a document; null if it does not match. */
export function scoreOf(
  entry: SearchEntry,
  { terms, averageLength, filters }: RankRequest,
): number | null {
  if (!filters.every(({ field, digest }) => entry.filters[field] === digest)) return null;
  let score: number | null = null;
  for (const { term, weight } of terms) {
    const occurrences = Math.min(entry.terms.get(term) ?? 0, occurrencesMax);
    if (occurrences === 0) continue;
    const lengthFactor = 1 - lengthInfluence + lengthInfluence * entry.length / averageLength;
    score = (score ?? 0) +
      weight * occurrences * (saturation + 1) / (occurrences + saturation * lengthFactor);
  }
  return score;
}
