import assert from "node:assert/strict";
import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { RequestError } from "../errors.ts";
import { parseSchema } from "./schema_definition.ts";

interface Export {
  readonly tables: readonly Record<string, unknown>[];
  readonly schemaValidation?: boolean;
}

const table = (fields: Record<string, unknown>) => ({
  tableName: "t",
  documentType: { type: "any" },
  ...fields,
});
const index = (indexDescriptor: string, fields: string[]) => ({ indexDescriptor, fields });
const letters = (count: number) => Array.from({ length: count }, (_, i) => `f${i}`);

function assertRefused(schema: Export, code: string, text: string): void {
  assert.throws(
    () => parseSchema(JSON.stringify({ schemaValidation: true, ...schema })),
    (error) => {
      assert.ok(error instanceof RequestError);
      assert.equal(error.kind, "badRequest");
      assert.equal(error.code, code);
      assert.equal(error.message, `Hit an error while evaluating your schema:\n${text}`);
      return true;
    },
  );
}

Deno.test("parseSchema reads what the function library exports", () => {
  const schema = defineSchema({
    messages: defineTable({ author: v.string(), embedding: v.array(v.float64()) })
      .index("by_author", ["author"])
      .index("later", { fields: ["embedding"], staged: true })
      .searchIndex("search", { searchField: "author" })
      .vectorIndex("vector", { vectorField: "embedding", dimensions: 3 }),
    anything: defineTable(v.any()),
    either: defineTable(v.union(v.object({ a: v.null() }), v.object({ b: v.null() }))).index("b", [
      "b",
    ]),
  });
  const parsed = parseSchema(
    (schema as unknown as { export(): string }).export(),
  );
  assert.equal(parsed.schemaValidation, true);
  const messages = parsed.tables.find((table) => table.tableName === "messages")!;
  assert.deepEqual(messages.indexes, [index("by_author", ["author"])]);
  assert.deepEqual(messages.stagedDbIndexes, [index("later", ["embedding"])]);
  assert.equal(messages.searchIndexes.length, 1);
  assert.equal(messages.vectorIndexes.length, 1);
});

Deno.test("function-abi 21.4: absent schemaValidation means false", () => {
  assert.equal(parseSchema(`{"tables":[]}`).schemaValidation, false);
});

Deno.test("semantics 7.1: indexes and tables that break a rule are refused with its code and text", () => {
  const withIndexes = (...indexes: unknown[]): Export => ({ tables: [table({ indexes })] });
  const inTable = `In table "t": `;
  assertRefused(
    withIndexes(index("a", [])),
    "EmptyIndex",
    `In table "t" index "a" must have at least one field.`,
  );
  assertRefused(
    { tables: [table({ stagedDbIndexes: [index("a", [])] })] },
    "EmptyIndex",
    `In table "t" staged index "a" must have at least one field.`,
  );
  assertRefused(
    withIndexes(index("a", letters(16))),
    "IndexTooManyFields",
    `${inTable}Indexes may have up to 16 fields.`,
  );
  assertRefused(
    withIndexes(index("a", ["f", "f"])),
    "FieldsNotUniqueWithinIndex",
    `${inTable}Duplicate field "f". Index fields must be unique within an index.`,
  );
  assertRefused(
    withIndexes(index("a", ["f"]), index("b", ["f"])),
    "IndexNotUnique",
    `In table "t" index "a" and index "b" have the same fields. Indexes must be unique within a table.`,
  );
  assertRefused(
    withIndexes(index("a", ["_id"])),
    "IndexFieldsContainId",
    `${inTable}\`_id\` is not a valid index field. To load documents by ID, use \`db.get(id)\`.`,
  );
  assertRefused(
    withIndexes(index("a", ["f", "_creationTime"])),
    "IndexFieldsContainCreationTime",
    `${inTable}\`_creationTime\` is automatically added to the end of each index. It should not be added explicitly in the index definition. See https://docs.convex.dev/using/indexes for more details.`,
  );
  assertRefused(
    withIndexes(index("a", ["_f"])),
    "IndexFieldNameReserved",
    `${inTable}Reserved fields (starting with \`_\`) are not allowed in indexes.`,
  );
  for (const name of ["by_id", "by_creation_time", "_a"]) {
    assertRefused(
      withIndexes(index(name, ["f"])),
      "IndexNameReserved",
      `In table "t" cannot name an index "${name}" because the name is reserved. Indexes may not start with an underscore or be named "by_id" or "by_creation_time".`,
    );
  }
  assertRefused(
    {
      tables: [table({
        indexes: [index("a", ["f"])],
        searchIndexes: [{ indexDescriptor: "a", searchField: "f" }],
      })],
    },
    "IndexNamesNotUnique",
    `Table "t" has two or more definitions of index "a".`,
  );
  assertRefused(
    withIndexes(index("a-b", ["f"])),
    "InvalidIndexName",
    `${inTable}Invalid index name: "a-b". Identifiers must be 64 characters or less, start with a letter, and only contain letters, digits, underscores.`,
  );
  assertRefused(
    withIndexes(...letters(65).map((name) => index(name, [name]))),
    "TooManyIndexes",
    `Table "t" cannot have more than 64 indexes.`,
  );
  assertRefused(
    { tables: [table({ tableName: "1t" })] },
    "InvalidTableName",
    `Invalid table name: "1t". Identifiers must start with a letter and can only contain letters, digits, and underscores.`,
  );
  assertRefused(
    { tables: [table({ tableName: "_t" })] },
    "TableNameReserved",
    `_t is a reserved table name.`,
  );
  assertRefused(
    { tables: Array.from({ length: 10_001 }, (_, i) => table({ tableName: `t${i}` })) },
    "TooManyTables",
    "Number of tables cannot exceed 10000.",
  );
  assertRefused(
    {
      tables: [table({
        searchIndexes: [{ indexDescriptor: "a", searchField: "f", filterFields: letters(17) }],
      })],
    },
    "IndexTooManyFilterFields",
    `${inTable}Search indexes may have up to 16 filter fields.`,
  );
});

Deno.test("semantics §16: a vector index has 2 to 4096 dimensions", () => {
  const vectorIndexes = (dimensions: number) => [
    { indexDescriptor: "by_vector", vectorField: "v", dimensions },
  ];
  for (const dimensions of [2, 4096]) {
    parseSchema(JSON.stringify({ tables: [table({ vectorIndexes: vectorIndexes(dimensions) })] }));
  }
  for (const dimensions of [0, 1, 2.5, 4097]) {
    assertRefused(
      { tables: [table({ vectorIndexes: vectorIndexes(dimensions) })] },
      "InvalidVectorDimensions",
      `In table "t": Dimensions ${dimensions} must be between 2 and 4096.`,
    );
  }
});

Deno.test("semantics 7.1: two search or vector indexes for the same thing are refused", () => {
  const search = { searchField: "f", filterFields: ["g", "h"] };
  const vector = { vectorField: "f", dimensions: 2 };
  const searchIndexes = [
    { ...search, indexDescriptor: "a" },
    { ...search, indexDescriptor: "b", filterFields: ["h", "g"] },
  ];
  const vectorIndexes = [
    { ...vector, indexDescriptor: "a" },
    { ...vector, indexDescriptor: "b", filterFields: ["g"] },
  ];
  assertRefused(
    { tables: [table({ searchIndexes })] },
    "SearchIndexFieldNotUnique",
    `In table "t" search index "a" and search index "b" have the same \`searchField\` and \`filterFields\`. Search indexes must be unique within a table.`,
  );
  assertRefused(
    { tables: [table({ vectorIndexes })] },
    "VectorIndexFieldNotUnique",
    `In table "t" vector index "a" and vector index "b" have the same \`vectorField\` and \`dimensions\`. Vector indexes must be unique within a table.`,
  );
});

Deno.test("semantics 7.1: fifteen declared fields are the most, as _creationTime is one more", () => {
  parseSchema(JSON.stringify({ tables: [table({ indexes: [index("a", letters(15))] })] }));
});

Deno.test("semantics 40: an index on a field that a validated schema does not have is refused", () => {
  const object = (fields: Record<string, unknown>) => ({
    type: "object",
    value: Object.fromEntries(
      Object.entries(fields).map(([name, fieldType]) => [name, { fieldType, optional: false }]),
    ),
  });
  const documentType = {
    type: "union",
    value: [
      object({ a: { type: "string" }, o: object({ b: { type: "any" } }) }),
      object({
        r: { type: "record", keys: { type: "string" }, values: { fieldType: { type: "any" } } },
      }),
    ],
  };
  const check = (field: string, schemaValidation = true) => ({
    schemaValidation,
    tables: [table({ documentType, indexes: [index("i", [field])] })],
  });
  for (const field of ["a", "o", "o.b", "o.b.c", "r", "r.x"]) {
    parseSchema(JSON.stringify(check(field)));
  }
  for (const field of ["b", "a.b", "o.c", "o.c.d"]) {
    assertRefused(
      check(field),
      "SchemaDefinitionError",
      `In table "t" the index "i" is invalid because it references the field "${field}" that does not exist.`,
    );
    parseSchema(JSON.stringify(check(field, false)));
  }
});

Deno.test("function-abi 21.4: a document type is an object, a union of objects, or any", () => {
  assertRefused(
    { tables: [table({ documentType: { type: "string" } })] },
    "SchemaDefinitionError",
    `In table "t" the document type must be an object, a union of objects, or any.`,
  );
});

Deno.test("parseSchema refuses validators that mean nothing", () => {
  assertRefused(
    {
      tables: [table({
        documentType: { type: "object", value: { a: { fieldType: { type: "x" } } } },
      })],
    },
    "SchemaDefinitionError",
    `In table "t": unknown type "x"`,
  );
});
