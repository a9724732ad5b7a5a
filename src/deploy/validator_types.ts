/** TypeScript types of the values that validators let through, as other components see them (components 4). */
import { decodeValue, type Value } from "../values/value.ts";

/** Validator JSON, which the server has checked (function-abi 21.2). */
type ValidatorJson =
  | {
    readonly type:
      | "any"
      | "null"
      | "number"
      | "bigint"
      | "commitTs"
      | "boolean"
      | "string"
      | "bytes";
  }
  | { readonly type: "id"; readonly tableName: string }
  | { readonly type: "literal"; readonly value: unknown }
  | { readonly type: "array"; readonly value: ValidatorJson }
  | { readonly type: "record"; readonly keys: ValidatorJson; readonly values: FieldJson }
  | { readonly type: "object"; readonly value: Readonly<Record<string, FieldJson>> }
  | { readonly type: "union"; readonly value: readonly ValidatorJson[] };

interface FieldJson {
  readonly fieldType: ValidatorJson;
  readonly optional: boolean;
}

/** The type for the JSON text of a validator; without one anything goes. */
export function validatorType(json: string | null): string {
  return json === null ? "any" : typeOf(JSON.parse(json));
}

function typeOf(validator: ValidatorJson): string {
  switch (validator.type) {
    case "bytes":
      return "ArrayBuffer";
    case "commitTs":
      return 'bigint | import("convex/values").CommitTsPlaceholder';
    case "id":
      // Ids mean something only in the component whose tables they are of.
      return "string";
    case "literal":
      return literalType(decodeValue(validator.value));
    case "array":
      return `Array<${typeOf(validator.value)}>`;
    case "record":
      return `Record<${typeOf(validator.keys)}, ${typeOf(validator.values.fieldType)}>`;
    case "object": {
      const fields = Object.entries(validator.value).map(([name, { fieldType, optional }]) =>
        `${propertyName(name)}${optional ? "?" : ""}: ${typeOf(fieldType)}`
      );
      return fields.length === 0 ? "{}" : `{ ${fields.join("; ")} }`;
    }
    case "union":
      return validator.value.length === 0 ? "never" : validator.value.map(typeOf).join(" | ");
    default:
      return validator.type;
  }
}

/** A name as it stands in a type. */
export function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function literalType(value: Value): string {
  return typeof value === "bigint" ? `${value}n` : JSON.stringify(value);
}
