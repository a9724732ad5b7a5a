import assert from "node:assert/strict";
import { DeveloperError } from "../../errors.ts";
import type { SearchFilter } from "../query.ts";
import { compileSearch } from "./search_query.ts";

const index = { kind: "search", searchField: "body", filterFields: ["channel", "a.b"] } as const;

function compile(filters: readonly SearchFilter[], lastTermIsPrefix = true) {
  return compileSearch(index, { type: "Search", indexName: "t.s", filters, lastTermIsPrefix });
}

const search = (value: string, fieldPath = "body"): SearchFilter => ({
  type: "Search",
  fieldPath,
  value,
});
const equal = (fieldPath: string, value = "x"): SearchFilter => ({ type: "Eq", fieldPath, value });

Deno.test("semantics §15: compileSearch() takes 16 terms, the last of which is a prefix", () => {
  const { terms, prefix } = compile([search("One two, two. Thr")]);
  assert.deepEqual(terms, ["one", "two", "thr"]);
  assert.equal(prefix, "thr");
  const many = compile([search(Array.from({ length: 20 }, (_, i) => `t${i}`).join(" "))]);
  assert.equal(many.terms.length, 16);
  assert.equal(many.prefix, "t15");
  assert.equal(compile([search("one two")], false).prefix, null);
  assert.deepEqual(compile([search("?!")]), { terms: [], prefix: null, filters: [] });
});

Deno.test("function-abi §5.5: compileSearch() says what is wrong with the filters", () => {
  const cases: [filters: SearchFilter[], code: string, message: string][] = [
    [
      [equal("channel")],
      "MissingSearchFilterError",
      'Search query against t.s does not contain any search filters. You must include a search filter like `q.search("body", searchText)`.',
    ],
    [
      [search("x", "title")],
      "IncorrectSearchField",
      'Search query against t.s contains a search filter against "title", which doesn\'t match the indexed `searchField` "body".',
    ],
    [
      [search("x"), search("y")],
      "DuplicateSearchFiltersError",
      'Search query against t.s contains multiple search filters against "body". Only one is allowed.',
    ],
    [
      [search("x"), equal("author")],
      "IncorrectFilterFieldError",
      'Search query against t.s contains an equality filter on "author" but that field isn\'t indexed for filtering in `filterFields`.',
    ],
    [
      [search("x"), ...Array(9).fill(equal("a.b"))],
      "TooManyFilterConditionsInSearchQueryError",
      "Search query against t.s has too many filter conditions. Max: 8 Actual: 9",
    ],
  ];
  for (const [filters, code, message] of cases) {
    assert.throws(() => compile(filters), (error) => {
      assert.ok(error instanceof DeveloperError);
      assert.equal(error.code, code);
      assert.equal(error.message, message);
      return true;
    });
  }
  assert.equal(compile([search("x"), ...Array(8).fill(equal("a.b"))]).filters.length, 8);
});
