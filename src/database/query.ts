/**
 * Queries as the function library describes them (function-abi 5.1), with decoded values: what `ctx.db`
 * builds directly and `parseQuery` makes of a syscall's JSON.
 */
import { DeveloperError } from "../errors.ts";
import { decodeValueOrUndefined, type Value } from "../values/value.ts";
import type { Order } from "./snapshot.ts";

export interface Query {
  readonly source: QuerySource;
  /** Applied in order. */
  readonly operators: readonly QueryOperator[];
}

export type QuerySource =
  | { readonly type: "FullTableScan"; readonly tableName: string; readonly order: Order | null }
  | {
    readonly type: "IndexRange";
    /** `table.index` */
    readonly indexName: string;
    readonly range: readonly RangeExpression[];
    readonly order: Order | null;
  }
  | SearchSource;

export interface SearchSource {
  readonly type: "Search";
  /** `table.index` */
  readonly indexName: string;
  readonly filters: readonly SearchFilter[];
  /** Whether the last term finds whatever begins so; the oldest function libraries expect whole terms. */
  readonly lastTermIsPrefix: boolean;
}

export type SearchFilter =
  | { readonly type: "Search"; readonly fieldPath: string; readonly value: string }
  | {
    readonly type: "Eq";
    readonly fieldPath: string;
    /** A checked value; undefined stands for a missing field. */
    readonly value: Value | undefined;
  };

export interface RangeExpression {
  readonly type: "Eq" | "Gt" | "Gte" | "Lt" | "Lte";
  readonly fieldPath: string;
  /** A checked value; undefined stands for a missing field. */
  readonly value: Value | undefined;
}

export type QueryOperator = { readonly filter: Expression } | { readonly limit: number };

type BinaryOperator =
  | "$eq"
  | "$neq"
  | "$lt"
  | "$lte"
  | "$gt"
  | "$gte"
  | "$add"
  | "$sub"
  | "$mul"
  | "$div"
  | "$mod";

/** An object with exactly one of these keys. `$literal` holds a checked value or undefined. */
export type Expression =
  | { readonly [Operator in BinaryOperator]?: readonly [Expression, Expression] }
  | { readonly $neg: Expression }
  | { readonly $not: Expression }
  | { readonly $and: readonly Expression[] }
  | { readonly $or: readonly Expression[] }
  | { readonly $field: string }
  | { readonly $literal: Value | undefined };

/**
 * The query of a `queryStream` or `queryPage` syscall, from a function library of this version if it says so.
 * @throws DeveloperError when it is malformed.
 */
export function parseQuery(json: unknown, version?: unknown): Query {
  const { source, operators } = jsonObject(json);
  return {
    source: parseSource(jsonObject(source), version !== undefined),
    operators: list(operators).map(parseOperator),
  };
}

function parseSource(source: Record<string, unknown>, lastTermIsPrefix: boolean): QuerySource {
  switch (source.type) {
    case "FullTableScan":
      return {
        type: source.type,
        tableName: text(source.tableName),
        order: parseOrder(source.order),
      };
    case "IndexRange":
      return {
        type: source.type,
        indexName: text(source.indexName),
        range: list(source.range).map(parseRangeExpression),
        order: parseOrder(source.order),
      };
    case "Search":
      return {
        type: source.type,
        indexName: text(source.indexName),
        filters: list(source.filters).map(parseSearchFilter),
        lastTermIsPrefix,
      };
    default:
      throw malformed(`unknown source ${JSON.stringify(source.type)}`);
  }
}

function parseOrder(json: unknown): Order | null {
  return json === null || json === undefined ? null : checkedOrder(json);
}

/** @throws DeveloperError when `order` is none. */
export function checkedOrder(order: unknown): Order {
  if (order === "asc" || order === "desc") return order;
  throw malformed(`unknown order ${JSON.stringify(order)}`);
}

/** @throws DeveloperError when `limit` is no number of documents. */
export function checkedLimit(limit: unknown): number {
  if (Number.isSafeInteger(limit) && (limit as number) >= 0) return limit as number;
  throw malformed(`a limit must be a whole number of documents, not ${limit}`);
}

/** @throws DeveloperError when `path` is no path of a field. */
export function checkedFieldPath(path: unknown): string {
  if (typeof path === "string") return path;
  throw malformed(`a field must be named by a string, not ${path}`);
}

const rangeTypes = ["Eq", "Gt", "Gte", "Lt", "Lte"] as const;

function parseRangeExpression(json: unknown): RangeExpression {
  const { type, fieldPath, value } = jsonObject(json);
  const known = rangeTypes.find((name) => name === type);
  if (known === undefined) throw malformed(`unknown range expression ${JSON.stringify(type)}`);
  return {
    type: known,
    fieldPath: checkedFieldPath(fieldPath),
    value: decodeValueOrUndefined(value, { inMutation: true }),
  };
}

function parseSearchFilter(json: unknown): SearchFilter {
  const { type, fieldPath, value } = jsonObject(json);
  switch (type) {
    case "Search":
      return { type, fieldPath: text(fieldPath), value: text(value) };
    case "Eq":
      return { type, fieldPath: text(fieldPath), value: decodeValueOrUndefined(value) };
    default:
      throw malformed(`unknown search filter ${JSON.stringify(type)}`);
  }
}

function parseOperator(json: unknown): QueryOperator {
  const { filter, limit } = jsonObject(json);
  if (filter !== undefined) return { filter: parseExpression(filter) };
  if (limit !== undefined) return { limit: checkedLimit(limit) };
  throw malformed(`unknown operator ${JSON.stringify(json)}`);
}

const binaryOperators = new Set<string>(
  [
    "$eq",
    "$neq",
    "$lt",
    "$lte",
    "$gt",
    "$gte",
    "$add",
    "$sub",
    "$mul",
    "$div",
    "$mod",
  ] satisfies BinaryOperator[],
);

function parseExpression(json: unknown): Expression {
  const [entry, ...others] = Object.entries(jsonObject(json));
  if (entry === undefined || others.length > 0) throw malformed("an expression has one operator");
  const [operator, operand] = entry;
  if (binaryOperators.has(operator)) {
    const operands = list(operand).map(parseExpression);
    if (operands.length !== 2) throw malformed(`${operator} takes two operands`);
    return { [operator]: operands } as unknown as Expression;
  }
  switch (operator) {
    case "$and":
      return { $and: list(operand).map(parseExpression) };
    case "$or":
      return { $or: list(operand).map(parseExpression) };
    case "$not":
      return { $not: parseExpression(operand) };
    case "$neg":
      return { $neg: parseExpression(operand) };
    case "$field":
      return { $field: checkedFieldPath(operand) };
    case "$literal":
      return { $literal: decodeValueOrUndefined(operand) };
    default:
      throw malformed(`unknown expression ${operator}`);
  }
}

function jsonObject(json: unknown): Record<string, unknown> {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as Record<string, unknown>;
  }
  throw malformed(`expected an object, got ${JSON.stringify(json)}`);
}

function list(json: unknown): unknown[] {
  if (Array.isArray(json)) return json;
  throw malformed(`expected an array, got ${JSON.stringify(json)}`);
}

function text(json: unknown): string {
  if (typeof json === "string") return json;
  throw malformed(`expected a string, got ${JSON.stringify(json)}`);
}

function malformed(cause: string): DeveloperError {
  return new DeveloperError("InvalidArgument", `Invalid argument \`query\`: ${cause}`);
}
