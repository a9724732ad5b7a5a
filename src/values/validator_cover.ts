/** Which validators let through all that others let through. Works on validator JSON (function-abi 21.2). */
import { parseValidator } from "./validator.ts";
import { decodeValue } from "./value.ts";

export interface ValidatorJson {
  readonly type: string;
  readonly value?: unknown;
  readonly tableName?: unknown;
  readonly keys?: unknown;
  readonly values?: unknown;
}

interface FieldJson {
  readonly fieldType: ValidatorJson;
  readonly optional: boolean;
}

type FieldsJson = Readonly<Record<string, FieldJson>>;

/**
 * Whether every value that satisfies `narrow` satisfies `wide`. False also means: perhaps, but it takes more to
 * find out. Both must be what `parseValidator` accepts.
 */
export function covers(wide: ValidatorJson, narrow: ValidatorJson): boolean {
  if (wide.type === "any") return true;
  if (narrow.type === "union") return membersOf(narrow).every((member) => covers(wide, member));
  if (wide.type === "union") return membersOf(wide).some((member) => covers(member, narrow));
  if (narrow.type === "literal") {
    const literal = decodeValue(structuredClone(narrow.value));
    return parseValidator(wide).matches(literal, () => undefined);
  }
  if (narrow.type === "id" && wide.type === "string") return true;
  return wide.type === narrow.type && coversSameType(wide, narrow);
}

function coversSameType(wide: ValidatorJson, narrow: ValidatorJson): boolean {
  switch (wide.type) {
    case "id":
      return wide.tableName === narrow.tableName;
    case "array":
      return covers(wide.value as ValidatorJson, narrow.value as ValidatorJson);
    case "record":
      return covers(wide.keys as ValidatorJson, narrow.keys as ValidatorJson) &&
        covers((wide.values as FieldJson).fieldType, (narrow.values as FieldJson).fieldType);
    case "object":
      return coversFields(wide.value as FieldsJson, narrow.value as FieldsJson);
    default:
      return true;
  }
}

function coversFields(wide: FieldsJson, narrow: FieldsJson): boolean {
  const isRequiredOnlyByWide = (name: string) =>
    !wide[name]!.optional && !Object.hasOwn(narrow, name);
  return !Object.keys(wide).some(isRequiredOnlyByWide) &&
    Object.entries(narrow).every(([name, field]) => {
      const counterpart = Object.hasOwn(wide, name) ? wide[name]! : undefined;
      return counterpart !== undefined && (counterpart.optional || !field.optional) &&
        covers(counterpart.fieldType, field.fieldType);
    });
}

function membersOf(union: ValidatorJson): readonly ValidatorJson[] {
  return union.value as readonly ValidatorJson[];
}
