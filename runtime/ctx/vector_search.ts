/** `ctx.vectorSearch` of actions (function-abi 7). The server does the work. */
import type { ActionHost } from "./action_host.ts";
import { requireArgument } from "./arguments.ts";
import { encodeChecked } from "./checked_value.ts";

export interface VectorMatch {
  readonly _id: string;
  readonly _score: number;
}

export function vectorSearch(host: ActionHost) {
  return async (
    tableName: unknown,
    indexName: unknown,
    query: { vector?: unknown; limit?: unknown; filter?: (q: typeof filterBuilder) => unknown },
  ): Promise<VectorMatch[]> => {
    requireArgument(tableName, 1, "vectorSearch", "tableName");
    requireArgument(indexName, 2, "vectorSearch", "indexName");
    requireArgument(query, 3, "vectorSearch", "query");
    const { vector, limit, filter } = query;
    if (!Array.isArray(vector) || vector.length === 0) {
      throw new Error("`vector` must be a non-empty Array in vectorSearch");
    }
    const expressions = filter ? expressionJson(filter(filterBuilder)) : null;
    return await searchVectors(host, {
      indexName: `${tableName}.${indexName}`,
      limit,
      vector,
      expressions,
    });
  };
}

/** `query` is what the function library sends. */
export async function searchVectors(host: ActionHost, query: unknown): Promise<VectorMatch[]> {
  const body = JSON.stringify(query ?? null);
  return JSON.parse(await host.operations.performJson("vectorSearch", {}, body)).results;
}

/** Part of a filter, in the form in which it is sent. */
class Expression {
  readonly json: unknown;
  constructor(json: unknown) {
    this.json = json;
  }
}

/** `q` in `filter: (q) => …`. */
const filterBuilder = Object.freeze({
  eq(fieldName: unknown, value: unknown): Expression {
    if (typeof fieldName !== "string") {
      throw new Error("The first argument to `q.eq` must be a field name.");
    }
    return new Expression({ $eq: [{ $field: fieldName }, expressionJson(value)] });
  },
  or: (...expressions: unknown[]) => new Expression({ $or: expressions.map(expressionJson) }),
});

function expressionJson(expression: unknown): unknown {
  if (expression instanceof Expression) return expression.json;
  if (expression === undefined) return { $literal: { $undefined: null } };
  return { $literal: JSON.parse(encodeChecked(expression).json) };
}
