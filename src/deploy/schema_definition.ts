/** Reads the schema that `schema.js` exports and enforces the rules for tables and indexes (semantics 7.1). */
import { z } from "zod";
import type { SchemaDefinition, SchemaTable } from "../database/catalog.ts";
import { errorMessage, RequestError } from "../errors.ts";
import { identifierProblem } from "../values/limits.ts";
import { parseValidator } from "../values/validator.ts";
import { parseExported } from "./exported_json.ts";

const tablesMax = 10_000;
const indexesPerTableMax = 64;
const indexFieldsMax = 16;
const filterFieldsMax = 16;
const vectorDimensions = { min: 2, max: 4096 };

const fields = z.array(z.string());
const databaseIndex = z.looseObject({ indexDescriptor: z.string(), fields });
const searchIndex = z.looseObject({
  indexDescriptor: z.string(),
  searchField: z.string(),
  filterFields: fields.default([]),
});
const vectorIndex = z.looseObject({
  indexDescriptor: z.string(),
  vectorField: z.string(),
  dimensions: z.number(),
  filterFields: fields.default([]),
});
const validator = z.looseObject({ type: z.string() });

const schemaShape = z.looseObject({
  tables: z.array(z.looseObject({
    tableName: z.string(),
    indexes: z.array(databaseIndex).default([]),
    stagedDbIndexes: z.array(databaseIndex).default([]),
    searchIndexes: z.array(searchIndex).default([]),
    stagedSearchIndexes: z.array(searchIndex).default([]),
    vectorIndexes: z.array(vectorIndex).default([]),
    stagedVectorIndexes: z.array(vectorIndex).default([]),
    documentType: validator.nullish().transform((type) => type ?? null),
  })),
  schemaValidation: z.boolean().default(false),
});

export type ParsedSchema = z.infer<typeof schemaShape> & SchemaDefinition;
export type ParsedTable = ParsedSchema["tables"][number] & SchemaTable;
export type SearchIndex = z.infer<typeof searchIndex>;
export type VectorIndex = z.infer<typeof vectorIndex>;

/**
 * Parses the JSON text of `defineSchema(…).export()`.
 * @throws RequestError with the code of the rule that is broken.
 */
export function parseSchema(json: string): ParsedSchema {
  const result = schemaShape.safeParse(parseExported(json));
  if (!result.success) {
    throw schemaError(
      "InvalidSchemaExport",
      `Default export from schema file isn't a Convex schema. ${z.prettifyError(result.error)}`,
    );
  }
  checkSchema(result.data);
  return result.data;
}

function checkSchema(schema: ParsedSchema): void {
  if (schema.tables.length > tablesMax) {
    throw schemaError("TooManyTables", `Number of tables cannot exceed ${tablesMax}.`);
  }
  for (const table of schema.tables) {
    checkTableName(table.tableName);
    checkIndexes(table);
    checkDocumentType(table);
    if (schema.schemaValidation) checkFieldsExist(table);
  }
}

function checkTableName(name: string): void {
  if (name.startsWith("_")) {
    throw schemaError("TableNameReserved", `${name} is a reserved table name.`);
  }
  if (identifierProblem(name) !== null) {
    throw schemaError(
      "InvalidTableName",
      `Invalid table name: "${name}". Identifiers must start with a letter and can only contain letters, digits, and underscores.`,
    );
  }
}

function checkIndexes(table: ParsedTable): void {
  const inTable = (code: string, text: string) =>
    schemaError(code, `In table "${table.tableName}": ${text}`);
  for (const index of databaseIndexes(table)) checkIndexFields(index.fields, inTable);
  for (const { filterFields } of [...searchIndexes(table), ...vectorIndexes(table)]) {
    if (filterFields.length > filterFieldsMax) {
      throw inTable(
        "IndexTooManyFilterFields",
        `Search indexes may have up to ${filterFieldsMax} filter fields.`,
      );
    }
  }
  for (const { dimensions } of vectorIndexes(table)) checkDimensions(dimensions, inTable);
  checkIndexNames(table);
  checkUniqueness(table);
}

function checkDimensions(
  dimensions: number,
  error: (code: string, text: string) => RequestError,
): void {
  const { min, max } = vectorDimensions;
  if (Number.isInteger(dimensions) && dimensions >= min && dimensions <= max) return;
  throw error(
    "InvalidVectorDimensions",
    `Dimensions ${dimensions} must be between ${min} and ${max}.`,
  );
}

function checkIndexFields(
  fields: readonly string[],
  error: (code: string, text: string) => RequestError,
): void {
  for (const field of fields) {
    if (field === "_id") {
      throw error(
        "IndexFieldsContainId",
        "`_id` is not a valid index field. To load documents by ID, use `db.get(id)`.",
      );
    }
    if (field === "_creationTime") {
      throw error(
        "IndexFieldsContainCreationTime",
        "`_creationTime` is automatically added to the end of each index. It should not be added explicitly in the index definition. See https://docs.convex.dev/using/indexes for more details.",
      );
    }
    if (field.startsWith("_")) {
      throw error(
        "IndexFieldNameReserved",
        "Reserved fields (starting with `_`) are not allowed in indexes.",
      );
    }
    const problem = field.split(".").map(identifierProblem).find((problem) => problem !== null);
    if (problem !== undefined) {
      throw error("InvalidIndexField", `Invalid index field "${field}": ${problem}.`);
    }
  }
  const repeated = fields.find((field, position) => fields.indexOf(field) !== position);
  if (repeated !== undefined) {
    throw error(
      "FieldsNotUniqueWithinIndex",
      `Duplicate field "${repeated}". Index fields must be unique within an index.`,
    );
  }
  // `_creationTime`, which ends every index, is one of the sixteen.
  if (fields.length + 1 > indexFieldsMax) {
    throw error("IndexTooManyFields", `Indexes may have up to ${indexFieldsMax} fields.`);
  }
}

function checkIndexNames(table: ParsedTable): void {
  const { tableName } = table;
  const names = [...databaseIndexes(table), ...searchIndexes(table), ...vectorIndexes(table)]
    .map((index) => index.indexDescriptor);
  for (const [position, name] of names.entries()) {
    if (name.startsWith("_") || name === "by_id" || name === "by_creation_time") {
      throw schemaError(
        "IndexNameReserved",
        `In table "${tableName}" cannot name an index "${name}" because the name is reserved. Indexes may not start with an underscore or be named "by_id" or "by_creation_time".`,
      );
    }
    if (identifierProblem(name) !== null) {
      throw schemaError(
        "InvalidIndexName",
        `In table "${tableName}": Invalid index name: "${name}". Identifiers must be 64 characters or less, start with a letter, and only contain letters, digits, underscores.`,
      );
    }
    if (names.indexOf(name) !== position) {
      throw schemaError(
        "IndexNamesNotUnique",
        `Table "${tableName}" has two or more definitions of index "${name}".`,
      );
    }
  }
  if (names.length > indexesPerTableMax) {
    throw schemaError(
      "TooManyIndexes",
      `Table "${tableName}" cannot have more than ${indexesPerTableMax} indexes.`,
    );
  }
}

function checkUniqueness(table: ParsedTable): void {
  const { tableName } = table;
  for (const index of databaseIndexes(table)) {
    if (index.fields.length > 0) continue;
    const kind = table.stagedDbIndexes.includes(index) ? "staged index" : "index";
    throw schemaError(
      "EmptyIndex",
      `In table "${tableName}" ${kind} "${index.indexDescriptor}" must have at least one field.`,
    );
  }
  requireDistinct(databaseIndexes(table), (index) => index.fields, (a, b) =>
    schemaError(
      "IndexNotUnique",
      `In table "${tableName}" index "${a}" and index "${b}" have the same fields. Indexes must be unique within a table.`,
    ));
  requireDistinct(
    searchIndexes(table),
    (index) => [index.searchField, [...index.filterFields].sort()],
    (a, b) =>
      schemaError(
        "SearchIndexFieldNotUnique",
        `In table "${tableName}" search index "${a}" and search index "${b}" have the same \`searchField\` and \`filterFields\`. Search indexes must be unique within a table.`,
      ),
  );
  requireDistinct(
    vectorIndexes(table),
    (index) => [index.vectorField, index.dimensions],
    (a, b) =>
      schemaError(
        "VectorIndexFieldNotUnique",
        `In table "${tableName}" vector index "${a}" and vector index "${b}" have the same \`vectorField\` and \`dimensions\`. Vector indexes must be unique within a table.`,
      ),
  );
}

function requireDistinct<Index extends { readonly indexDescriptor: string }>(
  indexes: readonly Index[],
  identity: (index: Index) => unknown,
  error: (first: string, second: string) => RequestError,
): void {
  const seen = new Map<string, string>();
  for (const index of indexes) {
    const key = JSON.stringify(identity(index));
    const first = seen.get(key);
    if (first !== undefined) throw error(first, index.indexDescriptor);
    seen.set(key, index.indexDescriptor);
  }
}

function checkDocumentType({ tableName, documentType }: ParsedTable): void {
  if (documentType === null) return;
  if (!isDocumentType(documentType)) {
    throw schemaError(
      "SchemaDefinitionError",
      `In table "${tableName}" the document type must be an object, a union of objects, or any.`,
    );
  }
  try {
    parseValidator(documentType);
  } catch (error) {
    throw schemaError("SchemaDefinitionError", `In table "${tableName}": ${errorMessage(error)}`);
  }
}

interface Validator {
  readonly type: string;
  readonly value?: unknown;
}

function isDocumentType({ type, value }: Validator): boolean {
  if (type === "union") return (value as Validator[]).every(isDocumentType);
  return type === "object" || type === "any";
}

function checkFieldsExist(table: ParsedTable): void {
  const { tableName, documentType } = table;
  if (documentType === null) return;
  const check = (index: string, fields: readonly string[]) => {
    const missing = fields.find((field) =>
      field !== "_creationTime" && !fieldExists(documentType, field.split("."))
    );
    if (missing === undefined) return;
    throw schemaError(
      "SchemaDefinitionError",
      `In table "${tableName}" the index "${index}" is invalid because it references the field "${missing}" that does not exist.`,
    );
  };
  for (const index of databaseIndexes(table)) check(index.indexDescriptor, index.fields);
  for (const index of searchIndexes(table)) {
    check(index.indexDescriptor, [index.searchField, ...index.filterFields]);
  }
  for (const index of vectorIndexes(table)) {
    check(index.indexDescriptor, [index.vectorField, ...index.filterFields]);
  }
}

/** Whether a value that satisfies the validator can have the field. */
function fieldExists({ type, value }: Validator, path: readonly string[]): boolean {
  const [field, ...rest] = path;
  if (field === undefined || type === "any") return true;
  switch (type) {
    case "union":
      return (value as Validator[]).some((member) => fieldExists(member, path));
    case "record":
      return true;
    case "object": {
      const member = (value as Record<string, { fieldType: Validator }>)[field];
      return member !== undefined && fieldExists(member.fieldType, rest);
    }
    default:
      return false;
  }
}

function databaseIndexes(table: ParsedTable) {
  return [...table.indexes, ...table.stagedDbIndexes];
}

function searchIndexes(table: ParsedTable) {
  return [...table.searchIndexes, ...table.stagedSearchIndexes];
}

function vectorIndexes(table: ParsedTable) {
  return [...table.vectorIndexes, ...table.stagedVectorIndexes];
}

/** A rule broken by the schema, as the developer reads it (deploy-protocol 3.10). */
export function schemaError(code: string, text: string): RequestError {
  return new RequestError(
    "badRequest",
    code,
    `Hit an error while evaluating your schema:\n${text}`,
  );
}
