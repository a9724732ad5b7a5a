/** Reads what a function asks of a vector index (function-abi 7, semantics 16). */
import type { Catalog, VectorIndex } from "../database/catalog.ts";
import { checkReadable } from "../database/compiled_query.ts";
import { appComponent, type ComponentId } from "../database/component.ts";
import { filterDigest } from "../database/vector_entry.ts";
import { DeveloperError } from "../errors.ts";
import { decodeValueOrUndefined, isPlainObject, type Value } from "../values/value.ts";
import type { Condition } from "./quantized_vectors.ts";
import type { SearchRequest } from "./searcher.ts";

const limitDefault = 10;
const limitMax = 256;
const conditionsMax = 64;

/** @throws DeveloperError with the code of the rule that is broken. */
export function parseVectorQuery(
  query: unknown,
  catalog: Catalog,
  component: ComponentId = appComponent,
): SearchRequest {
  const { indexName, vector, limit, expressions } = isPlainObject(query) ? query : {};
  if (typeof indexName !== "string") throw invalid("the name of the index is missing");
  const index = mustFindIndex(catalog, component, indexName);
  return {
    index: index.id,
    limit: parseLimit(limit),
    vector: parseVector(vector, index.dimensions),
    filterFields: index.filterFields.length,
    conditions: parseFilter(expressions, index, indexName),
  };
}

function mustFindIndex(
  catalog: Catalog,
  component: ComponentId,
  indexName: string,
): VectorIndex {
  const dot = indexName.indexOf(".");
  const table = catalog.tableNamed(component, indexName.slice(0, Math.max(dot, 0)));
  const named = table === undefined
    ? []
    : catalog.indexesOf(table.number).filter(({ name }) => name === indexName.slice(dot + 1));
  // While an index is rebuilt, the old and the new one have the same name.
  const index = named.find(({ state }) => state === "ready") ?? named[0];
  if (index === undefined) {
    throw new DeveloperError("IndexNotFoundError", `Index ${indexName} not found.`);
  }
  if (index.kind !== "vector") {
    throw new DeveloperError(
      "IndexNotAVectorIndexError",
      `Index ${indexName} is not a vector index`,
    );
  }
  checkReadable(index, indexName);
  return index;
}

function parseLimit(limit: unknown): number {
  if (limit === undefined || limit === null) return limitDefault;
  if (!Number.isInteger(limit) || (limit as number) < 1) {
    throw invalid(`the limit must be a whole number from 1 to ${limitMax}, requested ${limit}`);
  }
  if ((limit as number) > limitMax) {
    throw new DeveloperError(
      "InvalidVectorQuery",
      `Vector queries can fetch at most ${limitMax} results, requested ${limit}.`,
    );
  }
  return limit as number;
}

function parseVector(vector: unknown, dimensions: number): Float32Array<ArrayBuffer> {
  if (!Array.isArray(vector)) throw invalid("the vector must be an array of numbers");
  if (vector.length !== dimensions) {
    throw new DeveloperError(
      "InvalidVectorQuery",
      `Expected a vector with dimensions ${dimensions}, received ${vector.length}.`,
    );
  }
  const floats = Float32Array.from(
    vector,
    (element) => typeof element === "number" ? element : NaN,
  );
  const wrong = floats.findIndex((element) => !Number.isFinite(element));
  // JSON has null in the place of what is not finite.
  if (wrong >= 0) throw invalid(`element ${wrong} of the vector is not a finite 32-bit number`);
  return floats;
}

/** Conditions of which a document has to meet one; null without a filter. */
function parseFilter(
  expression: unknown,
  index: VectorIndex,
  indexName: string,
): readonly Condition[] | null {
  if (expression === undefined || expression === null) return null;
  const equalities = equalitiesOf(expression);
  if (equalities.length > conditionsMax) {
    throw new DeveloperError(
      "TooManyConditionsInVectorQuery",
      `Vector query against ${indexName} has too many conditions. ` +
        `Max: ${conditionsMax} Actual: ${equalities.length}`,
    );
  }
  return equalities.map(({ name, value }) => {
    const field = index.filterFields.indexOf(name);
    if (field < 0) {
      throw new DeveloperError(
        "IncorrectVectorFilterField",
        `Vector query against ${indexName} contains an equality filter on "${name}" but that field ` +
          "isn't indexed for filtering in `filterFields`.",
      );
    }
    return { field, digest: filterDigest(value) };
  });
}

interface Equality {
  readonly name: string;
  readonly value: Value | undefined;
}

function equalitiesOf(filter: unknown): Equality[] {
  const equalities: Equality[] = [];
  const rest = [filter];
  while (rest.length > 0) {
    const expression = rest.pop();
    if (!isPlainObject(expression)) throw incorrectFilter();
    const { $eq, $or } = expression;
    if (Array.isArray($or)) { for (const part of $or) rest.push(part); }
    else equalities.push(parseEquality($eq));
  }
  return equalities;
}

/** `[{ $field }, { $literal }]` */
function parseEquality(operands: unknown): Equality {
  const [left, right] = Array.isArray(operands) ? operands : [];
  if (!isPlainObject(left) || typeof left.$field !== "string") throw incorrectFilter();
  if (!isPlainObject(right) || !("$literal" in right)) throw incorrectFilter();
  return { name: left.$field, value: decodeValueOrUndefined(right.$literal) };
}

function incorrectFilter(): DeveloperError {
  return new DeveloperError(
    "IncorrectVectorFilter",
    "Filters should be a combination of `q.eq` and `q.or`.",
  );
}

function invalid(reason: string): DeveloperError {
  return new DeveloperError("InvalidVectorQuery", `Invalid vector query: ${reason}.`);
}
