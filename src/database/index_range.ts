/** From the bounds of `withIndex` to an interval of index keys (function-abi 5.3). */
import { DeveloperError } from "../errors.ts";
import { afterPrefix, encodeKeyValue, type IndexKey, lowestKey } from "../values/index_key.ts";
import { renderValue } from "../values/render.ts";
import type { DatabaseIndex } from "./catalog.ts";
import type { RangeExpression } from "./query.ts";
import type { KeyInterval } from "./read_set.ts";

const operators = { Eq: "==", Gt: ">", Gte: ">=", Lt: "<", Lte: "<=" } as const;

interface Bounds {
  readonly equal: ReadonlyMap<string, RangeExpression>;
  readonly lower: RangeExpression | undefined;
  readonly upper: RangeExpression | undefined;
}

/**
 * The interval of keys that satisfy the expressions; `indexName` is `table.index`, for error texts.
 * @throws DeveloperError when the index cannot serve them.
 */
export function compileIndexRange(
  index: DatabaseIndex,
  indexName: string,
  range: readonly RangeExpression[],
): KeyInterval {
  const { equal, lower, upper } = sortBounds(range, indexName);
  const keyFields = index.name === "by_id" ? ["_id"] : [...index.fields, "_creationTime", "_id"];
  const shownFields = keyFields.length === 1 ? keyFields : keyFields.slice(0, -1);

  const inequality = lower ?? upper;
  const queryFields = keyFields.filter((field) => equal.has(field));
  if (inequality !== undefined) queryFields.push(inequality.fieldPath);
  for (const { fieldPath } of range) {
    if (keyFields.includes(fieldPath)) continue;
    throw new DeveloperError(
      "FieldNotInIndex",
      `The index range included a comparison with "${fieldPath}", but ${indexName} with fields ${
        fieldList(shownFields)
      } doesn't index this field. For more information see https://docs.convex.dev/using/indexes.`,
    );
  }
  const incorrect = queryFields.find((field, i) => field !== keyFields[i]);
  if (incorrect !== undefined) {
    throw new DeveloperError(
      "InvalidIndexRange",
      `Tried to query index ${indexName} but the query didn't use the index fields in order.\n` +
        `Index fields: ${fieldList(shownFields)}\nQuery fields: ${fieldList(queryFields)}\n` +
        `First incorrect field: "${incorrect}"\n` +
        "For more information see https://docs.convex.dev/using/indexes.",
    );
  }

  let prefix = lowestKey;
  for (const field of keyFields.slice(0, equal.size)) {
    prefix = prefix + encodeKeyValue(equal.get(field)!.value) as IndexKey;
  }
  return { lower: lowerEnd(prefix, lower), upper: upperEnd(prefix, upper) };
}

function sortBounds(range: readonly RangeExpression[], indexName: string): Bounds {
  const equal = new Map<string, RangeExpression>();
  let lower: RangeExpression | undefined;
  let upper: RangeExpression | undefined;
  for (const expression of range) {
    switch (expression.type) {
      case "Eq": {
        const earlier = equal.get(expression.fieldPath);
        if (earlier !== undefined) throw alreadyDefined("equality", earlier);
        equal.set(expression.fieldPath, expression);
        break;
      }
      case "Gt":
      case "Gte":
        if (lower !== undefined) throw alreadyDefined("lower", expression);
        lower = expression;
        break;
      case "Lt":
      case "Lte":
        if (upper !== undefined) throw alreadyDefined("upper", expression);
        upper = expression;
        break;
    }
  }
  if (lower !== undefined && upper !== undefined && lower.fieldPath !== upper.fieldPath) {
    throw new DeveloperError(
      "BoundsOnMultipleFields",
      "Upper and lower bounds in `range` can only be applied to a single index field. " +
        `This query against index ${indexName} attempted to set a range bound on both "${lower.fieldPath}" and "${upper.fieldPath}". ` +
        "Consider using `filter` instead. See https://docs.convex.dev/using/indexes for more info.",
    );
  }
  for (const inequality of [lower, upper]) {
    const equality = inequality && equal.get(inequality.fieldPath);
    if (equality !== undefined) throw alreadyDefined("inequality", equality);
  }
  return { equal, lower, upper };
}

function lowerEnd(prefix: IndexKey, lower: RangeExpression | undefined): IndexKey {
  if (lower === undefined) return prefix;
  const bound = prefix + encodeKeyValue(lower.value) as IndexKey;
  return lower.type === "Gt" ? afterPrefix(bound) : bound;
}

function upperEnd(prefix: IndexKey, upper: RangeExpression | undefined): IndexKey | null {
  if (upper === undefined) return prefix === "" ? null : afterPrefix(prefix);
  const bound = prefix + encodeKeyValue(upper.value) as IndexKey;
  return upper.type === "Lte" ? afterPrefix(bound) : bound;
}

function alreadyDefined(kind: string, { type, fieldPath, value }: RangeExpression): DeveloperError {
  return new DeveloperError(
    "AlreadyDefinedBound",
    `Already defined ${kind} bound in index range. Can't add "${fieldPath}" ${operators[type]} ${
      renderValue(value)
    }.`,
  );
}

function fieldList(fields: readonly string[]): string {
  return `[${fields.map((field) => `"${field}"`).join(", ")}]`;
}
