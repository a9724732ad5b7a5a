/** A `withSearchIndex` source resolved against its index (function-abi 5.5, semantics 15). */
import { DeveloperError } from "../../errors.ts";
import type { SearchIndexSpec } from "../catalog.ts";
import type { SearchFilter, SearchSource } from "../query.ts";
import { filterDigest } from "./search_entry.ts";
import { tokenize } from "./tokens.ts";

export interface SearchQuery {
  /** Distinct terms; a document matches with any of them. */
  readonly terms: readonly string[];
  /** Every term that begins so matches as well. */
  readonly prefix: string | null;
  /** All must hold. */
  readonly filters: readonly EqualityFilter[];
}

export interface EqualityFilter {
  /** Position among the filter fields of the index. */
  readonly field: number;
  readonly digest: string;
}

/** The rest of a longer text is ignored. */
const tokensMax = 16;
const filtersMax = 8;

/** @throws DeveloperError when the index does not have what the filters ask for. */
export function compileSearch(
  { searchField, filterFields }: SearchIndexSpec,
  { indexName, filters, lastTermIsPrefix }: SearchSource,
): SearchQuery {
  const text = searchText(indexName, searchField, filters);
  const equalities: EqualityFilter[] = [];
  for (const filter of filters) {
    if (filter.type !== "Eq") continue;
    const field = filterFields.indexOf(filter.fieldPath);
    if (field < 0) {
      throw new DeveloperError(
        "IncorrectFilterFieldError",
        `Search query against ${indexName} contains an equality filter on "${filter.fieldPath}" but that field isn't indexed for filtering in \`filterFields\`.`,
      );
    }
    equalities.push({ field, digest: filterDigest(filter.value) });
  }
  if (equalities.length > filtersMax) {
    throw new DeveloperError(
      "TooManyFilterConditionsInSearchQueryError",
      `Search query against ${indexName} has too many filter conditions. Max: ${filtersMax} Actual: ${equalities.length}`,
    );
  }
  const tokens = tokenize(text).slice(0, tokensMax);
  return {
    terms: [...new Set(tokens)],
    prefix: lastTermIsPrefix ? tokens.at(-1) ?? null : null,
    filters: equalities,
  };
}

function searchText(
  indexName: string,
  searchField: string,
  filters: readonly SearchFilter[],
): string {
  let text: string | undefined;
  for (const filter of filters) {
    if (filter.type !== "Search") continue;
    if (filter.fieldPath !== searchField) {
      throw new DeveloperError(
        "IncorrectSearchField",
        `Search query against ${indexName} contains a search filter against "${filter.fieldPath}", which doesn't match the indexed \`searchField\` "${searchField}".`,
      );
    }
    if (text !== undefined) {
      throw new DeveloperError(
        "DuplicateSearchFiltersError",
        `Search query against ${indexName} contains multiple search filters against "${searchField}". Only one is allowed.`,
      );
    }
    text = filter.value;
  }
  if (text !== undefined) return text;
  throw new DeveloperError(
    "MissingSearchFilterError",
    `Search query against ${indexName} does not contain any search filters. You must include a search filter like \`q.search("${searchField}", searchText)\`.`,
  );
}
