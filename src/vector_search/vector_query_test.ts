import assert from "node:assert/strict";
import {
  Catalog,
  declaredIndexId,
  firstUserTableNumber as table,
  type IndexDefinition,
} from "../database/catalog.ts";
import { filterDigest } from "../database/vector_entry.ts";
import { DeveloperError } from "../errors.ts";
import { parseVectorQuery } from "./vector_query.ts";

let ordinal = 100;
function index(name: string, state: IndexDefinition["state"] = "ready"): IndexDefinition {
  const spec = {
    kind: "vector" as const,
    vectorField: "v",
    dimensions: 2,
    filterFields: ["color", "size"],
  };
  return { ...spec, id: declaredIndexId(ordinal++), table, name, state };
}

const byVector = index("by_vector");
const catalog = new Catalog({
  version: 1,
  structureVersion: 1,
  tables: [{ name: "items", number: table }],
  indexes: [
    index("filling", "backfilling"),
    index("staged", "staged"),
    index("by_vector", "backfilling"),
    byVector,
    {
      kind: "database",
      id: declaredIndexId(ordinal++),
      table,
      name: "by_color",
      fields: ["color"],
      state: "ready",
    },
  ],
  activeSchema: null,
  pendingSchema: null,
});

const query = { indexName: "items.by_vector", vector: [1, 0] };
const parse = (changes: Record<string, unknown>) =>
  parseVectorQuery({ ...query, ...changes }, catalog);
const equal = (field: unknown, value: unknown) => ({
  $eq: [{ $field: field }, { $literal: value }],
});

function refuses(changes: Record<string, unknown>, code: string, message: string): void {
  assert.throws(() => parse(changes), (error) => {
    assert.ok(error instanceof DeveloperError);
    assert.deepEqual([error.code, error.message], [code, message]);
    return true;
  });
}

Deno.test("a vector query names its index, and asks for ten results unless it says otherwise", () => {
  assert.deepEqual(parse({}), {
    index: byVector.id,
    limit: 10,
    vector: Float32Array.of(1, 0),
    filterFields: 2,
    conditions: null,
  });
  assert.equal(parse({ limit: 256, expressions: null }).limit, 256);
});

Deno.test("semantics 102: the limit is at most 256", () => {
  refuses(
    { limit: 257 },
    "InvalidVectorQuery",
    "Vector queries can fetch at most 256 results, requested 257.",
  );
  for (const limit of [0, -1, 1.5, "3"]) {
    const message =
      `Invalid vector query: the limit must be a whole number from 1 to 256, requested ${limit}.`;
    refuses({ limit }, "InvalidVectorQuery", message);
  }
});

Deno.test("semantics 103: the vector has the dimensions of the index", () => {
  for (const vector of [[], [1], [1, 2, 3]]) {
    const message = `Expected a vector with dimensions 2, received ${vector.length}.`;
    refuses({ vector }, "InvalidVectorQuery", message);
  }
  const message = "Invalid vector query: element 1 of the vector is not a finite 32-bit number.";
  for (const element of [null, "1", 1e300]) {
    refuses({ vector: [1, element] }, "InvalidVectorQuery", message);
  }
  refuses(
    { vector: "12" },
    "InvalidVectorQuery",
    "Invalid vector query: the vector must be an array of numbers.",
  );
});

Deno.test("only vector indexes that are enabled serve vector queries", () => {
  for (const name of ["items.other", "others.by_vector", "by_vector", ""]) {
    refuses({ indexName: name }, "IndexNotFoundError", `Index ${name} not found.`);
  }
  refuses(
    { indexName: "items.by_color" },
    "IndexNotAVectorIndexError",
    "Index items.by_color is not a vector index",
  );
  refuses(
    { indexName: "items.filling" },
    "IndexBackfillingError",
    "Index items.filling is currently backfilling and not available to query yet.",
  );
  refuses(
    { indexName: "items.staged" },
    "IndexStagedError",
    "Index items.staged is currently staged and not available to query until it is enabled.",
  );
});

Deno.test("semantics 104: a filter is one equality, or several of which one must hold", () => {
  const red = { field: 0, digest: filterDigest("red") };
  assert.deepEqual(parse({ expressions: equal("color", "red") }).conditions, [red]);
  const either = { $or: [equal("color", "red"), { $or: [equal("size", { $undefined: null })] }] };
  const { conditions } = parse({ expressions: either });
  assert.deepEqual(
    new Set(conditions),
    new Set([red, { field: 1, digest: filterDigest(undefined) }]),
  );
  assert.deepEqual(parse({ expressions: { $or: [] } }).conditions, []);
});

Deno.test("semantics §16: filters are checked", () => {
  const text = "Filters should be a combination of `q.eq` and `q.or`.";
  for (
    const expressions of [
      true,
      [],
      {},
      { $literal: true },
      { $eq: [{ $field: "color" }] },
      { $eq: [{ $literal: 1 }, { $field: "color" }] },
      { $or: [true] },
      { $and: [equal("color", "red")] },
      equal(1, 1),
    ]
  ) refuses({ expressions }, "IncorrectVectorFilter", text);
  refuses(
    { expressions: equal("shape", "round") },
    "IncorrectVectorFilterField",
    'Vector query against items.by_vector contains an equality filter on "shape" but that field ' +
      "isn't indexed for filtering in `filterFields`.",
  );
  const many = (n: number) => ({ $or: Array.from({ length: n }, (_, i) => equal("size", i)) });
  assert.equal(parse({ expressions: many(64) }).conditions?.length, 64);
  refuses(
    { expressions: many(65) },
    "TooManyConditionsInVectorQuery",
    "Vector query against items.by_vector has too many conditions. Max: 64 Actual: 65",
  );
});
