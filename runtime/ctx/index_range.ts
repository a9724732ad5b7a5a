/** `q` in `withIndex(name, (q) => …)`. */
import { checkedFieldPath, type RangeExpression } from "../../src/database/query.ts";
import { checked, checkedValue } from "./checked_value.ts";

export class IndexRangeBuilder {
  readonly #expressions: readonly RangeExpression[];
  #isUsed = false;

  constructor(expressions: readonly RangeExpression[] = []) {
    this.#expressions = expressions;
  }

  eq(fieldPath: string, value: unknown): IndexRangeBuilder {
    return this.#with("Eq", fieldPath, value);
  }

  gt(fieldPath: string, value: unknown): IndexRangeBuilder {
    return this.#with("Gt", fieldPath, value);
  }

  gte(fieldPath: string, value: unknown): IndexRangeBuilder {
    return this.#with("Gte", fieldPath, value);
  }

  lt(fieldPath: string, value: unknown): IndexRangeBuilder {
    return this.#with("Lt", fieldPath, value);
  }

  lte(fieldPath: string, value: unknown): IndexRangeBuilder {
    return this.#with("Lte", fieldPath, value);
  }

  export(): readonly RangeExpression[] {
    this.#use();
    return this.#expressions;
  }

  #with(type: RangeExpression["type"], fieldPath: string, value: unknown): IndexRangeBuilder {
    this.#use();
    const expression = {
      type,
      fieldPath: checked(checkedFieldPath, fieldPath),
      value: checkedValue(value),
    };
    return new IndexRangeBuilder([...this.#expressions, expression]);
  }

  #use(): void {
    if (this.#isUsed) {
      throw new Error(
        "IndexRangeBuilder has already been used! Chain your method calls like `q => q.eq(...).eq(...)`. See https://docs.convex.dev/using/indexes",
      );
    }
    this.#isUsed = true;
  }
}
