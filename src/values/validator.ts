/**
 * Validators (function-abi 21.2) and what they say when a value does not match (semantics 8.2).
 *
 * Nearly every value matches, so each validator has two ways to be asked: `matches` is fast and says only
 * whether; `explain` then goes over the value again and finds the first violation in documented order.
 */
import { DeveloperError } from "../errors.ts";
import { commitTimestamp } from "./commit_timestamp.ts";
import { compareValues } from "./compare.ts";
import { idTableNumber } from "./document_id.ts";
import { renderField, renderFloat, renderValue } from "./render.ts";
import { decodeValue, isValueObject, type Value, type ValueObject } from "./value.ts";

/** The name of the table with this number, if it is known. Whether an id fits `v.id(…)` depends on it. */
export type TableNames = (tableNumber: number) => string | undefined;

export abstract class Validator {
  abstract matches(value: Value, tables: TableNames): boolean;

  /** As the author of the schema would write it. */
  abstract toString(): string;

  /** The documented text of the first violation; null when the value matches. */
  check(value: Value, tables: TableNames): string | null {
    return this.matches(value, tables) ? null : this.explain(value, tables, "");
  }

  /** The violation in a value that does not match and lies at `path` of the whole. */
  explain(value: Value, _tables: TableNames, path: string): string {
    return `Value does not match validator.\n${context(path)}\nValue: ${
      renderValue(value)
    }\nValidator: ${this}`;
  }
}

/**
 * The validator of validator JSON.
 * @throws DeveloperError when it describes none.
 */
export function parseValidator(json: unknown): Validator {
  const { type, value, tableName, keys, values } = jsonObject(json, "Validator");
  switch (type) {
    case "any":
    case "null":
    case "number":
    case "bigint":
    case "commitTs":
    case "boolean":
    case "string":
    case "bytes":
      return new SimpleValidator(type);
    case "literal":
      return new LiteralValidator(decodeValue(structuredClone(value)));
    case "id":
      if (typeof tableName !== "string") throw invalidValidator("`tableName` must be a string");
      return new IdValidator(tableName);
    case "array":
      return new ArrayValidator(parseValidator(value));
    case "record":
      return new RecordValidator(parseRecordKeys(keys), parseRecordValues(values));
    case "object":
      return new ObjectValidator(
        Object.entries(jsonObject(value, "Object validator")).map(([name, field]) => {
          const { fieldType, optional } = jsonObject(field, "Field validator");
          return { name, validator: parseValidator(fieldType), optional: optional === true };
        }),
      );
    case "union":
      if (!Array.isArray(value)) throw invalidValidator("`value` of a union must be an array");
      return new UnionValidator(value.map(parseValidator));
    default:
      throw invalidValidator(`unknown type ${JSON.stringify(type)}`);
  }
}

/** What is wrong with the arguments of a call; null if nothing is (semantics 8.2). Without a validator anything goes. */
export function checkArguments(
  validator: Validator | null,
  args: readonly Value[],
  tables: TableNames,
): string | null {
  if (validator === null || acceptsAnything(validator)) return null;
  const problem = problemOfArguments(validator, args, tables);
  return problem && `ArgumentValidationError: ${problem}`;
}

function problemOfArguments(
  validator: Validator,
  args: readonly Value[],
  tables: TableNames,
): string | null {
  const [object] = args;
  if (object === undefined || args.length !== 1) {
    return "Expected to receive a single object as the function's argument. " +
      `Instead received ${args.length} arguments: ${renderValue([...args])}`;
  }
  if (!isValueObject(object)) {
    return "Expected to receive an object as the function's argument. " +
      `Instead received: ${renderValue(object)}`;
  }
  return validator.check(object, tables);
}

/** What is wrong with the result of a call; null if nothing is (semantics 8.3). */
export function checkReturns(
  validator: Validator | null,
  value: Value,
  tables: TableNames,
): string | null {
  const problem = validator?.check(value, tables) ?? null;
  return problem && `ReturnsValidationError: ${problem}`;
}

function acceptsAnything(validator: Validator): boolean {
  return validator instanceof SimpleValidator && validator.type === "any";
}

function context(path: string): string {
  return path === "" ? "" : `Path: ${path}`;
}

/** A commit timestamp becomes an integer. */
function isInteger(value: Value): boolean {
  return typeof value === "bigint" || value === commitTimestamp;
}

const simpleTypes = {
  any: { name: "v.any()", matches: () => true },
  null: { name: "v.null()", matches: (value: Value) => value === null },
  number: { name: "v.float64()", matches: (value: Value) => typeof value === "number" },
  bigint: { name: "v.int64()", matches: isInteger },
  commitTs: { name: "v.commitTs()", matches: isInteger },
  boolean: { name: "v.boolean()", matches: (value: Value) => typeof value === "boolean" },
  string: { name: "v.string()", matches: (value: Value) => typeof value === "string" },
  bytes: { name: "v.bytes()", matches: (value: Value) => value instanceof ArrayBuffer },
} as const;

class SimpleValidator extends Validator {
  override readonly matches: (value: Value) => boolean;

  constructor(readonly type: keyof typeof simpleTypes) {
    super();
    this.matches = simpleTypes[type].matches;
  }

  toString(): string {
    return simpleTypes[this.type].name;
  }
}

class LiteralValidator extends Validator {
  constructor(readonly literal: Value) {
    super();
  }

  matches(value: Value): boolean {
    return compareValues(value, this.literal) === 0;
  }

  override explain(value: Value, _tables: TableNames, path: string): string {
    return `\`${renderValue(value)}\` does not match literal validator \`${this}\`.${
      context(path)
    }`;
  }

  toString(): string {
    switch (typeof this.literal) {
      case "bigint":
        return "v.literal(<bigint>)";
      case "number":
        return `v.literal(${renderFloat(this.literal)})`;
      default:
        return `v.literal(${JSON.stringify(this.literal)})`;
    }
  }
}

class IdValidator extends Validator {
  constructor(readonly tableName: string) {
    super();
  }

  matches(value: Value, tables: TableNames): boolean {
    return tableNameOf(value, tables) === this.tableName;
  }

  override explain(value: Value, tables: TableNames, path: string): string {
    const found = tableNameOf(value, tables);
    if (found === undefined) return super.explain(value, tables, path);
    const table = found.startsWith("_") ? "a system table" : `table \`${found}\``;
    return `Found ID "${value}" from ${table}, which does not match the table name in validator \`${this}\`.${
      context(path)
    }`;
  }

  toString(): string {
    return `v.id("${this.tableName}")`;
  }
}

function tableNameOf(id: Value, tables: TableNames): string | undefined {
  const tableNumber = typeof id === "string" ? idTableNumber(id) : undefined;
  return tableNumber === undefined ? undefined : tables(tableNumber);
}

class ArrayValidator extends Validator {
  constructor(readonly element: Validator) {
    super();
  }

  matches(value: Value, tables: TableNames): boolean {
    return Array.isArray(value) && value.every((element) => this.element.matches(element, tables));
  }

  override explain(value: Value, tables: TableNames, path: string): string {
    if (!Array.isArray(value)) return super.explain(value, tables, path);
    const index = value.findIndex((element) => !this.element.matches(element, tables));
    return this.element.explain(value[index]!, tables, `${path}[${index}]`);
  }

  toString(): string {
    return `v.array(${this.element})`;
  }
}

class RecordValidator extends Validator {
  constructor(readonly keys: Validator, readonly values: Validator) {
    super();
  }

  matches(value: Value, tables: TableNames): boolean {
    return isValueObject(value) &&
      Object.keys(value).every((key) =>
        this.keys.matches(key, tables) && this.values.matches(value[key]!, tables)
      );
  }

  override explain(value: Value, tables: TableNames, path: string): string {
    if (!isValueObject(value)) return super.explain(value, tables, path);
    for (const key of Object.keys(value).sort()) {
      if (!this.keys.matches(key, tables)) return this.keys.explain(key, tables, `${path}.keys()`);
      const member = value[key]!;
      if (!this.values.matches(member, tables)) {
        return this.values.explain(member, tables, `${path}.values()`);
      }
    }
    return super.explain(value, tables, path);
  }

  toString(): string {
    return `v.record(${this.keys}, ${this.values})`;
  }
}

interface FieldValidator {
  readonly name: string;
  readonly validator: Validator;
  readonly optional: boolean;
}

class ObjectValidator extends Validator {
  readonly #fields: readonly FieldValidator[];

  constructor(fields: readonly FieldValidator[]) {
    super();
    this.#fields = fields.toSorted((a, b) => a.name < b.name ? -1 : 1);
  }

  matches(value: Value, tables: TableNames): boolean {
    if (!isValueObject(value)) return false;
    let extraFields = 0;
    for (const _ in value) extraFields++;
    for (const { name, validator, optional } of this.#fields) {
      if (Object.hasOwn(value, name)) {
        if (!validator.matches(value[name]!, tables)) return false;
        extraFields--;
      } else if (!optional) {
        return false;
      }
    }
    return extraFields === 0;
  }

  override explain(value: Value, tables: TableNames, path: string): string {
    if (!isValueObject(value)) return super.explain(value, tables, path);
    for (const { name, validator, optional } of this.#fields) {
      if (!Object.hasOwn(value, name)) {
        if (optional) continue;
        return this.#explainField(
          `Object is missing the required field \`${name}\`. Consider wrapping the field validator in \`v.optional(...)\` if this is expected.`,
          value,
          path,
        );
      }
      const member = value[name]!;
      if (!validator.matches(member, tables)) {
        return validator.explain(member, tables, `${path}.${name}`);
      }
    }
    const declared = new Set(this.#fields.map(({ name }) => name));
    const extra = Object.keys(value).sort().find((name) => !declared.has(name));
    return this.#explainField(
      `Object contains extra field \`${extra}\` that is not in the validator.`,
      value,
      path,
    );
  }

  #explainField(problem: string, value: ValueObject, path: string): string {
    return `${problem}\n${context(path)}\nObject: ${renderValue(value)}\nValidator: ${this}`;
  }

  toString(): string {
    const fields = this.#fields.map(({ name, validator, optional }) =>
      `${renderField(name)}: ${optional ? `v.optional(${validator})` : validator}`
    );
    return `v.object({${fields.join(", ")}})`;
  }
}

class UnionValidator extends Validator {
  constructor(readonly members: readonly Validator[]) {
    super();
  }

  matches(value: Value, tables: TableNames): boolean {
    return this.members.some((member) => member.matches(value, tables));
  }

  override explain(value: Value, tables: TableNames, path: string): string {
    const [only, ...others] = this.members;
    return only !== undefined && others.length === 0
      ? only.explain(value, tables, path)
      : super.explain(value, tables, path);
  }

  toString(): string {
    return `v.union(${this.members.join(", ")})`;
  }
}

function parseRecordKeys(json: unknown): Validator {
  const keys = parseValidator(json);
  const members = keys instanceof UnionValidator ? keys.members : [keys];
  for (const member of members) {
    if (member instanceof LiteralValidator) {
      throw invalidValidator("Records cannot have string literal keys");
    }
    const accepted = member instanceof IdValidator || member instanceof UnionValidator ||
      (member instanceof SimpleValidator && member.type === "string");
    if (!accepted) throw invalidValidator("Records can only have string keys");
  }
  return keys;
}

function parseRecordValues(json: unknown): Validator {
  const { fieldType, optional } = jsonObject(json, "Record values validator");
  if (optional === true) throw invalidValidator("Records cannot have optional values");
  return parseValidator(fieldType);
}

function jsonObject(json: unknown, what: string): Record<string, unknown> {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) {
    return json as Record<string, unknown>;
  }
  throw invalidValidator(`${what} must be an object, not ${JSON.stringify(json)}`);
}

function invalidValidator(message: string): DeveloperError {
  return new DeveloperError("InvalidValidator", message);
}
