/** Filter expressions (function-abi 5.4), compiled once for each query and run for each document. */
import { DeveloperError } from "../errors.ts";
import { CommitTimestamp } from "../values/commit_timestamp.ts";
import { compareValues } from "../values/compare.ts";
import { valueAtPath } from "../values/index_key.ts";
import { renderValue } from "../values/render.ts";
import type { Value, ValueObject } from "../values/value.ts";
import type { Expression } from "./query.ts";

type Evaluator = (document: ValueObject) => Value | undefined;

/** Whether a document passes the filter. @throws DeveloperError when the expression has no Boolean value for it. */
export function compileFilter(expression: Expression): (document: ValueObject) => boolean {
  const evaluate = compile(expression);
  return (document) => asBoolean(evaluate(document));
}

const comparisons: Record<string, (order: number) => boolean> = {
  $eq: (order) => order === 0,
  $neq: (order) => order !== 0,
  $lt: (order) => order < 0,
  $lte: (order) => order <= 0,
  $gt: (order) => order > 0,
  $gte: (order) => order >= 0,
};

interface Arithmetic {
  readonly verb: string;
  readonly floats: (a: number, b: number) => number;
  readonly integers: (a: bigint, b: bigint) => bigint;
}

const arithmetic: Record<string, Arithmetic> = {
  $add: { verb: "add", floats: (a, b) => a + b, integers: (a, b) => a + b },
  $sub: { verb: "subtract", floats: (a, b) => a - b, integers: (a, b) => a - b },
  $mul: { verb: "multiply", floats: (a, b) => a * b, integers: (a, b) => a * b },
  $div: { verb: "divide", floats: (a, b) => a / b, integers: (a, b) => a / b },
  $mod: { verb: "mod", floats: (a, b) => a % b, integers: (a, b) => a % b },
};

function compile(expression: Expression): Evaluator {
  const [[operator, operand]] = Object.entries(expression) as [[string, unknown]];
  if (operator === "$literal") return () => operand as Value | undefined;
  if (operator === "$field") return (document) => valueAtPath(document, operand as string);
  if (operator === "$and" || operator === "$or") {
    const operands = (operand as Expression[]).map(compileFilter);
    return operator === "$and"
      ? (document) => operands.every((passes) => passes(document))
      : (document) => operands.some((passes) => passes(document));
  }
  if (operator === "$not") {
    const passes = compileFilter(operand as Expression);
    return (document) => !passes(document);
  }
  if (operator === "$neg") {
    const evaluate = compile(operand as Expression);
    return (document) => negate(evaluate(document));
  }
  const [left, right] = (operand as [Expression, Expression]).map(compile) as [
    Evaluator,
    Evaluator,
  ];
  const comparison = comparisons[operator];
  if (comparison !== undefined) {
    return (document) => comparison(compareValues(left(document), right(document)));
  }
  const calculation = arithmetic[operator]!;
  return (document) => calculate(calculation, left(document), right(document));
}

function calculate(
  { verb, floats, integers }: Arithmetic,
  a: Value | undefined,
  b: Value | undefined,
): Value {
  if (typeof a === "number" && typeof b === "number") return floats(a, b);
  if (typeof a === "bigint" && typeof b === "bigint") {
    if (b === 0n && (verb === "divide" || verb === "mod")) {
      throw evalError(`Cannot ${verb} ${a} by zero`);
    }
    const result = integers(a, b);
    // The remainder of the smallest Int64 by -1 is computed from a quotient that does not fit.
    if (!isInt64(result) || (verb === "mod" && b === -1n && !isInt64(-a))) {
      throw evalError(`Cannot ${verb} ${a} and ${b}: the result is out of range for Int64`);
    }
    return result;
  }
  throw evalError(`Cannot ${verb} ${describe(a)} and ${describe(b)}`);
}

function negate(value: Value | undefined): Value {
  if (typeof value === "number") return -value;
  if (typeof value !== "bigint") throw evalError(`Cannot negate ${describe(value)}`);
  if (isInt64(-value)) return -value;
  throw evalError(`Cannot negate ${value}: the result is out of range for Int64`);
}

function isInt64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value;
}

function asBoolean(value: Value | undefined): boolean {
  if (typeof value === "boolean") return value;
  throw evalError(`Cannot use value ${describe(value)} as a Boolean`);
}

function describe(value: Value | undefined): string {
  return `${renderValue(value)} (type ${typeName(value)})`;
}

function typeName(value: Value | undefined): string {
  switch (typeof value) {
    case "undefined":
      return "Undefined";
    case "bigint":
      return "Int64";
    case "number":
      return "Float64";
    case "boolean":
      return "Boolean";
    case "string":
      return "String";
  }
  if (value === null) return "Null";
  if (Array.isArray(value)) return "Array";
  if (value instanceof CommitTimestamp) return "Int64";
  return value instanceof ArrayBuffer ? "Bytes" : "Object";
}

function evalError(message: string): DeveloperError {
  return new DeveloperError("EvalError", message);
}
