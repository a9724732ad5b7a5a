/** `q` in `filter((q) => …)`. */
import { checkedFieldPath, type Expression } from "../../src/database/query.ts";
import { checked, filterValue } from "./checked_value.ts";

class FilterExpression {
  readonly expression: Expression;

  constructor(expression: Expression) {
    this.expression = expression;
  }
}

/** What a filter's callback returned, or an operand: an expression, or a value that stands for itself. */
export function toExpression(operand: unknown): Expression {
  return operand instanceof FilterExpression
    ? operand.expression
    : { $literal: filterValue(operand) };
}

function binary(operator: string) {
  return (left: unknown, right: unknown) =>
    new FilterExpression({ [operator]: [toExpression(left), toExpression(right)] } as Expression);
}

export const filterBuilder = {
  eq: binary("$eq"),
  neq: binary("$neq"),
  lt: binary("$lt"),
  lte: binary("$lte"),
  gt: binary("$gt"),
  gte: binary("$gte"),
  add: binary("$add"),
  sub: binary("$sub"),
  mul: binary("$mul"),
  div: binary("$div"),
  mod: binary("$mod"),
  neg: (operand: unknown) => new FilterExpression({ $neg: toExpression(operand) }),
  and: (...operands: unknown[]) => new FilterExpression({ $and: operands.map(toExpression) }),
  or: (...operands: unknown[]) => new FilterExpression({ $or: operands.map(toExpression) }),
  not: (operand: unknown) => new FilterExpression({ $not: toExpression(operand) }),
  field: (path: string) => new FilterExpression({ $field: checked(checkedFieldPath, path) }),
};
