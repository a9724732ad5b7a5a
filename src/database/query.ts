/**
 * Queries as the function library describes them (function-abi 5.1), with decoded values: what `ctx.db`
 * builds directly and `parseQuery` makes of a syscall's JSON.
 */
import type { Value } from "../values/value.ts";
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
  | { readonly type: "Search"; readonly indexName: string; readonly filters: readonly unknown[] };

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

/** The query of a `queryStream` or `queryPage` syscall. @throws DeveloperError when it is malformed. */
export function parseQuery(_json: unknown): Query {
  throw new Error("not yet");
}
