/** What makes a value a document (semantics 4.1–4.4). */
import { DeveloperError } from "../errors.ts";
import { checkValueSize, documentBytesMax, documentNestingMax } from "../values/limits.ts";
import { renderFloat, renderValue } from "../values/render.ts";
import { encodeValue, parseDocument } from "../values/value.ts";

export interface SystemFields {
  readonly _id: string;
  readonly _creationTime: number;
}

export interface EncodedDocument {
  readonly json: string;
  readonly bytes: number;
  readonly nesting: number;
  readonly isUnresolved: boolean;
}

/**
 * The canonical text of a document with its system fields in place. `original` is what the user passed,
 * for error texts.
 * @throws DeveloperError when it would be no document.
 */
export function encodeDocument(
  fields: Readonly<Record<string, unknown>>,
  systemFields: SystemFields,
  original: unknown,
): EncodedDocument {
  checkReservedFields(fields, systemFields);
  return encodeValue({ ...fields, ...systemFields }, original);
}

/** @throws DeveloperError when a user's document would be too large. Those of system tables are as values. */
export function checkDocumentSize({ bytes, nesting }: EncodedDocument): void {
  checkValueSize(bytes, documentBytesMax);
  if (nesting > documentNestingMax) {
    throw new DeveloperError(
      "DocumentTooNested",
      `Document is too nested (nested ${nesting} levels deep > maximum nesting ${documentNestingMax})`,
    );
  }
}

function checkReservedFields(
  fields: Readonly<Record<string, unknown>>,
  { _id, _creationTime }: SystemFields,
): void {
  const problems: string[] = [];
  for (const field of Object.keys(fields)) {
    if (!field.startsWith("_") || fields[field] === undefined) continue;
    if (field === "_id") {
      if (fields._id === _id) continue;
      throw new DeveloperError(
        "InvalidIdError",
        `Provided document ID ${_id} doesn't match '_id' field ${render(fields._id)}`,
      );
    }
    if (field === "_creationTime") {
      if (fields._creationTime === _creationTime) continue;
      throw new DeveloperError(
        "InvalidCreationTimeError",
        `Provided creation time ${
          renderFloat(_creationTime)
        } doesn't match '_creationTime' field in ${render(fields)}`,
      );
    }
    problems.push(
      `Field '${field}' starts with an underscore, which is only allowed for system fields like '_id'`,
    );
  }
  if (problems.length === 0) return;
  throw new DeveloperError(
    "InvalidDocumentError",
    `Document(value: ${render(fields)}) isn't a valid document: ${problems.join("\n ")}`,
  );
}

/** Goes through the JSON text because what user code passed need not be a value. */
function render(value: unknown): string {
  return renderValue(parseDocument(encodeValue(value).json));
}
