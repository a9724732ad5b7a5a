/** `q` in `withSearchIndex(name, (q) => …)`. */
import type { SearchFilter } from "../../src/database/query.ts";
import { requireArgument } from "./arguments.ts";
import { filterValue } from "./checked_value.ts";

export class SearchFilterBuilder {
  readonly #filters: readonly SearchFilter[];
  #isUsed = false;

  constructor(filters: readonly SearchFilter[] = []) {
    this.#filters = filters;
  }

  search(fieldPath: string, value: string): SearchFilterBuilder {
    requireArgument(fieldPath, 1, "search", "fieldName");
    requireArgument(value, 2, "search", "query");
    if (typeof value !== "string") {
      throw new TypeError("Arg 2 `query` to `search` must be a string");
    }
    return this.#with({ type: "Search", fieldPath, value });
  }

  eq(fieldPath: string, ...[value]: [unknown?]): SearchFilterBuilder {
    requireArgument(fieldPath, 1, "eq", "fieldName");
    return this.#with({ type: "Eq", fieldPath, value: filterValue(value) });
  }

  export(): readonly SearchFilter[] {
    this.#use();
    return this.#filters;
  }

  #with(filter: SearchFilter): SearchFilterBuilder {
    this.#use();
    return new SearchFilterBuilder([...this.#filters, filter]);
  }

  #use(): void {
    if (this.#isUsed) {
      throw new Error(
        "SearchFilterBuilder has already been used! Chain your method calls like `q => q.search(...).eq(...)`.",
      );
    }
    this.#isUsed = true;
  }
}
